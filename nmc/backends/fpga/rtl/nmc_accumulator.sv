// P sums side by side for each of WORDS words: an operation adds a row of P weights, times a value if events carry
// one, to a word; a tick moves a word to the shadow memory, which the neurons read while the next step accumulates.
// With MASKED only the lanes in `op_lanes` add. `tick_done` pulses with the last word of a tick. No sum can overflow: SUM_BITS is proved from the weights.
module nmc_accumulator #(
  parameter P           = 4,
  parameter WORDS       = 8,
  parameter WEIGHT_BITS = 6,
  parameter VALUE_BITS  = 1,
  parameter GRADED      = 0,
  parameter SIGNED      = 0,
  parameter SUM_BITS    = 12,
  parameter BLOCK       = 0,
  parameter MASKED      = 0,
  parameter WORD_BITS   = WORDS > 1 ? $clog2(WORDS) : 1
) (
  input  logic                     clk,
  input  logic                     rst,
  input  logic                     op_valid,
  input  logic                     op_tick,
  input  logic                     op_boot,
  input  logic                     op_last,
  input  logic [WORD_BITS-1:0]     op_word,
  input  logic [VALUE_BITS-1:0]    op_value,
  input  logic [P-1:0]             op_lanes,
  input  logic [P*WEIGHT_BITS-1:0] weights,
  output logic                     tick_done,
  input  logic [WORD_BITS-1:0]     shadow_word,
  output logic [P*SUM_BITS-1:0]    shadow
);
  // ---- the operation waits for its weights: two cycles, three with a product ------------------------------------
  logic valid1, valid2, tick1, tick2, ends1, ends2;
  logic [WORD_BITS-1:0] word1, word2;
  logic [VALUE_BITS-1:0] value1, value2;
  always_ff @(posedge clk) begin
    valid1 <= op_valid && !rst; valid2 <= valid1 && !rst;
    tick1  <= op_tick;          tick2  <= tick1;
    ends1  <= op_last && op_tick && !op_boot; ends2 <= ends1;
    word1  <= op_word;          word2  <= word1;
    value1 <= op_value;         value2 <= value1;
  end

  logic [P*WEIGHT_BITS-1:0] row;
  genvar p;
  generate
    if (MASKED != 0) begin : masked
      logic [P-1:0] lanes1, lanes2;
      always_ff @(posedge clk) begin
        lanes1 <= op_lanes;
        lanes2 <= lanes1;
      end
      for (p = 0; p < P; p = p + 1) begin : lane
        assign row[p*WEIGHT_BITS +: WEIGHT_BITS] = lanes2[p] ? weights[p*WEIGHT_BITS +: WEIGHT_BITS] : '0;
      end
    end else begin : unmasked
      logic unused;
      assign unused = &op_lanes;
      assign row    = weights;
    end
  endgenerate

  logic valid, tick, ends, early_valid;
  logic [WORD_BITS-1:0] word, early;
  logic [P*SUM_BITS-1:0] terms;
  generate
    if (GRADED != 0) begin : product
      logic signed [VALUE_BITS:0] factor;
      assign factor = $signed({SIGNED != 0 && value2[VALUE_BITS-1], value2});
      for (p = 0; p < P; p = p + 1) begin : lane
        logic signed [SUM_BITS-1:0] term;
        always_ff @(posedge clk)
          term <= SUM_BITS'($signed(row[p*WEIGHT_BITS +: WEIGHT_BITS]) * factor);
        assign terms[p*SUM_BITS +: SUM_BITS] = term;
      end
      always_ff @(posedge clk) begin
        valid <= valid2 && !rst;
        tick  <= tick2;
        ends  <= ends2;
        word  <= word2;
      end
      assign early = word2;
      assign early_valid = valid2;
    end else begin : plain
      logic unused;
      assign unused = &value2;
      for (p = 0; p < P; p = p + 1) begin : lane
        assign terms[p*SUM_BITS +: SUM_BITS] = SUM_BITS'($signed(row[p*WEIGHT_BITS +: WEIGHT_BITS]));
      end
      assign valid  = valid2;
      assign tick   = tick2;
      assign ends   = ends2;
      assign word   = word2;
      assign early = word1;
      assign early_valid = valid1;
    end
  endgenerate

  // ---- read, add, write ------------------------------------------------------------------------------------------
  logic [P*SUM_BITS-1:0] mem [0:WORDS-1];
  logic [P*SUM_BITS-1:0] held [0:WORDS-1];
  logic [P*SUM_BITS-1:0] old, sums;
  generate
    if (BLOCK != 0) begin : block
      // A block RAM gives the word one cycle after it was asked for: what was written since is taken from here.
      logic [P*SUM_BITS-1:0] read, last;
      logic again;
      always_ff @(posedge clk) begin
        read  <= mem[early];
        last  <= sums;
        again <= valid && early_valid && word == early;
      end
      assign old = again ? last : read;
    end else begin : registers
      logic unused;
      assign unused = &early && early_valid;
      assign old = mem[word];
    end
    for (p = 0; p < P; p = p + 1) begin : adder
      assign sums[p*SUM_BITS +: SUM_BITS] =
        tick ? '0 : old[p*SUM_BITS +: SUM_BITS] + terms[p*SUM_BITS +: SUM_BITS];
    end
  endgenerate
  always_ff @(posedge clk) begin
    if (valid) mem[word] <= sums;
    if (valid && tick) held[word] <= old;
    shadow <= held[shadow_word];
  end
  assign tick_done = valid && ends;
endmodule

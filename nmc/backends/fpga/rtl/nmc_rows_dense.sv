// Addresses of a fully connected layer: an event of source `id` is WORDS operations, one in a cycle, on the weight
// rows {id, word}; a tick is WORDS operations that empty the accumulators. Without a gap between one event and the next.
module nmc_rows_dense #(
  parameter WORDS     = 8,
  parameter ID_BITS   = 4,
  parameter VALUE_BITS = 1,
  parameter WORD_BITS = WORDS > 1 ? $clog2(WORDS) : 1,
  parameter ADDR_BITS = 7
) (
  input  logic                  clk,
  input  logic                  rst,
  input  logic                  s_valid,
  output logic                  s_ready,
  input  logic                  s_tick,
  input  logic [ID_BITS-1:0]    s_id,
  input  logic [VALUE_BITS-1:0] s_value,
  input  logic                  tick_ready,
  output logic                  tick_taken,
  output logic                  op_valid,
  output logic                  op_tick,
  output logic                  op_boot,
  output logic                  op_last,
  output logic [WORD_BITS-1:0]  op_word,
  output logic [ADDR_BITS-1:0]  op_addr,
  output logic [VALUE_BITS-1:0] op_value
);
  logic free;
  logic [ID_BITS-1:0] row;

  assign op_last    = op_word == WORD_BITS'(WORDS - 1);
  assign free       = !op_valid || op_last;
  assign s_ready    = free && (!s_tick || tick_ready);
  assign tick_taken = s_valid && s_ready && s_tick;

  generate
    if (WORDS > 1) begin : many
      assign op_addr = ADDR_BITS'({row, op_word});
    end else begin : one
      assign op_addr = ADDR_BITS'(row);
    end
  endgenerate

  // After reset one pass empties the accumulators, as a tick does.
  always_ff @(posedge clk) begin
    if (rst) begin
      op_valid <= 1'b1;
      op_tick  <= 1'b1;
      op_boot  <= 1'b1;
      op_word  <= '0;
    end else if (free) begin
      op_valid <= s_valid && s_ready;
      op_tick  <= s_tick;
      op_boot  <= 1'b0;
      op_word  <= '0;
    end else op_word <= op_word + 1'b1;
  end
  always_ff @(posedge clk) if (free) begin
    row      <= s_id;
    op_value <= s_value;
  end
endmodule

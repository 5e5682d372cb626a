// Addresses of any connection, from a table: each source has a run of synapse rows, and a row says which weight row
// is added to which word of accumulators. Rows that are equal share their weights, so that a convolution keeps its
// kernels once; its sources at the border have shorter runs. An event takes as many cycles as its run has rows, one
// if it has none; a tick takes WORDS cycles.
module nmc_rows_table #(
  parameter SOURCES    = 16,
  parameter WORDS      = 8,
  parameter ROWS       = 64,
  parameter COUNT_BITS = 4,
  parameter ID_BITS    = 4,
  parameter VALUE_BITS = 1,
  parameter ADDR_BITS  = 6,
  parameter RUN_SLICE  = 18,
  parameter RUN_BANK   = 1024,
  parameter ROW_SLICE  = 18,
  parameter ROW_BANK   = 1024,
  parameter RUN_FILE   = "",
  parameter ROW_FILE   = "",
  parameter WORD_BITS  = WORDS > 1 ? $clog2(WORDS) : 1,
  parameter FIRST_BITS = ROWS > 1 ? $clog2(ROWS) : 1
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
  localparam SOURCE_BITS = SOURCES > 1 ? $clog2(SOURCES) : 1;

  // ---- look the run of a source up: two stages that move together --------------------------------------------
  logic move, take, valid1, valid2, tick1, tick2;
  logic [VALUE_BITS-1:0] value1, value2;
  logic [COUNT_BITS-1:0] run_count;
  logic [FIRST_BITS-1:0] run_first;
  assign move    = !valid2 || take;
  assign s_ready = move;
  nmc_rom #(.DEPTH(SOURCES), .WIDTH(COUNT_BITS + FIRST_BITS), .SLICE(RUN_SLICE), .BANK(RUN_BANK), .FILE(RUN_FILE))
    runs (.clk(clk), .enable(move), .addr(s_id[SOURCE_BITS-1:0]), .data({run_count, run_first}));
  always_ff @(posedge clk) begin
    if (rst) begin
      valid1 <= 1'b0;
      valid2 <= 1'b0;
    end else if (move) begin
      valid1 <= s_valid;
      valid2 <= valid1;
    end
    if (move) begin
      tick1  <= s_tick;
      value1 <= s_value;
      tick2  <= tick1;
      value2 <= value1;
    end
  end

  // ---- walk along it -------------------------------------------------------------------------------------------
  logic busy, tick, boot, last, free;
  logic [WORD_BITS-1:0] word;
  logic [COUNT_BITS-1:0] left;
  logic [FIRST_BITS-1:0] row;
  logic [VALUE_BITS-1:0] value;
  assign last       = tick ? word == WORD_BITS'(WORDS - 1) : left == '0;
  assign free       = !busy || last;
  assign take       = valid2 && free && (!tick2 || tick_ready);
  assign tick_taken = take && tick2;
  always_ff @(posedge clk) begin
    if (rst) begin
      busy <= 1'b1;
      tick <= 1'b1;
      boot <= 1'b1;
      word <= '0;
    end else if (free) begin
      busy <= take && (tick2 || run_count != '0);
      tick <= tick2;
      boot <= 1'b0;
      word <= '0;
    end else word <= word + 1'b1;
    if (free) begin
      left  <= run_count - 1'b1;
      row   <= run_first;
      value <= value2;
    end else begin
      left <= left - 1'b1;
      row  <= row + 1'b1;
    end
  end

  // ---- what the row says, two cycles later ---------------------------------------------------------------------
  logic [WORD_BITS-1:0] row_word, word_a, word_b;
  logic [VALUE_BITS-1:0] value_a, value_b;
  logic valid_a, valid_b, tick_a, tick_b, boot_a, boot_b, last_a, last_b;
  nmc_rom #(.DEPTH(ROWS), .WIDTH(WORD_BITS + ADDR_BITS), .SLICE(ROW_SLICE), .BANK(ROW_BANK), .FILE(ROW_FILE))
    rows (.clk(clk), .enable(1'b1), .addr(row), .data({row_word, op_addr}));
  always_ff @(posedge clk) begin
    valid_a <= busy && !rst;    valid_b <= valid_a && !rst;
    tick_a  <= tick;            tick_b  <= tick_a;
    boot_a  <= boot;            boot_b  <= boot_a;
    last_a  <= last;            last_b  <= last_a;
    word_a  <= word;            word_b  <= word_a;
    value_a <= value;           value_b <= value_a;
  end
  assign op_valid = valid_b;
  assign op_tick  = tick_b;
  assign op_boot  = boot_b;
  assign op_last  = last_b;
  assign op_word  = tick_b ? word_b : row_word;
  assign op_value = value_b;
endmodule

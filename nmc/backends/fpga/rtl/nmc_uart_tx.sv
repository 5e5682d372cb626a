// Bytes onto a serial line: a start bit, 8 data bits with the lowest first, a stop bit, each DIVISOR cycles long.
module nmc_uart_tx #(
  parameter DIVISOR = 25,
  parameter BITS    = $clog2(DIVISOR)
) (
  input  logic       clk,
  input  logic       rst,
  input  logic       s_valid,
  output logic       s_ready,
  input  logic [7:0] s_byte,
  output logic       tx
);
  logic [9:0] line;
  logic [3:0] count;
  logic [BITS-1:0] left;
  assign s_ready = count == '0;
  assign tx      = line[0];
  always_ff @(posedge clk) begin
    if (rst) begin
      line  <= '1;
      count <= '0;
      left  <= '0;
    end else if (s_ready) begin
      left <= BITS'(DIVISOR - 1);
      if (s_valid) begin
        line  <= {1'b1, s_byte, 1'b0};
        count <= 4'd10;
      end
    end else if (left == '0) begin
      left  <= BITS'(DIVISOR - 1);
      line  <= {1'b1, line[9:1]};
      count <= count - 1'b1;
    end else left <= left - 1'b1;
  end
endmodule

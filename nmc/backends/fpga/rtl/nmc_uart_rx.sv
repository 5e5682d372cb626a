// Bytes from a serial line: a start bit, 8 data bits with the lowest first, a stop bit, each DIVISOR (4 or more)
// cycles long and looked at in its middle. m_valid stands for one cycle; a byte without its stop bit is dropped.
module nmc_uart_rx #(
  parameter DIVISOR = 25,
  parameter BITS    = $clog2(DIVISOR)
) (
  input  logic       clk,
  input  logic       rst,
  input  logic       rx,
  output logic       m_valid,
  output logic [7:0] m_byte
);
  localparam [3:0] STOP = 4'd9;
  logic [2:0] line;
  logic busy, look;
  logic [BITS-1:0] left;
  logic [3:0] index;
  assign look = busy && left == '0;
  always_ff @(posedge clk) begin
    line <= {line[1:0], rx};
    if (rst) begin
      line    <= '1;
      busy    <= 1'b0;
      m_valid <= 1'b0;
    end else begin
      m_valid <= look && index == STOP && line[1];
      if (!busy) begin
        busy  <= line[2] && !line[1];
        left  <= BITS'(DIVISOR / 2 - 1);
        index <= '0;
      end else if (look) begin
        // What is no start bit any more in its middle was none; after the stop bit the next byte may begin.
        busy  <= index == '0 ? !line[1] : index != STOP;
        left  <= BITS'(DIVISOR - 1);
        index <= index + 1'b1;
      end else left <= left - 1'b1;
    end
    if (look && index != STOP) m_byte <= {line[1], m_byte[7:1]};
  end
endmodule

// A reset for boards that have none: high for CYCLES cycles after the chip is configured.
module nmc_reset #(
  parameter CYCLES = 15,
  parameter BITS   = $clog2(CYCLES + 1)
) (
  input  logic clk,
  output logic rst
);
  logic [BITS-1:0] count;
  initial count = '0;
  assign rst = count != BITS'(CYCLES);
  always @(posedge clk) if (rst) count <= count + 1'b1;
endmodule

// A memory that is loaded from files and never written; see nmc_ram.
module nmc_rom #(
  parameter DEPTH = 16,
  parameter WIDTH = 8,
  parameter SLICE = 8,
  parameter BANK  = 16,
  parameter FILE  = "",
  parameter AW    = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
  input  logic             clk,
  input  logic             enable,
  input  logic [AW-1:0]    addr,
  output logic [WIDTH-1:0] data
);
  nmc_ram #(.DEPTH(DEPTH), .WIDTH(WIDTH), .SLICE(SLICE), .BANK(BANK), .FILE(FILE)) memory (
    .clk(clk), .enable(enable), .addr(addr), .data(data), .write(1'b0), .write_addr({AW{1'b0}}), .write_data({WIDTH{1'b0}})
  );
endmodule

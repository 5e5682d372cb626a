// The register bus as an AXI4-Lite slave: the word at byte address 4 * a is the weight at a of the bus, sign extended.
// One access at a time, a write before a read; responses are always OKAY.
module nmc_axi_lite (
  input  logic        clk,
  input  logic        rst,
  input  logic        awvalid,
  output logic        awready,
  input  logic [31:0] awaddr,
  input  logic        wvalid,
  output logic        wready,
  input  logic [31:0] wdata,
  input  logic [3:0]  wstrb,
  output logic        bvalid,
  input  logic        bready,
  output logic [1:0]  bresp,
  input  logic        arvalid,
  output logic        arready,
  input  logic [31:0] araddr,
  output logic        rvalid,
  input  logic        rready,
  output logic [31:0] rdata,
  output logic [1:0]  rresp,
  // {valid, write, address, value} and {valid, value}
  output logic [49:0] bus,
  input  logic [16:0] answer
);
  logic busy, writes, answered, begins_write, begins_read;
  logic [31:0] at;
  logic [15:0] value;
  assign answered     = answer[16];
  assign begins_write = !busy && !bvalid && !rvalid && awvalid && wvalid;
  assign begins_read  = !busy && !bvalid && !rvalid && arvalid && !begins_write;
  assign awready = begins_write;
  assign wready  = begins_write;
  assign arready = begins_read;
  assign bresp   = 2'b00;
  assign rresp   = 2'b00;
  assign bus     = {busy, writes, at, value};
  always_ff @(posedge clk) begin
    if (rst) begin
      busy   <= 1'b0;
      bvalid <= 1'b0;
      rvalid <= 1'b0;
    end else begin
      busy   <= busy ? !answered : begins_write || begins_read;
      bvalid <= bvalid ? !bready : busy && answered && writes;
      rvalid <= rvalid ? !rready : busy && answered && !writes;
    end
    if (begins_write || begins_read) begin
      writes <= begins_write;
      at     <= {2'b00, begins_write ? awaddr[31:2] : araddr[31:2]};
      value  <= wdata[15:0];
    end
    if (answered) rdata <= {{16{answer[15]}}, answer[15:0]};
  end
  logic unused;
  assign unused = &wstrb && &wdata[31:16] && &awaddr[1:0] && &araddr[1:0];
endmodule

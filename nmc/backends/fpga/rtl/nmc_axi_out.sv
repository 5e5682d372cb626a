// Words onto an AXI4-Stream: TDATA is a word {tick, value, id} at its lowest bits, zeros above; TLAST is the tick, so
// that a packet is a step. All outputs are registers.
module nmc_axi_out #(
  parameter WIDTH = 8,
  parameter TDATA = (WIDTH + 7) / 8 * 8
) (
  input  logic             clk,
  input  logic             rst,
  input  logic             s_valid,
  output logic             s_ready,
  input  logic [WIDTH-1:0] s_word,
  output logic             tvalid,
  input  logic             tready,
  output logic [TDATA-1:0] tdata,
  output logic             tlast
);
  assign s_ready = !tvalid || tready;
  always_ff @(posedge clk) begin
    if (rst) tvalid <= 1'b0;
    else if (s_ready) tvalid <= s_valid;
    if (s_ready) begin
      tdata <= TDATA'(s_word);
      tlast <= s_word[WIDTH-1];
    end
  end
endmodule

// Words from an AXI4-Stream: TDATA is a word {tick, value, id} at its lowest bits. Whether a word is a tick is its own
// bit, so that a packet may hold any number of steps: TLAST says nothing here. TREADY is a register (a skid buffer).
module nmc_axi_in #(
  parameter WIDTH = 8,
  parameter TDATA = (WIDTH + 7) / 8 * 8
) (
  input  logic             clk,
  input  logic             rst,
  input  logic             tvalid,
  output logic             tready,
  input  logic [TDATA-1:0] tdata,
  input  logic             tlast,
  output logic             m_valid,
  input  logic             m_ready,
  output logic [WIDTH-1:0] m_word
);
  logic full;
  logic [WIDTH-1:0] held;
  assign m_valid = full || (tvalid && tready);
  assign m_word  = full ? held : tdata[WIDTH-1:0];
  always_ff @(posedge clk) begin
    if (rst) begin
      full   <= 1'b0;
      tready <= 1'b0;
    end else begin
      full   <= m_valid && !m_ready;
      tready <= !m_valid || m_ready;
    end
    if (tready) held <= tdata[WIDTH-1:0];
  end
  logic unused;
  assign unused = tlast && &tdata;
endmodule

// Words from an address-event bus: four-phase handshake, bundled data. The sender puts the address and raises `req`,
// `ack` rises when the address is taken, `req` falls, `ack` falls. `req` comes from another clock; the address must
// stand from before `req` rises until `ack` rises. An address is a word {tick, value, id}: a tick has one of its own.
module nmc_aer_in #(
  parameter WIDTH = 8
) (
  input  logic             clk,
  input  logic             rst,
  input  logic             req,
  output logic             ack,
  input  logic [WIDTH-1:0] address,
  output logic             m_valid,
  input  logic             m_ready,
  output logic [WIDTH-1:0] m_word
);
  logic [1:0] asked;
  logic take;
  assign take = asked[1] && !ack && (!m_valid || m_ready);
  always_ff @(posedge clk) begin
    if (rst) begin
      asked   <= '0;
      ack     <= 1'b0;
      m_valid <= 1'b0;
    end else begin
      asked <= {asked[0], req};
      ack   <= asked[1] && (ack || take);
      if (take) m_valid <= 1'b1;
      else if (m_ready) m_valid <= 1'b0;
    end
    if (take) m_word <= address;
  end
endmodule

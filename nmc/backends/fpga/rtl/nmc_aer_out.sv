// Words onto an address-event bus: four-phase handshake, bundled data. The address stands for a cycle before `req`
// rises and until `ack` has risen; the next one comes after `ack` has fallen. `ack` comes from another clock.
module nmc_aer_out #(
  parameter WIDTH = 8
) (
  input  logic             clk,
  input  logic             rst,
  input  logic             s_valid,
  output logic             s_ready,
  input  logic [WIDTH-1:0] s_word,
  output logic             req,
  input  logic             ack,
  output logic [WIDTH-1:0] address
);
  logic [1:0] taken;
  logic full;
  assign s_ready = !full && !req && !taken[1];
  always_ff @(posedge clk) begin
    if (rst) begin
      taken <= '0;
      full  <= 1'b0;
      req   <= 1'b0;
    end else begin
      taken <= {taken[0], ack};
      full  <= s_ready ? s_valid : full && !(req && taken[1]);
      req   <= full && !(req && taken[1]);
    end
    if (s_ready && s_valid) address <= s_word;
  end
endmodule

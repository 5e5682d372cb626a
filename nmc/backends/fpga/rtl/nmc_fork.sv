// One stream to K: a word goes to all of them in the same cycle. Each branch must be ready by itself, as a queue is.
module nmc_fork #(
  parameter K = 2
) (
  input  logic         s_valid,
  output logic         s_ready,
  output logic [K-1:0] m_valid,
  input  logic [K-1:0] m_ready
);
  genvar k;
  assign s_ready = &m_ready;
  generate
    for (k = 0; k < K; k = k + 1) begin : branch
      assign m_valid[k] = s_valid && s_ready;
    end
  endgenerate
endmodule

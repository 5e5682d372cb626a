// K streams of {tick, value, id} into one, step by step: in each step all events of stream 0, then all of stream 1, …,
// then one tick. Streams are aligned by the caller: ids are at their final numbers, words have the same width.
module nmc_merge #(
  parameter K     = 2,
  parameter WIDTH = 8,
  parameter BITS  = $clog2(K)
) (
  input  logic               clk,
  input  logic               rst,
  input  logic [K-1:0]       s_valid,
  output logic [K-1:0]       s_ready,
  input  logic [K*WIDTH-1:0] s_words,
  output logic               m_valid,
  input  logic               m_ready,
  output logic [WIDTH-1:0]   m_word
);
  logic [BITS-1:0] which;
  logic ends, last;
  assign ends    = m_word[WIDTH-1];
  assign last    = which == BITS'(K - 1);
  assign m_valid = s_valid[which] && (!ends || last);
  genvar k, n;
  generate
    // Bit by bit: an index times a width would become a multiplier.
    for (n = 0; n < WIDTH; n = n + 1) begin : choose
      logic [K-1:0] choices;
      for (k = 0; k < K; k = k + 1) begin : choice
        assign choices[k] = s_words[k*WIDTH + n];
      end
      assign m_word[n] = choices[which];
    end
    for (k = 0; k < K; k = k + 1) begin : stream
      assign s_ready[k] = which == BITS'(k) && (ends && !last ? 1'b1 : m_ready);
    end
  endgenerate
  always_ff @(posedge clk) begin
    if (rst) which <= '0;
    else if (s_valid[which] && s_ready[which] && ends) which <= last ? '0 : which + 1'b1;
  end
endmodule

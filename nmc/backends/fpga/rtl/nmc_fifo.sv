// A queue of DEPTH words (a power of two) in a memory with a registered read port.
// A word that is pushed in cycle c can be taken from cycle c + 2 on. `count` are the words in the memory, the one
// that stands at the output left out.
module nmc_fifo #(
  parameter WIDTH = 8,
  parameter DEPTH = 16,
  parameter COUNT = $clog2(DEPTH) + 1
) (
  input  logic             clk,
  input  logic             rst,
  input  logic             s_valid,
  output logic             s_ready,
  input  logic [WIDTH-1:0] s_word,
  output logic             m_valid,
  input  logic             m_ready,
  output logic [WIDTH-1:0] m_word,
  output logic [COUNT-1:0] count
);
  logic [WIDTH-1:0] mem [0:DEPTH-1];
  logic [COUNT-1:0] wp, rp;
  logic push, pop;

  assign count   = wp - rp;
  assign s_ready = count != COUNT'(DEPTH);
  assign push    = s_valid && s_ready;
  assign pop     = count != '0 && (!m_valid || m_ready);

  always_ff @(posedge clk) begin
    if (push) mem[wp[COUNT-2:0]] <= s_word;
    if (pop) m_word <= mem[rp[COUNT-2:0]];
  end

  always_ff @(posedge clk) begin
    if (rst) begin
      wp      <= '0;
      rp      <= '0;
      m_valid <= 1'b0;
    end else begin
      if (push) wp <= wp + 1'b1;
      if (pop) rp <= rp + 1'b1;
      if (pop) m_valid <= 1'b1;
      else if (m_ready) m_valid <= 1'b0;
    end
  end
endmodule

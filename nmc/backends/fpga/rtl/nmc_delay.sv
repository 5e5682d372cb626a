// A stream STEPS steps later: as many ticks come first. The queue before it must hold that many steps and one more.
module nmc_delay #(
  parameter WIDTH = 8,
  parameter STEPS = 1,
  parameter BITS  = $clog2(STEPS + 1)
) (
  input  logic             clk,
  input  logic             rst,
  input  logic             s_valid,
  output logic             s_ready,
  input  logic [WIDTH-1:0] s_word,
  output logic             m_valid,
  input  logic             m_ready,
  output logic [WIDTH-1:0] m_word
);
  logic [BITS-1:0] left;
  logic ahead;
  assign ahead   = left != '0;
  assign s_ready = !ahead && m_ready;
  assign m_valid = ahead || s_valid;
  assign m_word  = ahead ? {1'b1, {(WIDTH-1){1'b0}}} : s_word;
  always_ff @(posedge clk) begin
    if (rst) left <= BITS'(STEPS);
    else if (ahead && m_ready) left <= left - 1'b1;
  end
endmodule

// A parameter of a neuron: a constant of all, or with EACH the field at bit AT of the neuron's own word.
module nmc_parameter #(
  parameter BITS  = 16,
  parameter EACH  = 0,
  parameter AT    = 0,
  parameter VALUE = 0,
  parameter WORD  = 16
) (
  input  logic [WORD-1:0] word,
  output logic [BITS-1:0] y
);
  generate
    if (EACH != 0) begin : own
      assign y = word[AT +: BITS];
    end else begin : shared
      assign y = BITS'(VALUE);
    end
  endgenerate
  logic unused;
  assign unused = &word;
endmodule

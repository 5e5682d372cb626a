// x times mantissa / 2**BITS, rounded down.
// FORM 0: y = x. FORM 1: one multiplication. FORM 2: x minus x >>> k for each set bit 2**(BITS - k) of
// 2**BITS - MANTISSA, the constant; each shift rounds down by itself.
module nmc_decay #(
  parameter WIDTH    = 16,
  parameter FORM     = 0,
  parameter BITS     = 8,
  parameter MANTISSA = 0
) (
  input  logic signed [WIDTH-1:0] x,
  input  logic        [BITS:0]    mantissa,
  output logic signed [WIDTH:0]   y
);
  generate
    if (FORM == 1) begin : multiply
      logic signed [WIDTH+BITS+1:0] product;
      assign product = x * $signed({1'b0, mantissa});
      assign y = (WIDTH+1)'(product >>> BITS);
    end else if (FORM == 2) begin : shifts
      localparam [BITS:0] REST = (BITS+1)'((1 << BITS) - MANTISSA);
      logic unused;
      assign unused = &mantissa;
      integer k;
      always_comb begin
        y = (WIDTH+1)'(x);
        for (k = 0; k <= BITS; k = k + 1) if (REST[BITS-k]) y = y - (WIDTH+1)'(x >>> k);
      end
    end else begin : none
      logic unused;
      assign unused = &mantissa;
      assign y = (WIDTH+1)'(x);
    end
  endgenerate
endmodule

// x in TO bits: moved to the nearer end of their range, or cut where x is proved to fit (SATURATE = 0).
module nmc_saturate #(
  parameter FROM     = 18,
  parameter TO       = 16,
  parameter SATURATE = 1
) (
  input  logic signed [FROM-1:0] x,
  output logic signed [TO-1:0]   y
);
  generate
    if (SATURATE != 0) begin : moved
      logic fits;
      assign fits = x[FROM-1:TO-1] == {(FROM-TO+1){x[FROM-1]}};
      assign y = fits ? x[TO-1:0] : {x[FROM-1], {(TO-1){~x[FROM-1]}}};
    end else begin : proved
      logic unused;
      assign unused = &x[FROM-1:TO];
      assign y = x[TO-1:0];
    end
  endgenerate
endmodule

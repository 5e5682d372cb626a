// Entry `index` of a constant table of ENTRIES unsigned numbers of BITS bits, entry 0 at the lowest.
module nmc_lookup #(
  parameter ENTRIES = 4,
  parameter BITS    = 4,
  parameter TABLE   = 16'd0,
  parameter INDEX   = ENTRIES > 1 ? $clog2(ENTRIES) : 1
) (
  input  logic [INDEX-1:0] index,
  output logic [BITS-1:0]  y
);
  localparam [ENTRIES*BITS-1:0] ALL = (ENTRIES*BITS)'(TABLE);
  genvar n, k;
  generate
    // Bit by bit: an index times a width would become a multiplier.
    for (n = 0; n < BITS; n = n + 1) begin : bits
      logic [ENTRIES-1:0] choices;
      for (k = 0; k < ENTRIES; k = k + 1) begin : choice
        assign choices[k] = ALL[k*BITS + n];
      end
      assign y[n] = choices[index];
    end
  endgenerate
endmodule

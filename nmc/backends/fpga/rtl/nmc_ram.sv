// A memory that is loaded from files, with one port to read and one to write: read latency 2, a block RAM and its output
// register; both hold while `enable` is low. A word must not be read in the cycle in which it is written.
// It is cut into slices of SLICE bits and banks of BANK words, each the shape of one block RAM of the part: a
// synthesizer left alone makes a deep memory of many shallow blocks, with multiplexers behind their slow outputs.
// Bank b of slice s is in the file `FILE.sss.bbb.hex`, all in decimal.
module nmc_ram #(
  parameter DEPTH = 16,
  parameter WIDTH = 8,
  parameter SLICE = 8,
  parameter BANK  = 16,
  parameter FILE  = "",
  parameter AW    = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
  input  logic             clk,
  input  logic             enable,
  input  logic [AW-1:0]    addr,
  output logic [WIDTH-1:0] data,
  input  logic             write,
  input  logic [AW-1:0]    write_addr,
  input  logic [WIDTH-1:0] write_data
);
  localparam SLICES = (WIDTH + SLICE - 1) / SLICE;
  localparam BANKS  = (DEPTH + BANK - 1) / BANK;
  localparam IN     = BANK > 1 ? $clog2(BANK) : 1;

  genvar s, b, n;
  generate
    for (s = 0; s < SLICES; s = s + 1) begin : slice
      localparam BITS = WIDTH - s * SLICE < SLICE ? WIDTH - s * SLICE : SLICE;
      logic [BITS*BANKS-1:0] read;
      for (b = 0; b < BANKS; b = b + 1) begin : bank
        localparam WORDS = DEPTH - b * BANK < BANK ? DEPTH - b * BANK : BANK;
        localparam WA = WORDS > 1 ? $clog2(WORDS) : 1;
        localparam [23:0] ZEROS     = {3{8'd48}};
        localparam [23:0] SLICENAME = ZEROS + {8'(s / 100), 8'((s / 10) % 10), 8'(s % 10)};
        localparam [23:0] BANKNAME  = ZEROS + {8'(b / 100), 8'((b / 10) % 10), 8'(b % 10)};
        (* no_rw_check *) logic [BITS-1:0] mem [0:WORDS-1];
        logic [BITS-1:0] q;
        logic here;
        if (BANKS == 1) begin : only
          assign here = write;
        end else begin : one_of
          assign here = write && write_addr[AW-1:IN] == (AW-IN)'(b);
        end
        initial if (FILE != "") $readmemh({FILE, ".", SLICENAME, ".", BANKNAME, ".hex"}, mem);
        always_ff @(posedge clk) begin
          if (enable) q <= mem[addr[WA-1:0]];
          if (here) mem[write_addr[WA-1:0]] <= write_data[s*SLICE +: BITS];
        end
        assign read[b*BITS +: BITS] = q;
      end
      if (BANKS == 1) begin : whole
        always_ff @(posedge clk) if (enable) data[s*SLICE +: BITS] <= read;
      end else begin : banked
        // Bit by bit: an index times a width would become a multiplier.
        logic [AW-1:IN] which;
        always_ff @(posedge clk) if (enable) which <= addr[AW-1:IN];
        for (n = 0; n < BITS; n = n + 1) begin : choose
          logic [BANKS-1:0] choices;
          for (b = 0; b < BANKS; b = b + 1) begin : choice
            assign choices[b] = read[b*BITS + n];
          end
          always_ff @(posedge clk) if (enable) data[s*SLICE + n] <= choices[which];
        end
      end
    end
  endgenerate
endmodule

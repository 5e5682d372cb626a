// The weights of a layer where they may change: rows of P weights, one port to read and one to write. The layer comes
// first, learning (nmc_stdp) while the layer waits for it, and the bus in cycles that neither needs: it reads a row
// and writes it back with one weight changed, or gives that weight. A bus address is {LAYER, row, lane}.
module nmc_weights #(
  parameter LAYER       = 0,
  parameter ROWS        = 16,
  parameter P           = 4,
  parameter WEIGHT_BITS = 6,
  parameter SLICE       = 18,
  parameter BANK        = 1024,
  parameter FILE        = "",
  parameter AW          = ROWS > 1 ? $clog2(ROWS) : 1
) (
  input  logic                     clk,
  input  logic                     rst,
  // the layer
  input  logic                     used,
  input  logic [AW-1:0]            addr,
  output logic [P*WEIGHT_BITS-1:0] weights,
  // learning
  input  logic                     learning,
  input  logic [AW-1:0]            learn_addr,
  input  logic                     learned,
  input  logic [AW-1:0]            learned_addr,
  input  logic [P*WEIGHT_BITS-1:0] learned_row,
  // {valid, write, address, value} and {valid, value}
  input  logic [49:0]              bus,
  output logic [16:0]              answer
);
  localparam LANE_BITS = P > 1 ? $clog2(P) : 1;
  localparam [1:0] WAITS = 2'd0, READS = 2'd1, COMES = 2'd2, STORES = 2'd3;

  // ---- one access of the bus at a time ----------------------------------------------------------------------------
  logic [1:0] state;
  logic free, reads, writes, stores, answers;
  logic [AW-1:0] row;
  logic [LANE_BITS-1:0] lane;
  logic [P*WEIGHT_BITS-1:0] changed, held;
  logic [WEIGHT_BITS-1:0] chosen;
  assign free   = !used && !learning;
  assign reads  = state == WAITS && free && bus[49] && bus[47:40] == 8'(LAYER);
  assign writes = bus[48];
  assign row    = bus[16+LANE_BITS +: AW];
  assign lane   = bus[16 +: LANE_BITS];
  assign stores = state == STORES && free;
  always_ff @(posedge clk) begin
    if (rst) state <= WAITS;
    else case (state)
      WAITS:   state <= reads ? READS : WAITS;
      READS:   state <= COMES;
      COMES:   state <= writes ? STORES : WAITS;
      // Learning may have changed the row since it was read: then it is read again.
      default: state <= learning || stores ? WAITS : STORES;
    endcase
    if (state == COMES) held <= changed;
  end
  // Answers of all layers are joined by OR: zeros from those that were not asked.
  assign answers = state == COMES && !writes || stores;
  assign answer  = answers ? {1'b1, 16'($signed(chosen))} : '0;

  // ---- one weight of the row ----------------------------------------------------------------------------------------
  genvar p, n;
  generate
    for (p = 0; p < P; p = p + 1) begin : change
      assign changed[p*WEIGHT_BITS +: WEIGHT_BITS] =
        lane == LANE_BITS'(p) ? bus[WEIGHT_BITS-1:0] : weights[p*WEIGHT_BITS +: WEIGHT_BITS];
    end
    // Bit by bit: an index times a width would become a multiplier.
    for (n = 0; n < WEIGHT_BITS; n = n + 1) begin : choose
      logic [P-1:0] choices;
      for (p = 0; p < P; p = p + 1) begin : choice
        assign choices[p] = weights[p*WEIGHT_BITS + n];
      end
      if (P > 1) begin : several
        assign chosen[n] = choices[lane];
      end else begin : single
        assign chosen[n] = choices[0];
      end
    end
  endgenerate
  logic unused;
  assign unused = &bus;

  nmc_ram #(.DEPTH(ROWS), .WIDTH(P * WEIGHT_BITS), .SLICE(SLICE), .BANK(BANK), .FILE(FILE)) memory (
    .clk(clk), .enable(1'b1), .addr(learning ? learn_addr : reads ? row : addr), .data(weights),
    .write(learned || stores), .write_addr(learned ? learned_addr : row), .write_data(learned ? learned_row : held)
  );
endmodule

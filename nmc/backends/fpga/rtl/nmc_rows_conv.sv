// Addresses of a convolution, from the coordinates of the input: nothing but the kernels is stored.
//
//   id   = (channel * HEIGHT + y) * WIDTH + x, taken apart by a pipeline that finds one bit of a quotient in a stage
//   taps : along y and along x an input meets taps at a constant distance; three small tables, one entry a channel, a
//          line, a column, say where they begin (in weight rows and in words) and how many there are, borders included
//
// An event is an operation for each tap that it meets and each of the BLOCKS words in which a lane holds its channels,
// one in a cycle, without a gap between one event and the next; one cycle if it meets none. A tick is WORDS operations.
// GROUP channels of the output listen to one group of the input: the other lanes do not add.
module nmc_rows_conv #(
  parameter SOURCES      = 16,
  parameter CHANNELS     = 1,
  parameter HEIGHT       = 4,
  parameter WIDTH        = 4,
  parameter P            = 4,
  parameter WORDS        = 16,
  parameter BLOCKS       = 1,
  parameter POSITIONS    = 16,
  parameter GROUP        = 4,
  parameter LINE_STEP    = 1, parameter LINE_BACK    = 1,
  parameter COLUMN_STEP  = 1, parameter COLUMN_BACK  = 1,
  parameter LINE_BITS    = 1, parameter COLUMN_BITS  = 1,
  parameter ID_BITS      = 4,
  parameter VALUE_BITS   = 1,
  parameter ADDR_BITS    = 4,
  parameter CHANNEL_FILE = "", parameter CHANNEL_SLICE = 18, parameter CHANNEL_BANK = 1024,
  parameter LINE_FILE    = "", parameter LINE_SLICE    = 18, parameter LINE_BANK    = 1024,
  parameter COLUMN_FILE  = "", parameter COLUMN_SLICE  = 18, parameter COLUMN_BANK  = 1024,
  parameter WORD_BITS    = WORDS > 1 ? $clog2(WORDS) : 1
) (
  input  logic                  clk,
  input  logic                  rst,
  input  logic                  s_valid,
  output logic                  s_ready,
  input  logic                  s_tick,
  input  logic [ID_BITS-1:0]    s_id,
  input  logic [VALUE_BITS-1:0] s_value,
  input  logic                  tick_ready,
  output logic                  tick_taken,
  output logic                  op_valid,
  output logic                  op_tick,
  output logic                  op_boot,
  output logic                  op_last,
  output logic [WORD_BITS-1:0]  op_word,
  output logic [ADDR_BITS-1:0]  op_addr,
  output logic [VALUE_BITS-1:0] op_value,
  output logic [P-1:0]          op_lanes
);
  localparam OF_CHANNEL = $clog2(CHANNELS);
  localparam OF_LINE    = $clog2(HEIGHT);
  localparam DIVISIONS  = OF_CHANNEL + OF_LINE;
  localparam STAGES     = DIVISIONS + 3;
  localparam C_BITS     = CHANNELS > 1 ? OF_CHANNEL : 1;
  localparam Y_BITS     = HEIGHT > 1 ? OF_LINE : 1;
  localparam X_BITS     = WIDTH > 1 ? $clog2(WIDTH) : 1;
  localparam OUT_BITS   = $clog2(P * BLOCKS + 1);
  localparam BLOCK_BITS = BLOCKS > 1 ? $clog2(BLOCKS) : 1;

  // ---- stages that move together, unless the last holds what cannot be taken yet ------------------------------------
  logic move, take, tick;
  logic [STAGES-1:0] valids, ticks;
  logic [STAGES*VALUE_BITS-1:0] values;
  assign tick    = ticks[STAGES-1];
  assign move    = !valids[STAGES-1] || take;
  assign s_ready = move;
  always_ff @(posedge clk) begin
    if (rst) valids <= '0;
    else if (move) valids <= {valids[STAGES-2:0], s_valid};
    if (move) begin
      ticks  <= {ticks[STAGES-2:0], s_tick};
      values <= {values[(STAGES-1)*VALUE_BITS-1:0], s_value};
    end
  end

  // ---- coordinates: a bit of the channel or of the line in each stage, the column remains ------------------------------
  logic [C_BITS-1:0] channel;
  logic [Y_BITS-1:0] line;
  logic [X_BITS-1:0] column;
  genvar s, p;
  generate
    if (DIVISIONS > 0) begin : divide
      for (s = 0; s < DIVISIONS; s = s + 1) begin : stage
        localparam DIVISOR = s < OF_CHANNEL ? (HEIGHT * WIDTH) << (OF_CHANNEL - 1 - s)
                                            : WIDTH << (DIVISIONS - 1 - s);
        logic [ID_BITS-1:0] given, rest;
        logic [DIVISIONS-1:0] seen, bits;
        logic over;
        if (s == 0) begin : first
          assign given = s_id;
          assign seen   = '0;
        end else begin : further
          assign given = stage[s-1].rest;
          assign seen   = stage[s-1].bits;
        end
        if (DIVISOR < SOURCES) begin : compare
          assign over = given >= ID_BITS'(DIVISOR);
        end else begin : never
          assign over = 1'b0;
        end
        always_ff @(posedge clk) if (move) begin
          rest <= over ? given - ID_BITS'(DIVISOR) : given;
          bits <= seen | (DIVISIONS'(over) << (DIVISIONS - 1 - s));
        end
      end
      if (CHANNELS > 1) begin : channels
        assign channel = stage[DIVISIONS-1].bits[OF_LINE +: C_BITS];
      end else begin : one_channel
        assign channel = '0;
      end
      if (HEIGHT > 1) begin : lines
        assign line = stage[DIVISIONS-1].bits[0 +: Y_BITS];
      end else begin : one_line
        assign line = '0;
      end
      assign column = stage[DIVISIONS-1].rest[X_BITS-1:0];
      logic unused;
      assign unused = &stage[DIVISIONS-1].rest && &stage[DIVISIONS-1].bits;
    end else begin : columns_only
      assign channel = '0;
      assign line    = '0;
      assign column  = s_id[X_BITS-1:0];
    end
  endgenerate

  // ---- where the taps begin, and how many there are -------------------------------------------------------------------
  logic [OUT_BITS-1:0] group_of, group_first;
  logic [ADDR_BITS-1:0] channel_addr, line_addr, column_addr, first_addr;
  logic [WORD_BITS-1:0] line_word, column_word, first_word;
  logic [LINE_BITS-1:0] line_count, lines;
  logic [COLUMN_BITS-1:0] column_count, columns;
  nmc_rom #(
    .DEPTH(CHANNELS), .WIDTH(OUT_BITS + ADDR_BITS), .SLICE(CHANNEL_SLICE), .BANK(CHANNEL_BANK), .FILE(CHANNEL_FILE)
  ) of_channel (.clk(clk), .enable(move), .addr(channel), .data({group_of, channel_addr}));
  nmc_rom #(
    .DEPTH(HEIGHT), .WIDTH(LINE_BITS + WORD_BITS + ADDR_BITS), .SLICE(LINE_SLICE), .BANK(LINE_BANK), .FILE(LINE_FILE)
  ) of_line (.clk(clk), .enable(move), .addr(line), .data({line_count, line_word, line_addr}));
  nmc_rom #(
    .DEPTH(WIDTH), .WIDTH(COLUMN_BITS + WORD_BITS + ADDR_BITS), .SLICE(COLUMN_SLICE), .BANK(COLUMN_BANK),
    .FILE(COLUMN_FILE)
  ) of_column (.clk(clk), .enable(move), .addr(column), .data({column_count, column_word, column_addr}));
  always_ff @(posedge clk) if (move) begin
    first_addr  <= channel_addr + line_addr + column_addr;
    first_word  <= line_word + column_word;
    group_first <= group_of;
    lines       <= line_count;
    columns     <= column_count;
  end

  // ---- walk along them: blocks, then columns, then lines ----------------------------------------------------------------
  logic free, block_last, column_last, line_last;
  logic [BLOCK_BITS-1:0] block;
  logic [COLUMN_BITS-1:0] columns_left, columns_all;
  logic [LINE_BITS-1:0] lines_left;
  logic [ADDR_BITS-1:0] line_at;
  logic [WORD_BITS-1:0] line_onto;
  logic [OUT_BITS-1:0] listens;
  assign block_last  = block == BLOCK_BITS'(BLOCKS - 1);
  assign column_last = columns_left == COLUMN_BITS'(1);
  assign line_last   = lines_left == LINE_BITS'(1);
  assign op_last     = op_tick ? op_word == WORD_BITS'(WORDS - 1) : block_last && column_last && line_last;
  assign free        = !op_valid || op_last;
  assign take        = valids[STAGES-1] && free && (!tick || tick_ready);
  assign tick_taken  = take && tick;
  always_ff @(posedge clk) begin
    if (rst) begin
      // After reset one pass empties the accumulators, as a tick does.
      op_valid <= 1'b1;
      op_tick  <= 1'b1;
      op_boot  <= 1'b1;
      op_word  <= '0;
    end else if (free) begin
      op_valid <= take && (tick || (lines != '0 && columns != '0));
      op_tick  <= tick;
      op_boot  <= 1'b0;
      op_word  <= tick ? '0 : first_word;
    end else if (op_tick) op_word <= op_word + 1'b1;
    else if (!block_last) op_word <= op_word + WORD_BITS'(POSITIONS);
    else if (!column_last) op_word <= op_word - WORD_BITS'(COLUMN_BACK + (BLOCKS - 1) * POSITIONS);
    else op_word <= line_onto - WORD_BITS'(LINE_BACK);
  end
  always_ff @(posedge clk) begin
    if (free) begin
      op_addr      <= first_addr;
      op_value     <= values[(STAGES-1)*VALUE_BITS +: VALUE_BITS];
      block        <= '0;
      columns_left <= columns;
      columns_all  <= columns;
      lines_left   <= lines;
      line_at      <= first_addr;
      line_onto    <= first_word;
      listens      <= group_first;
    end else if (!op_tick) begin
      block <= block_last ? '0 : block + 1'b1;
      if (!block_last) op_addr <= op_addr + 1'b1;
      else if (!column_last) begin
        op_addr      <= op_addr + ADDR_BITS'(COLUMN_STEP - (BLOCKS - 1));
        columns_left <= columns_left - 1'b1;
      end else begin
        op_addr      <= line_at + ADDR_BITS'(LINE_STEP);
        columns_left <= columns_all;
        lines_left   <= lines_left - 1'b1;
        line_at      <= line_at + ADDR_BITS'(LINE_STEP);
        line_onto    <= line_onto - WORD_BITS'(LINE_BACK);
      end
    end
  end

  // ---- lanes whose channel is in the source's group ---------------------------------------------------------------------
  generate
    if (GROUP < P * BLOCKS) begin : grouped
      for (p = 0; p < P; p = p + 1) begin : lane
        logic [OUT_BITS-1:0] behind;
        assign behind      = OUT_BITS'(p * BLOCKS) + OUT_BITS'(block) - listens;
        assign op_lanes[p] = behind < OUT_BITS'(GROUP);
      end
    end else begin : all
      logic unused;
      assign unused   = &listens;
      assign op_lanes = '1;
    end
  endgenerate
endmodule

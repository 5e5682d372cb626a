// A population and all connections into it: addresses, weights, accumulators, neurons, queue.
// The stream that comes in has {tick, value, id} in each word, id over all sources of all connections; the one that
// goes out has the numbers of neurons that spiked, then the tick. Values are there with GRADED in, without FIRE out.
module nmc_layer #(
  // the connections
  parameter SOURCES     = 16,
  parameter N           = 32,
  parameter P           = 4,
  parameter U           = 1,
  parameter WORDS       = (N + P - 1) / P,
  parameter TABLE       = 0,
  parameter ROWS        = 1,
  parameter COUNT_BITS  = 1,
  parameter WEIGHT_ROWS = 16,
  parameter WEIGHT_BITS = 6,
  parameter GRADED      = 0,
  parameter SIGNED      = 0,
  parameter VALUE_BITS  = 1,
  parameter SUM_BITS    = 12,
  parameter BLOCK       = 0,
  parameter WEIGHT_FILE = "", parameter RUN_FILE = "", parameter ROW_FILE = "", parameter EACH_FILE = "",
  parameter WEIGHT_SLICE = 18, parameter WEIGHT_BANK = 1024,
  parameter RUN_SLICE    = 18, parameter RUN_BANK    = 1024,
  parameter ROW_SLICE    = 18, parameter ROW_BANK    = 1024,
  parameter EACH_SLICE   = 18, parameter EACH_BANK   = 1024,
  // a convolution: see nmc_rows_conv
  parameter CONV        = 0,
  parameter CHANNELS    = 1,  parameter HEIGHT     = 1,  parameter WIDTH = 1,
  parameter BLOCKS      = 1,  parameter POSITIONS  = 1,  parameter GROUP = P * BLOCKS,
  parameter LINE_STEP   = 1,  parameter LINE_BACK  = 1,  parameter LINE_BITS   = 1,
  parameter COLUMN_STEP = 1,  parameter COLUMN_BACK = 1, parameter COLUMN_BITS = 1,
  parameter CHANNEL_FILE = "", parameter CHANNEL_SLICE = 18, parameter CHANNEL_BANK = 1024,
  parameter LINE_FILE    = "", parameter LINE_SLICE    = 18, parameter LINE_BANK    = 1024,
  parameter COLUMN_FILE  = "", parameter COLUMN_SLICE  = 18, parameter COLUMN_BANK  = 1024,
  parameter RUNTIME     = 0,  parameter LAYER      = 0,
  // learning: see nmc_stdp
  parameter STDP        = 0,  parameter STDP_SOURCES = 1, parameter STDP_OFFSET = 0,
  parameter STDP_WINDOW = 1,  parameter STDP_BITS  = 1,
  parameter POTENTIATION = 2'd0, parameter DEPRESSION = 2'd0,
  parameter STDP_MINIMUM = 0, parameter STDP_MAXIMUM = 0,
  // the neurons
  parameter SHIFT       = 0,
  parameter V_BITS      = 16, parameter V_SATURATE = 1,
  parameter SYNAPSE     = 0,
  parameter I_BITS      = 1,  parameter I_SATURATE = 1,
  parameter DECAY_BITS  = 8,
  parameter V_FORM      = 0,  parameter V_MANTISSA = 0,
  parameter I_FORM      = 0,  parameter I_MANTISSA = 0,
  parameter FIRE        = 1,
  parameter AT_LEAST    = 0,
  parameter RESET       = 1,
  parameter WHEN        = 0,
  parameter CLAMP       = 0,
  parameter REFRACTORY  = 0,  parameter WAIT_BITS  = 1,
  parameter THRESHOLD   = 0,
  parameter BIAS        = 0,
  parameter MINIMUM     = 0,
  parameter PERIOD      = 0,
  parameter V_START     = 0,
  parameter I_START     = 0,
  parameter EACH_THRESHOLD = 0, parameter AT_THRESHOLD = 0,
  parameter EACH_BIAS      = 0, parameter AT_BIAS      = 0,
  parameter EACH_MINIMUM   = 0, parameter AT_MINIMUM   = 0,
  parameter EACH_PERIOD    = 0, parameter AT_PERIOD    = 0,
  parameter EACH_V_START   = 0, parameter AT_V_START   = 0,
  parameter EACH_I_START   = 0, parameter AT_I_START   = 0,
  parameter EACH_V_DECAY   = 0, parameter AT_V_DECAY   = 0,
  parameter EACH_I_DECAY   = 0, parameter AT_I_DECAY   = 0,
  parameter EACH_BITS      = 0,
  // derived: leave alone
  parameter IN_BITS   = $clog2(SOURCES) > 0 ? $clog2(SOURCES) : 1,
  parameter IN_WORD   = 1 + IN_BITS + (GRADED != 0 ? VALUE_BITS : 0),
  parameter OUT_BITS  = $clog2(N) > 0 ? $clog2(N) : 1,
  parameter OUT_WORD  = 1 + OUT_BITS + (FIRE != 0 ? 0 : V_BITS)
) (
  input  logic                clk,
  input  logic                rst,
  input  logic                s_valid,
  output logic                s_ready,
  input  logic [IN_WORD-1:0]  s_word,
  output logic                m_valid,
  input  logic                m_ready,
  output logic [OUT_WORD-1:0] m_word,
  // weights that may change, {valid, write, address, value} and {valid, value}: see nmc_weights
  input  logic [49:0]         bus,
  output logic [16:0]         answer
);
  localparam WORD_BITS = WORDS > 1 ? $clog2(WORDS) : 1;
  localparam ADDR_BITS = WEIGHT_ROWS > 1 ? $clog2(WEIGHT_ROWS) : 1;
  localparam SWEEP     = WORDS * (P / U);
  localparam DEPTH     = 1 << $clog2(SWEEP + 2);
  localparam COUNT     = $clog2(DEPTH) + 1;
  localparam QUEUED    = 1 + OUT_BITS + (U > 1 ? U : 0) + (FIRE != 0 ? 0 : U * V_BITS);

  // ---- events to operations -----------------------------------------------------------------------------------------
  logic s_tick, tick_ready, tick_taken, tick_done, learns;
  logic [IN_BITS-1:0] s_id;
  logic [VALUE_BITS-1:0] s_value, op_value;
  logic op_valid, op_tick, op_boot, op_last;
  logic [WORD_BITS-1:0] op_word;
  logic [ADDR_BITS-1:0] op_addr;
  logic [P-1:0] op_lanes;
  assign s_tick = s_word[IN_WORD-1];
  assign s_id   = s_word[IN_BITS-1:0];
  generate
    if (GRADED != 0) begin : graded
      assign s_value = s_word[IN_BITS +: VALUE_BITS];
    end else begin : spikes
      assign s_value = '0;
    end
    if (CONV != 0) begin : conv
      nmc_rows_conv #(
        .SOURCES(SOURCES), .CHANNELS(CHANNELS), .HEIGHT(HEIGHT), .WIDTH(WIDTH), .P(P), .WORDS(WORDS), .BLOCKS(BLOCKS),
        .POSITIONS(POSITIONS), .GROUP(GROUP), .LINE_STEP(LINE_STEP), .LINE_BACK(LINE_BACK),
        .COLUMN_STEP(COLUMN_STEP), .COLUMN_BACK(COLUMN_BACK), .LINE_BITS(LINE_BITS), .COLUMN_BITS(COLUMN_BITS),
        .ID_BITS(IN_BITS), .VALUE_BITS(VALUE_BITS), .ADDR_BITS(ADDR_BITS),
        .CHANNEL_FILE(CHANNEL_FILE), .CHANNEL_SLICE(CHANNEL_SLICE), .CHANNEL_BANK(CHANNEL_BANK),
        .LINE_FILE(LINE_FILE), .LINE_SLICE(LINE_SLICE), .LINE_BANK(LINE_BANK),
        .COLUMN_FILE(COLUMN_FILE), .COLUMN_SLICE(COLUMN_SLICE), .COLUMN_BANK(COLUMN_BANK)
      ) address (.*);
    end else if (TABLE != 0) begin : rows
      assign op_lanes = '1;
      nmc_rows_table #(
        .SOURCES(SOURCES), .WORDS(WORDS), .ROWS(ROWS), .COUNT_BITS(COUNT_BITS), .ID_BITS(IN_BITS),
        .VALUE_BITS(VALUE_BITS), .ADDR_BITS(ADDR_BITS), .RUN_SLICE(RUN_SLICE), .RUN_BANK(RUN_BANK),
        .ROW_SLICE(ROW_SLICE), .ROW_BANK(ROW_BANK), .RUN_FILE(RUN_FILE), .ROW_FILE(ROW_FILE)
      ) address (.*);
    end else begin : dense
      logic ready;
      assign op_lanes = '1;
      nmc_rows_dense #(
        .WORDS(WORDS), .ID_BITS(IN_BITS), .VALUE_BITS(VALUE_BITS), .ADDR_BITS(ADDR_BITS)
      ) address (.s_valid(s_valid && !learns), .s_ready(ready), .*);
      assign s_ready = ready && !learns;
    end
  endgenerate

  // ---- operations to sums -------------------------------------------------------------------------------------------
  logic [P*WEIGHT_BITS-1:0] weights;
  logic push_tick, stepping;
  logic [U-1:0] push_mask;
  logic [WORD_BITS-1:0] shadow_word;
  logic [P*SUM_BITS-1:0] shadow;
  logic learning, learned;
  logic [ADDR_BITS-1:0] learn_addr, learned_addr;
  logic [P*WEIGHT_BITS-1:0] learned_row;
  generate
    if (STDP != 0) begin : plastic
      nmc_stdp #(
        .SOURCES(STDP_SOURCES), .OFFSET(STDP_OFFSET), .ID_BITS(IN_BITS), .P(P), .U(U), .WORDS(WORDS),
        .WEIGHT_BITS(WEIGHT_BITS), .ADDR_BITS(ADDR_BITS), .WINDOW(STDP_WINDOW), .CHANGE_BITS(STDP_BITS),
        .POTENTIATION(POTENTIATION), .DEPRESSION(DEPRESSION), .MINIMUM(STDP_MINIMUM), .MAXIMUM(STDP_MAXIMUM)
      ) stdp (
        .clk(clk), .rst(rst), .event_taken(s_valid && s_ready && !s_tick), .event_id(s_id), .tick_taken(tick_taken),
        .stepping(stepping), .spikes(push_mask), .swept(push_tick), .blocks(learns), .learning(learning),
        .learn_addr(learn_addr), .weights(weights), .learned(learned), .learned_addr(learned_addr),
        .learned_row(learned_row)
      );
    end else begin : fixed
      assign learns       = 1'b0;
      assign learning     = 1'b0;
      assign learn_addr   = '0;
      assign learned      = 1'b0;
      assign learned_addr = '0;
      assign learned_row  = '0;
      logic unused_here;
      assign unused_here = stepping && learns;
    end
    if (RUNTIME != 0) begin : writable
      nmc_weights #(
        .LAYER(LAYER), .ROWS(WEIGHT_ROWS), .P(P), .WEIGHT_BITS(WEIGHT_BITS), .SLICE(WEIGHT_SLICE), .BANK(WEIGHT_BANK),
        .FILE(WEIGHT_FILE)
      ) memory (
        .clk(clk), .rst(rst), .used(op_valid && !op_tick), .addr(op_addr), .weights(weights), .learning(learning),
        .learn_addr(learn_addr), .learned(learned), .learned_addr(learned_addr), .learned_row(learned_row),
        .bus(bus), .answer(answer)
      );
    end else begin : constant
      nmc_rom #(
        .DEPTH(WEIGHT_ROWS), .WIDTH(P * WEIGHT_BITS), .SLICE(WEIGHT_SLICE), .BANK(WEIGHT_BANK), .FILE(WEIGHT_FILE)
      ) memory (.clk(clk), .enable(1'b1), .addr(op_addr), .data(weights));
      logic unused_here;
      assign unused_here = &bus && learning && &learn_addr && learned && &learned_addr && &learned_row;
      assign answer = '0;
    end
  endgenerate
  nmc_accumulator #(
    .P(P), .WORDS(WORDS), .WEIGHT_BITS(WEIGHT_BITS), .VALUE_BITS(VALUE_BITS), .GRADED(GRADED), .SIGNED(SIGNED),
    .SUM_BITS(SUM_BITS), .BLOCK(BLOCK), .MASKED(CONV != 0 && GROUP < P * BLOCKS ? 1 : 0)
  ) accumulator (.*);

  // ---- sums to spikes -----------------------------------------------------------------------------------------------
  logic idle, push;
  logic [OUT_BITS-1:0] push_base;
  logic [U*V_BITS-1:0] push_values;
  nmc_update #(
    .N(N), .P(P), .U(U), .WORDS(WORDS), .SUM_BITS(SUM_BITS), .SHIFT(SHIFT), .V_BITS(V_BITS), .V_SATURATE(V_SATURATE),
    .SYNAPSE(SYNAPSE), .I_BITS(I_BITS), .I_SATURATE(I_SATURATE), .DECAY_BITS(DECAY_BITS), .V_FORM(V_FORM),
    .V_MANTISSA(V_MANTISSA), .I_FORM(I_FORM), .I_MANTISSA(I_MANTISSA), .FIRE(FIRE), .AT_LEAST(AT_LEAST),
    .RESET(RESET), .WHEN(WHEN), .CLAMP(CLAMP), .REFRACTORY(REFRACTORY), .WAIT_BITS(WAIT_BITS),
    .THRESHOLD(THRESHOLD), .BIAS(BIAS), .MINIMUM(MINIMUM), .PERIOD(PERIOD), .V_START(V_START), .I_START(I_START),
    .EACH_THRESHOLD(EACH_THRESHOLD), .AT_THRESHOLD(AT_THRESHOLD), .EACH_BIAS(EACH_BIAS), .AT_BIAS(AT_BIAS),
    .EACH_MINIMUM(EACH_MINIMUM), .AT_MINIMUM(AT_MINIMUM), .EACH_PERIOD(EACH_PERIOD), .AT_PERIOD(AT_PERIOD),
    .EACH_V_START(EACH_V_START), .AT_V_START(AT_V_START), .EACH_I_START(EACH_I_START), .AT_I_START(AT_I_START),
    .EACH_V_DECAY(EACH_V_DECAY), .AT_V_DECAY(AT_V_DECAY), .EACH_I_DECAY(EACH_I_DECAY), .AT_I_DECAY(AT_I_DECAY),
    .EACH_BITS(EACH_BITS), .EACH_SLICE(EACH_SLICE), .EACH_BANK(EACH_BANK), .EACH_FILE(EACH_FILE)
  ) update (.*);

  // ---- the queue holds all that one sweep can give, so that a sweep never waits -----------------------------------------
  logic [QUEUED-1:0] queue_in, queue_out;
  logic queue_valid, queue_ready, queue_space;
  logic [COUNT-1:0] count;
  assign tick_ready = idle && count <= COUNT'(DEPTH - SWEEP - 2);
  nmc_fifo #(.WIDTH(QUEUED), .DEPTH(DEPTH)) queue (
    .clk(clk), .rst(rst), .s_valid(push), .s_ready(queue_space), .s_word(queue_in),
    .m_valid(queue_valid), .m_ready(queue_ready), .m_word(queue_out), .count(count)
  );
  logic unused;
  assign unused = queue_space;

  // ---- one neuron of the U in a cycle, the lowest first -------------------------------------------------------------------
  logic out_tick;
  logic [OUT_BITS-1:0] out_id;
  assign m_valid  = queue_valid;
  assign out_tick = queue_out[QUEUED-1];
  generate
    if (U > 1) begin : several
      logic [U-1:0] mask, left, sent, low;
      logic [OUT_BITS-1:0] offset;
      integer k;
      assign mask = queue_out[OUT_BITS +: U];
      assign left = mask & ~sent;
      assign low  = left & (~left + 1'b1);
      always_comb begin
        offset = '0;
        for (k = 0; k < U; k = k + 1) if (low[k]) offset = offset | OUT_BITS'(k * WORDS);
      end
      assign out_id      = queue_out[OUT_BITS-1:0] + offset;
      assign queue_ready = m_ready && (out_tick || left == low);
      always_ff @(posedge clk) begin
        if (rst || (queue_valid && queue_ready)) sent <= '0;
        else if (queue_valid && m_ready) sent <= sent | low;
      end
    end else begin : single
      assign out_id      = queue_out[OUT_BITS-1:0];
      assign queue_ready = m_ready;
    end
    if (U > 1 && FIRE == 0) begin : values
      logic [V_BITS-1:0] value;
      integer k;
      always_comb begin
        value = '0;
        for (k = 0; k < U; k = k + 1)
          if (several.low[k]) value = value | queue_out[OUT_BITS + U + k*V_BITS +: V_BITS];
      end
      assign queue_in = {push_tick, push_values, push_mask, push_base};
      assign m_word   = {out_tick, value, out_id};
    end else if (U > 1) begin : masks
      logic unused_here;
      assign unused_here  = &push_values;
      assign queue_in = {push_tick, push_mask, push_base};
      assign m_word   = {out_tick, out_id};
    end else if (FIRE == 0) begin : value
      assign queue_in = {push_tick, push_values, push_base};
      assign m_word   = {out_tick, queue_out[OUT_BITS +: V_BITS], out_id};
      logic unused_here;
      assign unused_here  = &push_mask;
    end else begin : id
      assign queue_in = {push_tick, push_base};
      assign m_word   = {out_tick, out_id};
      logic unused_here;
      assign unused_here  = &push_mask && &push_values;
    end
  endgenerate
endmodule

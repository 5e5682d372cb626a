// The neurons of a layer, U side by side, after each tick one sweep over all of them: reads sums and states, steps
// the neurons (nmc_neuron), writes states, queues what spiked, and last the tick.
//
// Lane p of the accumulators holds the neurons p * WORDS .. p * WORDS + WORDS - 1. A sweep goes over the words, and
// in each over its P / U groups; `base` is the number of the first neuron of a group, the others follow at a
// distance of WORDS. Without FIRE every neuron gives its membrane, unless that is zero.
module nmc_update #(
  parameter N           = 32,
  parameter P           = 4,
  parameter U           = 1,
  parameter WORDS       = 8,
  parameter SUM_BITS    = 12,
  parameter SHIFT       = 0,
  parameter V_BITS      = 16,
  parameter V_SATURATE  = 1,
  parameter SYNAPSE     = 0,
  parameter I_BITS      = 1,
  parameter I_SATURATE  = 1,
  parameter DECAY_BITS  = 8,
  parameter V_FORM      = 2,
  parameter V_MANTISSA  = 0,
  parameter I_FORM      = 2,
  parameter I_MANTISSA  = 0,
  parameter FIRE        = 1,
  parameter AT_LEAST    = 0,
  parameter RESET       = 1,
  parameter WHEN        = 0,
  parameter CLAMP       = 0,
  parameter REFRACTORY  = 0,
  parameter WAIT_BITS   = 1,
  // Constants of all neurons; where EACH_x is set, the parameter memory holds one for each at bit AT_x.
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
  parameter EACH_BITS   = 0,
  parameter EACH_SLICE  = 18,
  parameter EACH_BANK   = 1024,
  parameter EACH_FILE   = "",
  parameter ID_BITS     = $clog2(N) > 0 ? $clog2(N) : 1,
  parameter WORD_BITS   = WORDS > 1 ? $clog2(WORDS) : 1
) (
  input  logic                       clk,
  input  logic                       rst,
  input  logic                       tick_taken,
  input  logic                       tick_done,
  output logic                       idle,
  output logic [WORD_BITS-1:0]       shadow_word,
  input  logic [P*SUM_BITS-1:0]      shadow,
  output logic                       push,
  output logic                       push_tick,
  output logic                       stepping,
  output logic [ID_BITS-1:0]         push_base,
  output logic [U-1:0]               push_mask,
  output logic [U*V_BITS-1:0]        push_values
);
  localparam GROUPS     = P / U;
  localparam SWEEP      = WORDS * GROUPS;
  localparam GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1;
  localparam SWEEP_BITS = SWEEP > 1 ? $clog2(SWEEP) : 1;
  localparam BASE_BITS  = $clog2(P * WORDS + 1);
  localparam STATE_BITS = V_BITS + (SYNAPSE != 0 ? I_BITS : 0) + (REFRACTORY != 0 ? WAIT_BITS : 0);
  localparam AT_WAIT    = V_BITS + (SYNAPSE != 0 ? I_BITS : 0);

  // ---- the sweep -------------------------------------------------------------------------------------------------
  logic sweeping, starting;
  logic [WORD_BITS-1:0] word;
  logic [GROUP_BITS-1:0] group;
  logic [SWEEP_BITS-1:0] at;
  logic [BASE_BITS-1:0] base;
  logic group_last, sweep_last;
  assign group_last  = group == GROUP_BITS'(GROUPS - 1);
  assign sweep_last  = at == SWEEP_BITS'(SWEEP - 1);
  assign shadow_word = word;
  always_ff @(posedge clk) begin
    if (rst) begin
      sweeping <= 1'b1;
      starting <= 1'b1;
    end else begin
      if (sweeping) sweeping <= !sweep_last;
      else if (tick_done) sweeping <= 1'b1;
      if (sweeping && sweep_last) starting <= 1'b0;
    end
    if (rst || !sweeping) begin
      word  <= '0;
      group <= '0;
      at    <= '0;
      base  <= '0;
    end else begin
      at    <= at + 1'b1;
      group <= group_last ? '0 : group + 1'b1;
      word  <= group_last ? word + 1'b1 : word;
      base  <= group_last ? BASE_BITS'(word) + 1'b1 : base + BASE_BITS'(U * WORDS);
    end
  end

  // ---- stages 1 and 2: read memories, choose U sums of P -----------------------------------------------------------
  logic [8:1] runs;
  logic [7:1] ends, begins;
  logic [GROUP_BITS-1:0] group1;
  logic [BASE_BITS-1:0] base1, base2, base3, base4, base5, base6, base7;
  logic [SWEEP_BITS-1:0] at1, at2, at3, at4, at5, at6, at7;
  logic [U*STATE_BITS-1:0] mem [0:SWEEP-1];
  logic [U*STATE_BITS-1:0] states1, states2, states7;
  logic [U*SUM_BITS-1:0] sums1, sums2;
  // Bit by bit: an index times a width would become a multiplier.
  genvar n, m;
  generate
    for (n = 0; n < U * SUM_BITS; n = n + 1) begin : choose
      logic [GROUPS-1:0] choices;
      for (m = 0; m < GROUPS; m = m + 1) begin : choice
        assign choices[m] = shadow[m*U*SUM_BITS + n];
      end
      if (GROUPS > 1) begin : several
        assign sums1[n] = choices[group1];
      end else begin : single
        assign sums1[n] = choices[0];
      end
    end
    if (GROUPS == 1) begin : one_group
      logic unused;
      assign unused = &group1;
    end
  endgenerate
  always_ff @(posedge clk) begin
    runs   <= rst ? '0 : {runs[7:1], sweeping};
    ends   <= {ends[6:1], sweep_last};
    begins <= {begins[6:1], starting};
    group1 <= group;
    base1  <= base; base2 <= base1; base3 <= base2; base4 <= base3; base5 <= base4; base6 <= base5; base7 <= base6;
    at1    <= at;   at2   <= at1;   at3   <= at2;   at4   <= at3;   at5   <= at4;   at6   <= at5;   at7   <= at6;
    states1 <= mem[at];
    states2 <= states1;
    sums2   <= sums1;
    if (runs[7]) mem[at7] <= states7;
  end

  // ---- parameters ----------------------------------------------------------------------------------------------------
  localparam ROM_BITS = EACH_BITS > 0 ? EACH_BITS : 1;
  logic [U*ROM_BITS-1:0] each;
  generate
    if (EACH_BITS > 0) begin : parameters
      nmc_rom #(.DEPTH(SWEEP), .WIDTH(U * EACH_BITS), .SLICE(EACH_SLICE), .BANK(EACH_BANK), .FILE(EACH_FILE))
        memory (.clk(clk), .enable(1'b1), .addr(at), .data(each));
    end else begin : constants
      assign each = '0;
    end
  endgenerate

  // ---- stages 3 to 7: the neurons --------------------------------------------------------------------------------------
  logic [U-1:0] spikes;
  genvar u;
  generate
    for (u = 0; u < U; u = u + 1) begin : lane
      logic [ROM_BITS-1:0] own;
      logic [STATE_BITS-1:0] state;
      logic signed [V_BITS-1:0] v_next;
      logic signed [I_BITS-1:0] i, i_next;
      logic [WAIT_BITS-1:0] rest, rest_next;
      logic [DECAY_BITS:0] v_decay, i_decay;
      logic [V_BITS-1:0] threshold, bias, minimum, v_start;
      logic [WAIT_BITS-1:0] period;
      logic [I_BITS-1:0] i_start;
      assign own   = each[u*ROM_BITS +: ROM_BITS];
      assign state = states2[u*STATE_BITS +: STATE_BITS];
      if (SYNAPSE != 0) begin : current
        assign i = state[V_BITS +: I_BITS];
      end else begin : direct
        assign i = '0;
      end
      if (REFRACTORY != 0) begin : refractory
        assign rest = state[AT_WAIT +: WAIT_BITS];
      end else begin : ready
        assign rest = '0;
      end
      nmc_parameter #(.BITS(DECAY_BITS+1), .EACH(EACH_V_DECAY), .AT(AT_V_DECAY), .VALUE(V_MANTISSA), .WORD(ROM_BITS))
        of_v_decay (.word(own), .y(v_decay));
      nmc_parameter #(.BITS(DECAY_BITS+1), .EACH(EACH_I_DECAY), .AT(AT_I_DECAY), .VALUE(I_MANTISSA), .WORD(ROM_BITS))
        of_i_decay (.word(own), .y(i_decay));
      nmc_parameter #(.BITS(V_BITS), .EACH(EACH_THRESHOLD), .AT(AT_THRESHOLD), .VALUE(THRESHOLD), .WORD(ROM_BITS))
        of_threshold (.word(own), .y(threshold));
      nmc_parameter #(.BITS(V_BITS), .EACH(EACH_BIAS), .AT(AT_BIAS), .VALUE(BIAS), .WORD(ROM_BITS))
        of_bias (.word(own), .y(bias));
      nmc_parameter #(.BITS(V_BITS), .EACH(EACH_MINIMUM), .AT(AT_MINIMUM), .VALUE(MINIMUM), .WORD(ROM_BITS))
        of_minimum (.word(own), .y(minimum));
      nmc_parameter #(.BITS(WAIT_BITS), .EACH(EACH_PERIOD), .AT(AT_PERIOD), .VALUE(PERIOD), .WORD(ROM_BITS))
        of_period (.word(own), .y(period));
      nmc_parameter #(.BITS(V_BITS), .EACH(EACH_V_START), .AT(AT_V_START), .VALUE(V_START), .WORD(ROM_BITS))
        of_v_start (.word(own), .y(v_start));
      nmc_parameter #(.BITS(I_BITS), .EACH(EACH_I_START), .AT(AT_I_START), .VALUE(I_START), .WORD(ROM_BITS))
        of_i_start (.word(own), .y(i_start));
      nmc_neuron #(
        .X_BITS(SUM_BITS), .SHIFT(SHIFT), .V_BITS(V_BITS), .V_SATURATE(V_SATURATE), .SYNAPSE(SYNAPSE),
        .I_BITS(I_BITS), .I_SATURATE(I_SATURATE), .DECAY_BITS(DECAY_BITS), .V_FORM(V_FORM),
        .V_MANTISSA(V_MANTISSA), .I_FORM(I_FORM), .I_MANTISSA(I_MANTISSA), .FIRE(FIRE), .AT_LEAST(AT_LEAST),
        .RESET(RESET), .WHEN(WHEN), .CLAMP(CLAMP), .REFRACTORY(REFRACTORY), .WAIT_BITS(WAIT_BITS)
      ) neuron (
        .clk(clk), .start(begins[2]),
        .x(sums2[u*SUM_BITS +: SUM_BITS]), .v(state[V_BITS-1:0]), .i(i), .rest(rest),
        .v_decay(v_decay), .i_decay(i_decay), .threshold(threshold), .bias(bias), .minimum(minimum),
        .period(period), .v_start(v_start), .i_start(i_start),
        .v_next(v_next), .i_next(i_next), .rest_next(rest_next), .spike(spikes[u])
      );
      assign states7[u*STATE_BITS +: V_BITS] = v_next;
      if (SYNAPSE != 0) begin : keep_current
        assign states7[u*STATE_BITS + V_BITS +: I_BITS] = i_next;
      end else begin : no_current
        logic unused;
        assign unused = &i_next;
      end
      if (REFRACTORY != 0) begin : keep_rest
        assign states7[u*STATE_BITS + AT_WAIT +: WAIT_BITS] = rest_next;
      end else begin : no_rest
        logic unused;
        assign unused = &rest_next;
      end
      logic there;
      assign there = base7 + BASE_BITS'(u * WORDS) < BASE_BITS'(N);
      assign push_mask[u] = there && (FIRE != 0 ? spikes[u] : v_next != '0) && !begins[7];
      assign push_values[u*V_BITS +: V_BITS] = v_next;
    end
  endgenerate

  // ---- to the queue: words with a spike, and the tick after the last -----------------------------------------------------
  logic over;
  assign push      = runs[7] && push_mask != '0 || push_tick;
  assign push_tick = runs[8] && over;
  assign stepping  = runs[7] && !begins[7];
  assign push_base = base7[ID_BITS-1:0];
  always_ff @(posedge clk) over <= ends[7] && !begins[7];
  // From the moment a tick is taken until its sweep has left the pipeline there is no room for another.
  always_ff @(posedge clk) begin
    if (rst) idle <= 1'b0;
    else if (tick_taken) idle <= 1'b0;
    else if (runs[7] && ends[7]) idle <= 1'b1;
  end
endmodule

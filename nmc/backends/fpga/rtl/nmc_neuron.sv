// One step of one neuron, a pipeline of five stages: what goes in in cycle c comes out in cycle c + 5.
//
//   i     = decay_i(i) + (x << SHIFT)              with SYNAPSE; else the input is the drive
//   v     = decay_v(v) + drive + bias
//   spike = v > threshold, or >= with AT_LEAST
//   reset 0 none, 1 to zero, 2 subtract the threshold
//   WHEN  0 in the same step; else what the spike of the old v owes: 1 before the leak, 2 after the leak,
//         3 after the input, 4 same step once (the old excess is given back after the spike)
//   v     = max(v, minimum)                        with CLAMP
//
// Refractory neurons hold v and do not spike for `period` steps. With `start` the outputs are the initial state.
module nmc_neuron #(
  parameter X_BITS      = 12,
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
  parameter WAIT_BITS   = 1
) (
  input  logic                      clk,
  input  logic                      start,
  input  logic signed [X_BITS-1:0]  x,
  input  logic signed [V_BITS-1:0]  v,
  input  logic signed [I_BITS-1:0]  i,
  input  logic [WAIT_BITS-1:0]      rest,
  input  logic [DECAY_BITS:0]       v_decay,
  input  logic [DECAY_BITS:0]       i_decay,
  input  logic signed [V_BITS-1:0]  threshold,
  input  logic signed [V_BITS-1:0]  bias,
  input  logic signed [V_BITS-1:0]  minimum,
  input  logic [WAIT_BITS-1:0]      period,
  input  logic signed [V_BITS-1:0]  v_start,
  input  logic signed [I_BITS-1:0]  i_start,
  output logic signed [V_BITS-1:0]  v_next,
  output logic signed [I_BITS-1:0]  i_next,
  output logic [WAIT_BITS-1:0]      rest_next,
  output logic                      spike
);
  // Wide enough for the decayed membrane less a threshold, the drive and the bias.
  localparam D_BITS = (SYNAPSE != 0 ? I_BITS : X_BITS + SHIFT);
  localparam M_BITS = (D_BITS > V_BITS ? D_BITS : V_BITS) + 3;
  localparam J_BITS = (X_BITS + SHIFT > I_BITS ? X_BITS + SHIFT : I_BITS) + 2;

  // ---- what accompanies a neuron through the stages --------------------------------------------------------
  logic [4:1] begins;
  logic signed [V_BITS-1:0] threshold1, threshold2, threshold3;
  logic signed [V_BITS-1:0] bias1, bias2;
  logic signed [V_BITS-1:0] minimum1, minimum2, minimum3, minimum4;
  logic signed [V_BITS-1:0] v_start1, v_start2, v_start3, v_start4;
  logic signed [I_BITS-1:0] i_start1, i_start2, i_start3, i_start4;
  logic [WAIT_BITS-1:0] period1, period2, period3, period4;
  logic [WAIT_BITS-1:0] rest1, rest2, rest3, rest4;
  logic signed [V_BITS-1:0] held1, held2, held3, held4;
  always_ff @(posedge clk) begin
    begins     <= {begins[3:1], start};
    threshold1 <= threshold;   threshold2 <= threshold1; threshold3 <= threshold2;
    bias1      <= bias;        bias2      <= bias1;
    minimum1   <= minimum;     minimum2   <= minimum1;   minimum3   <= minimum2;   minimum4   <= minimum3;
    v_start1   <= v_start;     v_start2   <= v_start1;   v_start3   <= v_start2;   v_start4   <= v_start3;
    i_start1   <= i_start;     i_start2   <= i_start1;   i_start3   <= i_start2;   i_start4   <= i_start3;
    period1    <= period;      period2    <= period1;    period3    <= period2;    period4    <= period3;
    rest1      <= rest;        rest2      <= rest1;      rest3      <= rest2;      rest4      <= rest3;
    held1      <= v;           held2      <= held1;      held3      <= held2;      held4      <= held3;
  end

  // ---- stage 1: decays, and whether the old membrane owes a reset -------------------------------------------
  logic owes;
  logic signed [V_BITS-1:0] leaking;
  logic signed [V_BITS:0] v_decayed;
  logic signed [I_BITS:0] i_decayed;
  assign owes    = FIRE != 0 && WHEN != 0 && (AT_LEAST != 0 ? v >= threshold : v > threshold);
  assign leaking = WHEN == 1 && owes && RESET == 1 ? '0
                 : WHEN == 1 && owes && RESET == 2 ? v - threshold : v;
  nmc_decay #(.WIDTH(V_BITS), .FORM(V_FORM), .BITS(DECAY_BITS), .MANTISSA(V_MANTISSA))
    decay_v (.x(leaking), .mantissa(v_decay), .y(v_decayed));
  nmc_decay #(.WIDTH(I_BITS), .FORM(I_FORM), .BITS(DECAY_BITS), .MANTISSA(I_MANTISSA))
    decay_i (.x(i), .mantissa(i_decay), .y(i_decayed));

  logic owes1, owes2, owes3, owes4;
  logic signed [V_BITS:0] v1;
  logic signed [I_BITS:0] i1;
  logic signed [X_BITS-1:0] x1;
  always_ff @(posedge clk) begin
    v1 <= v_decayed;
    i1 <= i_decayed;
    x1 <= x;
    owes1 <= owes; owes2 <= owes1; owes3 <= owes2; owes4 <= owes3;
  end

  // ---- stage 2: the synaptic current ------------------------------------------------------------------------
  logic signed [J_BITS-1:0] current;
  logic signed [I_BITS-1:0] current_fitted;
  assign current = J_BITS'(i1) + (J_BITS'(x1) <<< SHIFT);
  nmc_saturate #(.FROM(J_BITS), .TO(I_BITS), .SATURATE(I_SATURATE)) fit_i (.x(current), .y(current_fitted));

  logic signed [I_BITS-1:0] i2, i3, i4;
  logic signed [M_BITS-1:0] v2, v1_reset;
  logic signed [D_BITS-1:0] drive;
  assign v1_reset = WHEN == 2 && owes1 && RESET == 1 ? '0
                  : WHEN == 2 && owes1 && RESET == 2 ? M_BITS'(v1) - M_BITS'(threshold1) : M_BITS'(v1);
  generate
    if (SYNAPSE != 0) begin : from_current
      assign drive = i2;
    end else begin : from_input
      logic signed [X_BITS-1:0] x2;
      always_ff @(posedge clk) x2 <= x1;
      assign drive = D_BITS'(x2) <<< SHIFT;
    end
  endgenerate
  always_ff @(posedge clk) begin
    i2 <= current_fitted; i3 <= i2; i4 <= i3;
    v2 <= v1_reset;
  end

  // ---- stage 3: integration ---------------------------------------------------------------------------------
  logic signed [M_BITS-1:0] sum;
  logic signed [V_BITS-1:0] sum_fitted, v3;
  assign sum = v2 + M_BITS'(drive) + M_BITS'(bias2);
  nmc_saturate #(.FROM(M_BITS), .TO(V_BITS), .SATURATE(V_SATURATE)) fit_v (.x(sum), .y(sum_fitted));
  always_ff @(posedge clk) v3 <= sum_fitted;

  // ---- stage 4: spike ---------------------------------------------------------------------------------------
  logic signed [V_BITS-1:0] level, v4;
  logic signed [V_BITS:0] less, more;
  logic signed [V_BITS-1:0] less_fitted, less4, more4;
  logic fires, fires4;
  assign less = (V_BITS+1)'(v3) - (V_BITS+1)'(threshold3);
  assign more = (V_BITS+1)'(less_fitted) + (V_BITS+1)'(threshold3);
  nmc_saturate #(.FROM(V_BITS+1), .TO(V_BITS), .SATURATE(1)) fit_less (.x(less), .y(less_fitted));
  generate
    if (WHEN == 3 || WHEN == 4) begin : late
      assign level = owes3 && RESET == 1 ? '0 : owes3 && RESET == 2 ? less_fitted : v3;
      assign fires = FIRE != 0 && (AT_LEAST != 0 ? level >= threshold3 : level > threshold3);
    end else begin : prompt
      assign level = v3;
      assign fires = FIRE != 0 && (AT_LEAST != 0 ? !less[V_BITS] : !less[V_BITS] && less != '0);
    end
    if (WHEN == 4) begin : given_back
      logic signed [V_BITS-1:0] more_fitted;
      nmc_saturate #(.FROM(V_BITS+1), .TO(V_BITS), .SATURATE(1)) fit_more (.x(more), .y(more_fitted));
      always_ff @(posedge clk) more4 <= more_fitted;
    end else begin : kept
      logic unused;
      assign unused = &more;
      assign more4 = '0;
    end
  endgenerate
  always_ff @(posedge clk) begin
    v4     <= level;
    less4  <= less_fitted;
    fires4 <= fires;
  end

  // ---- stage 5: reset, lower bound, refractory period ---------------------------------------------------------
  logic signed [V_BITS-1:0] after, clamped;
  logic resting;
  always_comb begin
    after = v4;
    if (WHEN == 0 && fires4 && RESET == 1) after = '0;
    if (WHEN == 0 && fires4 && RESET == 2) after = less4;
    if (WHEN == 4 && owes4) after = more4;
    if (WHEN == 4 && fires4) after = less4;
    clamped = CLAMP != 0 && after < minimum4 ? minimum4 : after;
    resting = REFRACTORY != 0 && rest4 != '0;
  end
  always_ff @(posedge clk) begin
    v_next    <= begins[4] ? v_start4 : resting ? held4 : clamped;
    i_next    <= begins[4] ? i_start4 : i4;
    spike     <= fires4 && !resting && !begins[4];
    rest_next <= begins[4] ? '0 : resting ? rest4 - 1'b1 : fires4 ? period4 : '0;
  end
endmodule

// Pair STDP of one fully connected projection, nearest neighbours: at the end of each step every weight from source i to
// neuron j changes by
//   + POTENTIATION[age of i]  if j spiked in this step
//   - DEPRESSION[age of j]    if a spike of i came in this step
// and stays between MINIMUM and MAXIMUM. The age of i is how many steps ago its last spike came, 0 for this step; the age
// of j how many steps ago it last spiked before this step; WINDOW for long ago and never, where both tables are 0.
//
// After the sweep of a step one walk goes over all sources: WORDS cycles for one whose weights change, a row of P
// weights in each, and one for every other. From the tick on until the walk is over the layer takes no events.
module nmc_stdp #(
  parameter SOURCES      = 16,
  parameter OFFSET       = 0,
  parameter ID_BITS      = 4,
  parameter P            = 4,
  parameter U            = 1,
  parameter WORDS        = 8,
  parameter WEIGHT_BITS  = 6,
  parameter ADDR_BITS    = 7,
  parameter WINDOW       = 8,
  parameter CHANGE_BITS  = 4,
  parameter POTENTIATION = 36'd0,
  parameter DEPRESSION   = 36'd0,
  parameter MINIMUM      = -32,
  parameter MAXIMUM      = 31
) (
  input  logic                     clk,
  input  logic                     rst,
  // the layer: an event or a tick that is taken, U neurons that step, the end of the sweep
  input  logic                     event_taken,
  input  logic [ID_BITS-1:0]       event_id,
  input  logic                     tick_taken,
  input  logic                     stepping,
  input  logic [U-1:0]             spikes,
  input  logic                     swept,
  output logic                     blocks,
  // the weights
  output logic                     learning,
  output logic [ADDR_BITS-1:0]     learn_addr,
  input  logic [P*WEIGHT_BITS-1:0] weights,
  output logic                     learned,
  output logic [ADDR_BITS-1:0]     learned_addr,
  output logic [P*WEIGHT_BITS-1:0] learned_row
);
  localparam AGE_BITS    = $clog2(WINDOW + 1);
  localparam SOURCE_BITS = SOURCES > 1 ? $clog2(SOURCES) : 1;
  localparam WORD_BITS   = WORDS > 1 ? $clog2(WORDS) : 1;
  localparam GROUPS      = P / U;
  localparam GROUP_BITS  = GROUPS > 1 ? $clog2(GROUPS) : 1;
  localparam CLEAR       = SOURCES > WORDS ? SOURCES : WORDS;
  localparam CLEAR_BITS  = $clog2(CLEAR) + 1;
  localparam SUM_BITS    = (WEIGHT_BITS > CHANGE_BITS ? WEIGHT_BITS : CHANGE_BITS) + 2;
  localparam signed [SUM_BITS-1:0] LOWEST = SUM_BITS'(MINIMUM), HIGHEST = SUM_BITS'(MAXIMUM);
  localparam [AGE_BITS-1:0] NEVER = AGE_BITS'(WINDOW);

  // ---- after reset nobody has spiked ---------------------------------------------------------------------------
  logic clearing;
  logic [CLEAR_BITS-1:0] clear_at;
  always_ff @(posedge clk) begin
    if (rst) begin
      clearing <= 1'b1;
      clear_at <= '0;
    end else begin
      clear_at <= clear_at + 1'b1;
      if (clear_at == CLEAR_BITS'(CLEAR - 1)) clearing <= 1'b0;
    end
  end

  // ---- neurons: P ages and spikes in a word, brought up to the step while it is swept -----------------------------
  logic [P*(AGE_BITS+1)-1:0] posts [0:WORDS-1];
  logic [P*(AGE_BITS+1)-1:0] post, post_next;
  logic [P-1:0] collected, mask, mask1;
  logic [GROUP_BITS-1:0] group;
  logic [WORD_BITS-1:0] sweep_word, sweep_word1, walk_word;
  logic whole, whole1, any, post_write;
  assign whole = stepping && group == GROUP_BITS'(GROUPS - 1);
  generate
    if (GROUPS > 1) begin : several
      assign mask = {spikes, collected[P-1:U]};
      always_ff @(posedge clk) if (stepping) collected <= mask;
      logic unused_here;
      assign unused_here = &collected[U-1:0];
    end else begin : single
      assign mask = spikes;
      assign collected = '0;
      logic unused_here;
      assign unused_here = &collected;
    end
  endgenerate
  always_ff @(posedge clk) begin
    if (rst || tick_taken) begin
      group      <= '0;
      sweep_word <= '0;
      any        <= 1'b0;
    end else if (stepping) begin
      group      <= whole ? '0 : group + 1'b1;
      sweep_word <= whole ? sweep_word + 1'b1 : sweep_word;
      any        <= any || |spikes;
    end
    whole1      <= whole && !rst;
    mask1       <= mask;
    sweep_word1 <= sweep_word;
  end
  genvar p;
  generate
    for (p = 0; p < P; p = p + 1) begin : older
      logic [AGE_BITS-1:0] age;
      assign age = post[p*AGE_BITS +: AGE_BITS];
      assign post_next[p*AGE_BITS +: AGE_BITS] =
        clearing ? NEVER : post[P*AGE_BITS + p] ? AGE_BITS'(1) : age == NEVER ? NEVER : age + 1'b1;
      assign post_next[P*AGE_BITS + p] = mask1[p] && !clearing;
    end
  endgenerate
  assign post_write = whole1 || (clearing && clear_at < CLEAR_BITS'(WORDS));
  always_ff @(posedge clk) begin
    post <= posts[learning ? walk_word : sweep_word];
    if (post_write) posts[clearing ? clear_at[WORD_BITS-1:0] : sweep_word1] <= post_next;
  end

  // ---- sources: an age each; the walk reads one while it goes over the rows of the one before -------------------------
  logic [AGE_BITS-1:0] ages [0:SOURCES-1];
  logic [AGE_BITS-1:0] age, age_written;
  logic [SOURCE_BITS-1:0] ahead, source, age_at;
  logic [ID_BITS-1:0] event_source;
  logic walking, ahead_valid, source_valid, changes, go_on, event_mine, over, over1, over2;
  assign event_source = event_id - ID_BITS'(OFFSET);
  assign event_mine   = event_taken && (ID_BITS+1)'(event_source) < (ID_BITS+1)'(SOURCES);
  assign changes      = age == '0 || (age != NEVER && any);
  assign go_on        = !source_valid || !changes || walk_word == WORD_BITS'(WORDS - 1);
  assign age_at       = clearing ? clear_at[SOURCE_BITS-1:0] : event_mine ? event_source[SOURCE_BITS-1:0] : source;
  assign age_written  = clearing ? NEVER : event_mine ? '0 : age == NEVER ? NEVER : age + 1'b1;
  assign over         = source_valid && go_on && !ahead_valid;
  always_ff @(posedge clk) begin
    if (rst) begin
      ahead_valid  <= 1'b0;
      source_valid <= 1'b0;
    end else if (swept) ahead_valid <= 1'b1;
    else if (go_on) begin
      ahead_valid  <= ahead_valid && ahead != SOURCE_BITS'(SOURCES - 1);
      source_valid <= ahead_valid;
    end
    if (swept) ahead <= '0;
    else if (go_on) ahead <= ahead + 1'b1;
    if (go_on) begin
      age       <= ages[ahead];
      source    <= ahead;
      walk_word <= '0;
    end else walk_word <= walk_word + 1'b1;
    if ((clearing && clear_at < CLEAR_BITS'(SOURCES)) || event_mine || (source_valid && go_on))
      ages[age_at] <= age_written;
    // The layer goes on in the cycle in which the last row is written.
    over1 <= over && !rst;
    over2 <= over1 && !rst;
    if (rst || tick_taken) blocks <= 1'b1;
    else if (over2 || (clearing && clear_at == CLEAR_BITS'(CLEAR - 1))) blocks <= 1'b0;
  end

  // ---- rows: read, look up, add, write --------------------------------------------------------------------------------
  logic [ADDR_BITS-1:0] addr1, addr2;
  logic [AGE_BITS-1:0] age1;
  logic row1, row2;
  logic [CHANGE_BITS-1:0] up, up2;
  assign walking    = ahead_valid || source_valid;
  assign learning   = walking || row1 || row2 || learned;
  generate
    if (WORDS > 1) begin : many
      assign learn_addr = ADDR_BITS'({ID_BITS'(source) + ID_BITS'(OFFSET), walk_word});
    end else begin : one
      assign learn_addr = ADDR_BITS'(ID_BITS'(source) + ID_BITS'(OFFSET));
    end
  endgenerate
  nmc_lookup #(.ENTRIES(WINDOW + 1), .BITS(CHANGE_BITS), .TABLE(POTENTIATION)) potentiation (.index(age1), .y(up));
  always_ff @(posedge clk) begin
    row1    <= source_valid && changes && !rst;
    row2    <= row1 && !rst;
    learned <= row2 && !rst;
    addr1   <= learn_addr;
    addr2   <= addr1;
    learned_addr <= addr2;
    age1    <= age;
    up2     <= up;
  end
  generate
    for (p = 0; p < P; p = p + 1) begin : lane
      logic [CHANGE_BITS-1:0] down, down2;
      logic fired2;
      logic signed [CHANGE_BITS:0] change;
      logic signed [WEIGHT_BITS-1:0] weight;
      logic signed [SUM_BITS-1:0] sum;
      nmc_lookup #(.ENTRIES(WINDOW + 1), .BITS(CHANGE_BITS), .TABLE(DEPRESSION)) depression (
        .index(post[p*AGE_BITS +: AGE_BITS]), .y(down)
      );
      always_ff @(posedge clk) begin
        fired2 <= post[P*AGE_BITS + p];
        down2  <= age1 == '0 ? down : '0;
      end
      assign change = $signed({1'b0, fired2 ? up2 : {CHANGE_BITS{1'b0}}}) - $signed({1'b0, down2});
      assign weight = weights[p*WEIGHT_BITS +: WEIGHT_BITS];
      assign sum    = SUM_BITS'(weight) + SUM_BITS'(change);
      always_ff @(posedge clk) learned_row[p*WEIGHT_BITS +: WEIGHT_BITS] <=
        change == '0 ? weight : sum < LOWEST ? LOWEST[WEIGHT_BITS-1:0] : sum > HIGHEST ? HIGHEST[WEIGHT_BITS-1:0] :
        sum[WEIGHT_BITS-1:0];
    end
  endgenerate
endmodule

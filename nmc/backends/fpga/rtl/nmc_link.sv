// Messages in bytes, to and from a host: events and ticks of up to 32 inputs and 32 outputs, the register bus, a reset.
// A message is a byte {command, port} and then, the lowest byte first:
//   to the core                                        from the core
//   0 nothing                                          -
//   1 event       EVENT_BYTES of {value, id}           1 event   EVENT_BYTES of {value, id}
//   2 tick        -                                    2 tick    -
//   3 read        4 of address                         3 value   2 of value
//   4 write       4 of address, 2 of value             4 written -
//   5 reset       -                                    5 reset   -, before anything of the core after it
//   6 hello       -                                    6 hello   -
//   -                                                  7 credit  -: CREDIT more bytes were taken
// A serial line has no way to say "wait", so the host never has more bytes under way than the queue in front of this
// module holds, which it knows from the credits.
module nmc_link #(
  parameter INPUTS      = 1,
  parameter OUTPUTS     = 1,
  parameter IN_BITS     = 10,
  parameter OUT_BITS    = 10,
  parameter EVENT_BYTES = 2,
  parameter CREDIT      = 128
) (
  input  logic                            clk,
  input  logic                            rst,
  input  logic                            s_valid,
  output logic                            s_ready,
  input  logic [7:0]                      s_byte,
  output logic                            m_valid,
  input  logic                            m_ready,
  output logic [7:0]                      m_byte,
  // the core: its reset, its inputs (one word {tick, value and id} for all), its outputs side by side
  output logic                            core_rst,
  output logic [INPUTS-1:0]               in_valid,
  input  logic [INPUTS-1:0]               in_ready,
  output logic [IN_BITS:0]                in_word,
  input  logic [OUTPUTS-1:0]              out_valid,
  output logic [OUTPUTS-1:0]              out_ready,
  input  logic [OUTPUTS*(OUT_BITS+1)-1:0] out_words,
  // {valid, write, address, value} and {valid, value}
  output logic [49:0]                     bus,
  input  logic [16:0]                     answer
);
  localparam [2:0] EVENT = 3'd1, TICK = 3'd2, READ = 3'd3, WRITE = 3'd4, RESET = 3'd5, HELLO = 3'd6, CREDITS = 3'd7;
  localparam CREDIT_BITS = $clog2(CREDIT);
  localparam PAYLOAD = EVENT_BYTES > 6 ? EVENT_BYTES : 6;
  localparam REPLY   = EVENT_BYTES > 2 ? EVENT_BYTES : 2;

  // ---- a message comes in: its header, its bytes, what it asks for ----------------------------------------------
  logic [2:0] command;
  logic [4:0] port;
  logic [3:0] missing;
  logic [8*PAYLOAD-1:0] payload;
  logic doing, done, taken, to_core, replied, credited, owed, answered;
  logic [2:0] reply;
  assign answered = answer[16];
  assign taken   = s_valid && s_ready;
  assign s_ready = !doing;
  assign to_core = doing && missing == '0 && (command == EVENT || command == TICK);
  always_comb begin
    case (command)
      EVENT, TICK:         done = |(in_valid & in_ready) || in_valid == '0;
      READ, WRITE:         done = answered;
      RESET, HELLO:        done = replied;
      default:             done = 1'b1;
    endcase
  end
  always_ff @(posedge clk) begin
    if (rst) begin
      doing   <= 1'b0;
      missing <= '0;
    end else if (doing) doing <= !done;
    else if (taken) begin
      if (missing == '0) begin
        case (s_byte[7:5])
          EVENT:   missing <= 4'(EVENT_BYTES);
          READ:    missing <= 4'd4;
          WRITE:   missing <= 4'd6;
          default: missing <= 4'd0;
        endcase
        doing <= s_byte[7:5] == TICK || s_byte[7:5] == RESET || s_byte[7:5] == HELLO;
      end else begin
        missing <= missing - 1'b1;
        doing   <= missing == 4'd1;
      end
    end
    if (taken && missing == '0) begin
      command <= s_byte[7:5];
      port    <= s_byte[4:0];
    end
  end
  // The bytes of a message end at the top, so that each kind finds its own at a fixed place.
  always_ff @(posedge clk) if (taken && missing != '0) payload <= {s_byte, payload[8*PAYLOAD-1:8]};
  logic [8*EVENT_BYTES-1:0] event_bits;
  assign event_bits = payload[8*(PAYLOAD-EVENT_BYTES) +: 8*EVENT_BYTES];
  assign in_word    = {command == TICK, command == TICK ? '0 : event_bits[IN_BITS-1:0]};
  genvar k;
  generate
    for (k = 0; k < INPUTS; k = k + 1) begin : input_port
      assign in_valid[k] = to_core && port == 5'(k);
    end
  endgenerate
  assign core_rst = rst || (doing && command == RESET);
  assign bus = {
    doing && (command == READ || command == WRITE), command == WRITE,
    command == WRITE ? payload[8*(PAYLOAD-6) +: 32] : payload[8*(PAYLOAD-4) +: 32], payload[8*(PAYLOAD-2) +: 16]
  };
  logic unused;
  assign unused = &event_bits && &payload;

  // ---- credits ---------------------------------------------------------------------------------------------------
  logic [CREDIT_BITS-1:0] bytes;
  always_ff @(posedge clk) begin
    if (rst) begin
      bytes <= '0;
      owed  <= 1'b0;
    end else begin
      if (taken) bytes <= bytes + 1'b1;
      owed <= (owed && !credited) || (taken && bytes == CREDIT_BITS'(CREDIT - 1));
    end
  end

  // ---- a message goes out: credits first, then replies, then events of the lowest output ---------------------------
  logic value_due;
  logic [15:0] value;
  logic [3:0] left;
  logic [8*(REPLY+1)-1:0] message;
  logic idle, asked, any;
  logic [4:0] which;
  logic [OUT_BITS:0] word;
  logic [OUTPUTS-1:0] first;
  assign idle     = left == '0;
  assign m_valid  = !idle;
  assign m_byte   = message[7:0];
  assign credited = idle && owed;
  assign asked    = doing && (command == RESET || command == HELLO);
  assign replied  = idle && !owed && !value_due && asked;
  assign any      = |out_valid && !core_rst;
  assign first    = out_valid & (~out_valid + 1'b1);
  assign out_ready = idle && !owed && !value_due && !asked && any ? first : '0;
  assign reply    = command;
  integer o;
  always_comb begin
    which = '0;
    word  = '0;
    for (o = 0; o < OUTPUTS; o = o + 1) begin
      if (first[o]) begin
        which = which | 5'(o);
        word  = word | out_words[o*(OUT_BITS+1) +: OUT_BITS+1];
      end
    end
  end
  logic wrote;
  always_ff @(posedge clk) begin
    if (rst) value_due <= 1'b0;
    else value_due <= (value_due && !(idle && !owed)) || answered;
    if (answered) begin
      value <= answer[15:0];
      wrote <= command == WRITE;
    end
  end
  always_ff @(posedge clk) begin
    if (rst) left <= '0;
    else if (!idle) begin
      if (m_ready) left <= left - 1'b1;
    end else if (owed) left <= 4'd1;
    else if (value_due) left <= wrote ? 4'd1 : 4'd3;
    else if (asked) left <= 4'd1;
    else if (any) left <= word[OUT_BITS] ? 4'd1 : 4'(EVENT_BYTES + 1);
    if (!idle && m_ready) message <= message >> 8;
    else if (idle) begin
      if (owed) message <= (8*(REPLY+1))'({CREDITS, 5'd0});
      else if (value_due) message <= (8*(REPLY+1))'({value, wrote ? WRITE : READ, 5'd0});
      else if (asked) message <= (8*(REPLY+1))'({reply, 5'd0});
      else message <= (8*(REPLY+1))'({word[OUT_BITS-1:0], word[OUT_BITS] ? TICK : EVENT, which});
    end
  end
endmodule

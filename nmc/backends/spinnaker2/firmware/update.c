/* The tick: every neuron takes the sum that is due and does one step; what it has to say goes into the outbox.
 *
 * The rules are those of nmc/ir/neuron.py. In integers sums saturate at 32 bits (QADD) and the synaptic current at 31,
 * so that current and bias never need more than 32; where the weights allow more, sums are in 64 bits (WIDE_DRIVE). */
#include "pe.h"

#if REAL
static inline state_t add(state_t a, state_t b) { return a + b; }
static inline state_t sub(state_t a, state_t b) { return a - b; }
static inline state_t decayed(state_t x, state_t decay) { return decay * x; }
static inline state_t current(state_t i, state_t decay, sum_t sum) { return decay * i + (state_t)sum; }
#else
static inline int32_t add(int32_t a, int32_t b) { return __builtin_arm_qadd(a, b); }
static inline int32_t sub(int32_t a, int32_t b) { return __builtin_arm_qsub(a, b); }

/* floor(x * decay / 2**DECAY_BITS) */
static inline int32_t decayed(int32_t x, int32_t decay) { return (int32_t)(((int64_t)x * decay) >> DECAY_BITS); }

#if WIDE_DRIVE
static inline int64_t saturated(int64_t x, int64_t limit) { return x >= limit ? limit - 1 : x < -limit ? -limit : x; }
static inline int32_t current(int32_t i, int32_t decay, sum_t sum) {
  return (int32_t)saturated((int64_t)decayed(i, decay) + ((int64_t)sum << INPUT_SHIFT), 1ll << 30);
}
#else
static inline int32_t current(int32_t i, int32_t decay, sum_t sum) {
  return __builtin_arm_ssat(add(decayed(i, decay), (int32_t)sum << INPUT_SHIFT), 31);
}
#endif
#endif

#if NEURON

#if OWN_DECAY
#define DECAY c->decay
#else
#define DECAY decay
#endif
#if OWN_SYNAPSE_DECAY
#define SYNAPSE_DECAY c->synapse_decay
#else
#define SYNAPSE_DECAY synapse_decay
#endif
#if OWN_BIAS
#define BIAS_OF c->bias
#else
#define BIAS_OF bias
#endif
#if OWN_THRESHOLD
#define THRESHOLD c->threshold
#else
#define THRESHOLD threshold
#endif
#if OWN_MINIMUM
#define MINIMUM c->minimum
#else
#define MINIMUM minimum
#endif
#if OWN_REFRACTORY
#define PERIOD c->refractory
#else
#define PERIOD refractory
#endif
#if LEAK
#define LEAKED(x) decayed((x), DECAY)
#else
#define LEAKED(x) (x)
#endif

/* kind.h: what a spike does, and when (nmc/ir/neuron.py: Reset, ResetWhen) */
enum { NONE, TO_VALUE, SUBTRACT, MULTI_SPIKE };
enum { SAME_STEP, NEXT_BEFORE_LEAK, NEXT_AFTER_LEAK, NEXT_AFTER_INPUT, SAME_STEP_ONCE };

static inline int32_t spikes_of(state_t v, state_t threshold) {
#if AT_LEAST
  int past = v >= threshold;
#else
  int past = v > threshold;
#endif
#if RESET == 3
  return past ? v / threshold : 0;
#else
  return past;
#endif
}

static inline state_t after(state_t v, int32_t spikes, state_t threshold) {
  if (RESET == NONE || spikes == 0) return v;
  if (RESET == TO_VALUE) return 0;
  return sub(v, RESET == MULTI_SPIKE ? (state_t)spikes * threshold : threshold);
}

/* One step of up to OUTBOX neurons. Returns whether there are more. */
__attribute__((noinline)) uint32_t tick(void) {
  const uint32_t first = pe.next, key = pe.key;
  const uint32_t stop = pe.neurons - first > OUTBOX ? first + OUTBOX : pe.neurons;
  const state_t decay = pe.decay, synapse_decay = pe.synapse_decay, bias = pe.bias, threshold = pe.threshold;
  const state_t minimum = pe.minimum;
  const int32_t refractory = pe.refractory;
  (void)decay, (void)synapse_decay, (void)bias, (void)threshold, (void)minimum, (void)refractory;
  struct packet *out = outbox;
  sum_t *sum = slot(pe.tick) + first;
  struct cell *c = pe.cells + first;
  for (uint32_t k = first; k < stop; k++, c++, sum++) {
    const sum_t x = *sum;
    *sum = 0;
#if SYNAPSE
    state_t drive = current(c->i, SYNAPSE_DECAY, x);
    c->i = drive;
#elif REAL
    state_t drive = (state_t)x;
#elif WIDE_DRIVE
    int64_t drive = (int64_t)x << INPUT_SHIFT;
#else
    state_t drive = (state_t)x << INPUT_SHIFT;
#endif
#if BIAS
    drive += BIAS_OF;
#endif
    const state_t old = c->v;
#if FIRE
    const int32_t late = WHEN == SAME_STEP ? 0 : spikes_of(old, THRESHOLD);
    state_t v = WHEN == NEXT_BEFORE_LEAK ? after(old, late, THRESHOLD) : old;
    v = LEAKED(v);
    if (WHEN == NEXT_AFTER_LEAK) v = after(v, late, THRESHOLD);
#else
    state_t v = LEAKED(old);
#endif
#if WIDE_DRIVE && !SYNAPSE
    v = (int32_t)saturated(v + drive, 1ll << 31);
#else
    v = add(v, drive);
#endif
#if FIRE
    if (WHEN >= NEXT_AFTER_INPUT) v = after(v, late, THRESHOLD);
    int32_t spikes = spikes_of(v, THRESHOLD);
    if (WHEN == SAME_STEP) v = after(v, spikes, THRESHOLD);
    if (WHEN == SAME_STEP_ONCE && spikes != late) v = spikes ? sub(v, THRESHOLD) : add(v, THRESHOLD);
#endif
#if CLAMP
    if (v < MINIMUM) v = MINIMUM;
#endif
#if REFRACTORY
    if (c->wait > 0) {
      c->wait--;
      continue;
    }
    if (spikes) c->wait = PERIOD;
#endif
    c->v = v;
#if FIRE
    if (spikes) {
      out->key = key + k;
      out->value = spikes;
      out++;
    }
#elif SENDS
    if (v != 0) {
      out->key = key + k;
      out->value = v;
      out++;
    }
#endif
  }
  pe.sent = (uint32_t)(out - outbox);
  pe.next = stop < pe.neurons ? stop : 0;
  if (pe.next == 0) pe.tick++;
  return pe.next;
}

#else /* a PE that sums for the neurons of another */

/* Sends up to OUTBOX sums of the tick, those that are not zero. Returns whether there are more. */
__attribute__((noinline)) uint32_t tick(void) {
  const uint32_t first = pe.next, key = pe.key;
  const uint32_t stop = pe.neurons - first > OUTBOX ? first + OUTBOX : pe.neurons;
  struct packet *out = outbox;
  sum_t *sum = slot(pe.tick) + first;
  for (uint32_t k = first; k < stop; k++, sum++) {
    const sum_t x = *sum;
    *sum = 0;
    if (x != 0) {
      out->key = key + k;
      out->value = x;
      out++;
    }
  }
  pe.sent = (uint32_t)(out - outbox);
  pe.next = stop < pe.neurons ? stop : 0;
  if (pe.next == 0) pe.tick++;
  return pe.next;
}

#endif

/* Packets: each is looked up by its key and adds what its synapses weigh to the sums of the ticks that they delay to. */
#include "pe.h"

#if GRADED
#define TIMES(weight) ((weight) * value)
#else
#define TIMES(weight) (weight)
#endif

/* The source that a key belongs to; 0 if none does. */
static const struct source *find(uint32_t key) {
  uint32_t low = 0, high = pe.sources;
  while (low < high) {
    const uint32_t middle = (low + high) >> 1;
    if (pe.lookup[middle].key > key)
      high = middle;
    else
      low = middle + 1;
  }
  if (low == 0) return 0;
  const struct source *found = pe.lookup + low - 1;
  return (key & found->mask) == found->key ? found : 0;
}

#if SUM_BITS == 16
typedef uint32_t __attribute__((aligned(2), may_alias)) pair_t; /* two sums, on any even address */

/* Four sums at a time; the four weights of a word stand in the order 0, 2, 1, 3, so that SXTB16 finds pairs. */
static inline void add_four(uint32_t weights, sum_t *sum) {
  pair_t *pair = (pair_t *)sum;
  pair[0] = __builtin_arm_sadd16(pair[0], __builtin_arm_sxtb16(weights));
  pair[1] = __builtin_arm_sadd16(pair[1], __builtin_arm_sxtb16(weights >> 8 | weights << 24));
}
#endif

/* `count` weights, padded to four, onto as many sums. */
static inline void add_row(const int8_t *weight, uint32_t count, sum_t *sum, int32_t value) {
  (void)value;
#if SUM_BITS == 16
  const uint32_t *word = (const uint32_t *)weight, *stop = word + (count + 3) / 4;
  for (; word < stop; word++, sum += 4) add_four(*word, sum);
#else
  const sum_t *stop = sum + count;
  while (sum < stop) *sum++ += TIMES(*weight++);
#endif
}

#if HAS_DENSE
__attribute__((noinline)) static void dense(const struct block *b, uint32_t row, int32_t value) {
  const uint32_t bytes = (pe.neurons + 3) & ~3u;
  add_row((const int8_t *)b->data + row * bytes, pe.neurons, slot(pe.tick + b->delay), value);
}
#endif

#if HAS_NARROW
/* 16-bit words: weight (8), neuron (8) */
__attribute__((noinline)) static void narrow(const struct block *b, uint32_t row, int32_t value) {
  const uint16_t *word = (const uint16_t *)b->data + b->table[row], *stop = (const uint16_t *)b->data + b->table[row + 1];
  sum_t *sum = slot(pe.tick + b->delay);
  (void)value;
  while (word < stop) {
    const uint32_t w = *word++;
    sum[w & 255] += TIMES((int16_t)w >> 8);
  }
}
#endif

#if HAS_DELAYED
/* 16-bit words: weight (4), delay (3), neuron (9) */
__attribute__((noinline)) static void delayed(const struct block *b, uint32_t row, int32_t value) {
  const uint16_t *word = (const uint16_t *)b->data + b->table[row], *stop = (const uint16_t *)b->data + b->table[row + 1];
  sum_t *ring = pe.ring;
  const uint32_t start = pe.tick + b->delay, last = pe.last_slot, stride = pe.stride;
  (void)value;
  while (word < stop) {
    const uint32_t w = *word++;
    ring[((start + (w >> 9 & 7)) & last) * stride + (w & 511)] += TIMES((int16_t)w >> 12);
  }
}
#endif

#if HAS_WIDE
/* 32-bit words: weight (8), delay (8), neuron (16) */
__attribute__((noinline)) static void wide(const struct block *b, uint32_t row, int32_t value) {
  const uint32_t *word = (const uint32_t *)b->data + b->table[row], *stop = (const uint32_t *)b->data + b->table[row + 1];
  sum_t *ring = pe.ring;
  const uint32_t start = pe.tick + b->delay, last = pe.last_slot, stride = pe.stride;
  (void)value;
  while (word < stop) {
    const uint32_t w = *word++;
    ring[((start + (w >> 16 & 255)) & last) * stride + (w & 65535)] += TIMES((int32_t)w >> 24);
  }
}
#endif

#if HAS_CONV
/* Of a row or column that enters: `count` taps from `tap` on meet the box, the first of them at `place`. */
struct reach { uint8_t tap, count; uint16_t place; };

/* Of a channel that enters: its kernels, and the channels of the box that they serve. */
struct channel { const int8_t *kernels; uint16_t first, count; };

/* A convolution into a box of `columns` columns and `depth` channels, channel last. Source neurons are numbered in
 * digits of `radix`: the fastest, the middle, the rest; `role` says which digit is the channel, row, column. */
struct conv {
  const struct channel *channels;
  const struct reach *rows, *columns;
  uint32_t offset;                       /* of local neuron 0, in digits */
  uint32_t radix[2];
  uint8_t role[3], unused;
  uint16_t origin[3], depth;             /* of the source's box: channel, row, column */
  uint16_t width, kernel_width;          /* columns of the box, taps in x */
  int16_t tap_step_y, tap_step_x, place_step_y, place_step_x;
};

__attribute__((noinline)) static void conv(const struct block *b, uint32_t row, int32_t value) {
  const struct conv *g = (const struct conv *)b->table;
  const uint32_t id = row + g->offset, rest = id / g->radix[0];
  const uint32_t digit[3] = {id - rest * g->radix[0], rest % g->radix[1], rest / g->radix[1]};
  const struct channel *channel = g->channels + digit[g->role[0]] + g->origin[0];
  const struct reach *y = g->rows + digit[g->role[1]] + g->origin[1];
  const struct reach *x = g->columns + digit[g->role[2]] + g->origin[2];
  const uint32_t count = channel->count, bytes = (count + 3) & ~3u;
  if (count == 0) return;
  sum_t *const sums = slot(pe.tick + b->delay) + channel->first;
  int32_t tap_y = y->tap, place_y = y->place;
  for (uint32_t j = y->count; j > 0; j--) {
    int32_t tap = tap_y * g->kernel_width + x->tap, place = place_y * g->width + x->place;
    for (uint32_t i = x->count; i > 0; i--) {
      add_row(channel->kernels + (uint32_t)tap * bytes, count, sums + (uint32_t)place * g->depth, value);
      tap += g->tap_step_x;
      place += g->place_step_x;
    }
    tap_y += g->tap_step_y;
    place_y += g->place_step_y;
  }
}
#endif

/* Everything in the inbox. */
__attribute__((noinline)) void packets(void) {
  const uint32_t received = pe.received;
  for (uint32_t p = 0; p < received; p++) {
    const struct source *source = find(inbox[p].key);
    if (source == 0) continue;
    const uint32_t neuron = inbox[p].key & ~source->mask;
    const int32_t value = inbox[p].value;
    const struct block *b = pe.blocks + source->first, *stop = b + source->blocks;
    for (; b < stop; b++) {
      const uint32_t row = neuron - b->start;
      if (row >= b->rows) continue;
      switch (b->format) {
#if HAS_DENSE
      case DENSE: dense(b, row, value); break;
#endif
#if HAS_NARROW
      case NARROW: narrow(b, row, value); break;
#endif
#if HAS_DELAYED
      case DELAYED: delayed(b, row, value); break;
#endif
#if HAS_WIDE
      case WIDE: wide(b, row, value); break;
#endif
#if HAS_CONV
      case CONV: conv(b, row, value); break;
#endif
#if HAS_SUMS
      case SUMS: slot(pe.tick)[row] += value; break;
#endif
      default: break;
      }
    }
  }
  pe.received = 0;
}

/* What stands where in the memory of a PE. Everything is little endian, all addresses are the PE's own.
 *
 *   0        vectors, code                      (4096 bytes; blocks.py: CODE_BYTES)
 *   4096     struct pe, inbox, outbox
 *   ...      lookup, blocks, neurons, ring, rows and kernels, in the order in which emit.py lays them out
 *   ...      nothing
 *   top-512  the stack
 *
 * A program is this code with the switches of kind.h, which emit.py writes: which neuron, which formats.
 */
#pragma once
#include <stdint.h>
#include "kind.h"

#define INBOX  32  /* packets that are taken at a time */
#define OUTBOX 64  /* packets that are given at a time: at most one a neuron, so 64 neurons are updated at a time */

#if REAL
typedef float state_t;      /* states and parameters in single precision, as in the presets of platforms */
#else
typedef int32_t state_t;
#endif
#if SUM_BITS == 16
typedef int16_t sum_t;      /* proved from the weights: no input makes a sum leave it */
#else
typedef int32_t sum_t;
#endif

/* A packet: who sent it, and a value: 1 of a spike, the value of a graded message, a partial sum. */
struct packet { uint32_t key; int32_t value; };

/* A source in the lookup, ordered by key: its packets are `key + local neuron`. */
struct source { uint32_t key, mask; uint16_t first, blocks; };

/* The synapses from local neurons `start` to `start + rows` of a source. `delay` is one less than the least delay of
 * the block, so that it counts from the next tick. */
struct block { uint8_t format, unused; uint16_t delay; uint32_t start, rows; const uint32_t *table; const void *data; };

enum { DENSE, NARROW, DELAYED, WIDE, CONV, SUMS };

/* A neuron: its state, and those parameters that are not the same for the whole PE. */
struct cell {
  state_t v;
#if SYNAPSE
  state_t i;
#endif
#if REFRACTORY
  int32_t wait;             /* ticks in which it still rests */
#endif
#if OWN_DECAY
  state_t decay;
#endif
#if OWN_SYNAPSE_DECAY
  state_t synapse_decay;
#endif
#if OWN_BIAS
  state_t bias;
#endif
#if OWN_THRESHOLD
  state_t threshold;
#endif
#if OWN_MINIMUM
  state_t minimum;
#endif
#if OWN_REFRACTORY
  int32_t refractory;
#endif
};

struct pe {
  uint32_t magic;
  uint32_t neurons;
  uint32_t tick;            /* the one that comes next */
  uint32_t next;            /* the neuron with which the update goes on */
  uint32_t key;             /* of local neuron 0 */
  uint32_t sources;
  const struct source *lookup;
  const struct block *blocks;
  struct cell *cells;
  sum_t *ring;              /* slots of `stride` sums, one for each tick ahead */
  uint32_t stride;
  uint32_t last_slot;       /* slots - 1, a mask */
  state_t decay, synapse_decay, bias, threshold, minimum;
  int32_t refractory;
  uint32_t received, sent;  /* packets in the boxes */
  uint32_t reserved[12];
};

extern struct pe pe;
extern struct packet inbox[INBOX], outbox[OUTBOX];

#define MAGIC 0x3250534eu   /* "NSP2" */

static inline sum_t *slot(uint32_t tick) { return pe.ring + (tick & pe.last_slot) * pe.stride; }

/* Vectors, and what a PE does between two interrupts: nothing. The image holds the state before the first tick. */
#include "pe.h"

extern uint32_t stack_top;
uint32_t tick(void);
void packets(void);

__attribute__((naked)) static void idle(void) { __asm__ volatile("0: wfi\n b 0b"); }
__attribute__((naked)) static void fault(void) { __asm__ volatile("0: bkpt 0\n b 0b"); }

/* Interrupt 0: the timer, again while `tick` says that there are more; interrupt 1: packets came in. */
__attribute__((section(".vectors"), used)) const void *const vectors[18] = {
  &stack_top, idle, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, fault,
  (const void *)tick, (const void *)packets,
};

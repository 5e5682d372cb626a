# ruff: noqa: PLR0917 - kernels take arrays and counts by position
"""When each word moves. Every core does one thing after another, and what it does next never depends on when words
come, only on which: so the cycle of each handshake follows from the handshakes before it, word by word, and no cycle
in which nothing happens is ever visited. Each rule below is that of the module of the same name in rtl/.

A word *stands* at an output from some cycle on and *moves* in the cycle of its handshake. A part goes on as far as the
cycles that it needs are known; the parts take turns until nothing goes on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nmc.backends.fpga import core, stdp
from nmc.backends.fpga import tables as t
from nmc.backends.fpga.core import add_event, sweep
from nmc.backends.fpga.stdp import Plastic
from nmc.backends.fpga.tables import NONE, Memory
from nmc.ir.tensor import Array
from nmc.sim.compiled import RULES_DIGEST, compiled, digest_of, part_of_kernels

# ---- producers ----------------------------------------------------------------------------------------------------


@part_of_kernels
def present(m: Memory, source: int, cycle: int) -> None:
    """A source takes its next word in `cycle` or when the test bench lets it: it stands a cycle later."""
    word = m[source + t.NEXT]
    m[source + t.THERE] = word < m[source + t.END]
    if word < m[source + t.END]:
        m[source + t.CYCLE] = cycle + m[m[source + t.WAIT_AT] + cycle % m[source + t.PERIOD]] + 1
        m[source + t.TICK], m[source + t.ID] = m[word + t.W_TICK], m[word + t.W_ID]
        m[source + t.VALUE] = m[word + t.W_VALUE]
        m[source + t.NEXT] = word + t.STIMULUS_WORD


@part_of_kernels
def lift(m: Memory, layer: int) -> None:
    """The next word of a layer's queue goes to its output, if there is one and the output is free (nmc_fifo)."""
    if m[layer + t.HEAD] == 1 or m[layer + t.OUT] == m[layer + t.GEN]:
        return
    queued = m[m[layer + t.RING] + t.EVENT * m[layer + t.OUT] + t.E_CYCLE]
    popped = max(queued + 1, m[layer + t.GIVEN])
    m[m[layer + t.POPS] + m[layer + t.POPPED] % (m[layer + t.DEPTH] + 4)] = popped
    m[layer + t.POPPED] += 1
    m[layer + t.HEAD], m[layer + t.VALID] = 1, popped + 1
    show(m, layer)


@part_of_kernels
def show(m: Memory, layer: int) -> None:
    """The event that stands at a layer's output."""
    event = m[layer + t.RING] + t.EVENT * m[layer + t.OUT]
    m[layer + t.THERE], m[layer + t.CYCLE] = 1, m[layer + t.VALID]
    m[layer + t.TICK], m[layer + t.ID] = m[event + t.E_TICK], m[event + t.E_ID]
    m[layer + t.VALUE] = m[event + t.E_VALUE]


@part_of_kernels
def give(m: Memory, layer: int, cycle: int) -> None:
    """A layer's event moves; the next of the same word stands a cycle later (nmc_layer)."""
    out = m[layer + t.OUT]
    ends = m[m[layer + t.RING] + t.EVENT * out + t.E_LAST] == 1
    m[layer + t.OUT] = out + 1 if out + 1 < m[layer + t.RING_SIZE] else 0
    m[layer + t.GIVEN], m[layer + t.VALID] = cycle, cycle + 1
    if ends:
        m[layer + t.HEAD] = m[layer + t.THERE] = 0
        lift(m, layer)
    else:
        show(m, layer)


@part_of_kernels
def move_on(m: Memory, producer: int, cycle: int) -> None:
    """The word at a producer's output moves."""
    if m[producer + t.IS_LAYER] == 1:
        give(m, producer, cycle)
    else:
        present(m, producer, cycle)


# ---- legs ---------------------------------------------------------------------------------------------------------


@part_of_kernels
def queue_word(m: Memory, leg: int, count: int) -> int:
    """The address of the word that was or will be queued after `count` others; the last of them are kept."""
    return m[leg + t.L_AT] + t.QUEUED_WORD * (count % (m[leg + t.L_DEPTH] + 1))


@part_of_kernels
def fork_room(m: Memory, producer: int) -> int:
    """The first cycle in which the word at a producer's output finds room in all queues (nmc_fork), or NONE."""
    cycle = m[producer + t.CYCLE]
    for at in range(m[producer + t.FORK_AT], m[producer + t.FORK_END]):
        leg = m[at]
        oldest = m[leg + t.L_QUEUED] - m[leg + t.L_DEPTH]
        if oldest > m[leg + t.L_TAKEN]:
            return NONE
        if oldest >= 0:
            cycle = max(cycle, m[queue_word(m, leg, oldest) + t.Q_OUT] + 1)
    return cycle


@part_of_kernels
def run_fork(m: Memory, producer: int) -> bool:
    """Words of a producer move into the queues of all its legs."""
    moved = False
    while m[producer + t.FORK_AT] >= 0 and m[producer + t.THERE] == 1:
        cycle = fork_room(m, producer)
        if cycle == NONE:
            break
        for at in range(m[producer + t.FORK_AT], m[producer + t.FORK_END]):
            leg = m[at]
            word = queue_word(m, leg, m[leg + t.L_QUEUED])
            m[word + t.Q_TICK], m[word + t.Q_ID] = m[producer + t.TICK], m[producer + t.ID]
            m[word + t.Q_VALUE], m[word + t.Q_IN] = m[producer + t.VALUE], cycle
            if m[leg + t.L_QUEUED] == m[leg + t.L_TAKEN]:
                m[word + t.Q_OUT] = max(cycle + 1, m[leg + t.L_POPPED])
            m[leg + t.L_QUEUED] += 1
        move_on(m, producer, cycle)
        moved = True
    return moved


@part_of_kernels
def look(m: Memory, leg: int) -> tuple[int, int, int, int]:
    """The word that stands at the end of a leg: from which cycle on, or NONE if there is none; tick, id, value."""
    if m[leg + t.L_DEPTH] == 0:
        producer = m[leg + t.L_SRC]
        cycle = m[producer + t.CYCLE] if m[producer + t.THERE] == 1 else NONE
        return cycle, m[producer + t.TICK], m[producer + t.ID], m[producer + t.VALUE]
    if m[leg + t.L_AHEAD] > 0:
        return m[leg + t.L_LAST] + 1, 1, 0, 0
    if m[leg + t.L_TAKEN] == m[leg + t.L_QUEUED]:
        return NONE, 0, 0, 0
    word = queue_word(m, leg, m[leg + t.L_TAKEN])
    cycle = max(m[word + t.Q_OUT], m[leg + t.L_LAST]) + 1
    return cycle, m[word + t.Q_TICK], m[word + t.Q_ID], m[word + t.Q_VALUE]


@part_of_kernels
def take(m: Memory, leg: int, cycle: int) -> None:
    """The word at the end of a leg moves: of its producer, of the ticks of its delay, or of its queue."""
    m[leg + t.L_LAST] = cycle
    if m[leg + t.L_DEPTH] == 0:
        move_on(m, m[leg + t.L_SRC], cycle)
    elif m[leg + t.L_AHEAD] > 0:
        m[leg + t.L_AHEAD] -= 1
    else:
        m[leg + t.L_TAKEN] += 1
        m[leg + t.L_POPPED] = cycle
        if m[leg + t.L_TAKEN] < m[leg + t.L_QUEUED]:
            word = queue_word(m, leg, m[leg + t.L_TAKEN])
            m[word + t.Q_OUT] = max(m[word + t.Q_IN] + 1, cycle)


# ---- fronts: the stages of a layer in which a word waits for its address --------------------------------------------


@part_of_kernels
def front_word(m: Memory, layer: int, n: int) -> int:
    """The address of the n-th word that came into a layer's front; the last of them are kept."""
    return m[layer + t.FRONT_AT] + t.FRONT_WORD * (n % (m[layer + t.STAGES] + 2))


@part_of_kernels
def front_move(m: Memory, layer: int, cycle: int) -> tuple[int, int]:
    """When a word that stands from `cycle` on moves into a layer's front, and in which of its moves; NONE if that
    depends on a word that has not left yet.

    The stages move together, unless the last holds a word that cannot leave. The word that came in move n reaches the
    last stage in move n + STAGES - 1, and the next move is that in which it leaves.
    """
    stages, count = m[layer + t.STAGES], m[layer + t.ACCEPTED]
    if count == 0:
        return cycle, cycle
    move = m[front_word(m, layer, count - 1) + t.F_MOVE] + 1
    for j in range(max(0, count - stages), count + 1):
        # From when word j - 1 leaves to when word j is in the last stage there is a move in each cycle.
        ends = m[front_word(m, layer, j) + t.F_MOVE] + stages - 1
        if j < count and ends < move:
            continue
        opens = move
        if j > 0:
            before = front_word(m, layer, j - 1)
            if m[before + t.F_LEFT] == NONE:
                return NONE, 0
            opens = m[before + t.F_LEFT] + move - m[before + t.F_MOVE] - stages
        if cycle <= opens:
            return opens, move
        if j == count or cycle <= opens + ends - move:
            return cycle, move + cycle - opens
        move = ends + 1
    return NONE, 0


@part_of_kernels
def enter(m: Memory, layer: int, move: int, tick: int, number: int, value: int) -> None:
    """A word moves into a layer's front."""
    n = m[layer + t.ACCEPTED]
    word = front_word(m, layer, n)
    m[word + t.F_MOVE], m[word + t.F_LEFT], m[word + t.F_TICK] = move, NONE, tick
    m[word + t.F_ID], m[word + t.F_VALUE] = number, value
    if n == 0:
        m[word + t.F_LAST] = move + m[layer + t.STAGES] - 1
    else:
        reach(m, word, front_word(m, layer, n - 1))
    m[layer + t.ACCEPTED] = n + 1


@part_of_kernels
def reach(m: Memory, word: int, before: int) -> None:
    """When a word reaches the last stage, known once the word before it has left."""
    if m[before + t.F_LEFT] != NONE:
        m[word + t.F_LAST] = m[before + t.F_LEFT] + m[word + t.F_MOVE] - m[before + t.F_MOVE] - 1


@part_of_kernels
def leave(m: Memory, layer: int, cycle: int) -> None:
    """The word in the last stage of a layer's front leaves."""
    n = m[layer + t.PASSED]
    word = front_word(m, layer, n)
    m[word + t.F_LEFT] = cycle
    m[layer + t.PASSED] = n + 1
    if n + 1 < m[layer + t.ACCEPTED]:
        reach(m, front_word(m, layer, n + 1), word)


# ---- layers -------------------------------------------------------------------------------------------------------


@part_of_kernels
def start_cycle(m: Memory, layer: int, tick: int, cycle: int) -> int:
    """The first cycle from `cycle` on in which a layer begins to work on a word, or NONE: its addresses are free; for
    a tick its neurons are idle, and its queue has room for all that a sweep can give.

    In the first cycle of idleness the tick of the sweep before is not counted yet.
    """
    cycle = max(cycle, m[layer + t.FREE])
    if tick == 0:
        return cycle
    cycle = max(cycle, m[layer + t.IDLE])
    room = m[layer + t.DEPTH] - m[layer + t.SWEEP] - 2
    for uncounted in range(int(cycle == m[layer + t.IDLE] and m[layer + t.QUEUED] > 0), -1, -1):
        last = m[layer + t.QUEUED] - 1 - uncounted - room
        if last < 0:
            return cycle
        if last >= m[layer + t.POPPED]:
            return NONE
        popped = m[m[layer + t.POPS] + last % (m[layer + t.DEPTH] + 4)]
        if uncounted == 0 or popped < cycle:
            return int(max(cycle, popped + 1))
    return NONE


@part_of_kernels
def pass_on(m: Memory, layer: int) -> tuple[int, int, int, int]:
    """The word in the last stage of a layer's front goes to work: the cycle, NONE if it stays; tick, id, value."""
    if m[layer + t.PASSED] == m[layer + t.ACCEPTED]:
        return NONE, 0, 0, 0
    word = front_word(m, layer, m[layer + t.PASSED])
    cycle = start_cycle(m, layer, m[word + t.F_TICK], m[word + t.F_LAST] + 1)
    if cycle != NONE:
        leave(m, layer, cycle)
    return cycle, m[word + t.F_TICK], m[word + t.F_ID], m[word + t.F_VALUE]


@part_of_kernels
def come_in(m: Memory, layer: int) -> tuple[bool, int, int, int, int]:
    """The next word of a layer's legs, one after the other (nmc_merge): whether it moves, and if it goes to work at
    once the cycle, else NONE; tick, id, value."""
    leg = m[layer + t.LEG_AT] + t.LEG_ROW * m[layer + t.LEG]
    cycle, tick, number, value = look(m, leg)
    if cycle == NONE:
        return False, NONE, 0, 0, 0
    cycle = max(cycle, m[layer + t.TAKEN] + 1)
    number += m[leg + t.L_OFFSET]
    value = value if m[leg + t.L_GRADED] == 1 else 1
    starts, move = NONE, 0
    if tick == 1 and m[layer + t.LEG] < m[layer + t.LEGS] - 1:
        m[layer + t.LEG] += 1
    else:
        if m[layer + t.STAGES] > 0:
            cycle, move = front_move(m, layer, cycle)
        else:
            starts = cycle = start_cycle(m, layer, tick, cycle)
        if cycle == NONE:
            return False, NONE, 0, 0, 0
        if m[layer + t.STAGES] > 0:
            enter(m, layer, move, tick, number, value)
        if tick == 1:
            m[layer + t.LEG] = 0
    m[layer + t.TAKEN] = cycle
    take(m, leg, cycle)
    return True, starts, tick, number, value


@part_of_kernels
def run_layer(m: Memory, layer: int, weights: Array, states: Array, plastic: Plastic, steps: int) -> bool:
    """A layer goes on, up to its last step."""
    moved = False
    learner = (layer - m[t.LAYERS_AT]) // t.LAYER if len(plastic.fixed) > 0 else NONE
    while m[layer + t.STEP] < steps:
        cycle, tick, number, value = pass_on(m, layer)
        if cycle == NONE:
            moves, cycle, tick, number, value = come_in(m, layer)
            if not moves:
                break
        moved = True
        if cycle != NONE and tick == 0:
            m[layer + t.FREE] = cycle + max(1, add_event(m, layer, number, value, weights))
            if learner != NONE:
                stdp.came(plastic.fixed[learner], number, plastic.pre_age)
        elif cycle != NONE:
            start = cycle + m[layer + t.PIPELINE]
            m[layer + t.FREE] = cycle + m[layer + t.WORDS]
            m[layer + t.IDLE] = start + m[layer + t.SWEEP] + t.NEURON_STAGES
            first = m[layer + t.GEN]
            sweep(m, layer, start, states)
            if learner != NONE and plastic.fixed[learner, stdp.LEARNS] == 1:
                m[layer + t.FREE] = m[layer + t.IDLE] + end_step(m, layer, first, learner, weights, plastic)
            lift(m, layer)
    return moved


@part_of_kernels
def end_step(m: Memory, layer: int, first: int, learner: int, weights: Array, plastic: Plastic) -> int:
    """The end of a step of a layer that learns, whose events of the step are in its ring from `first` on: cycles from
    the end of the sweep until the layer takes events again (nmc_stdp)."""
    row, base, places = plastic.fixed[learner], m[layer + t.BASE], m[layer + t.PLACES]
    words, lanes = m[layer + t.WORDS], m[layer + t.LANES]
    fired, post_age = plastic.fired[base : base + places], plastic.post_age[base : base + places]
    fired[:] = 0
    at = first
    while at != m[layer + t.GEN]:
        event = m[layer + t.RING] + t.EVENT * at
        if m[event + t.E_TICK] == 0:
            lane, word = divmod(m[event + t.E_ID], words)
            fired[word * lanes + lane] = 1
        at = at + 1 if at + 1 < m[layer + t.RING_SIZE] else 0
    own = weights[m[layer + t.WEIGHT_AT] :]
    cycles = stdp.learn(
        row, words, own, fired, post_age, plastic.pre_age, plastic.potentiation, plastic.depression
    )
    return stdp.WALK_LATENCY + cycles


# ---- the whole ----------------------------------------------------------------------------------------------------


@part_of_kernels
def run_sink(m: Memory, sink: int, number_of_sink: int, steps: int) -> bool:
    """A sink takes words, up to its last step."""
    leg = m[sink + t.S_LEG]
    moved = False
    while m[sink + t.S_TICKS] < steps:
        cycle, tick, number, value = look(m, leg)
        if cycle == NONE:
            break
        cycle = max(cycle, m[sink + t.S_TAKEN] + 1)
        cycle += m[m[sink + t.S_WAIT_AT] + cycle % m[sink + t.S_PERIOD]]
        event = m[t.OUT_AT] + t.OUT_EVENT * m[t.MADE]
        m[event + t.O_SINK], m[event + t.O_CYCLE], m[event + t.O_TICK] = number_of_sink, cycle, tick
        if tick == 0:
            m[event + t.O_ID], m[event + t.O_VALUE] = number, value
        m[t.MADE] += 1
        m[sink + t.S_TICKS] += tick
        m[sink + t.S_TAKEN] = cycle
        take(m, leg, cycle)
        moved = True
    return moved


def _run_sample(digest: int) -> Any:
    def run_sample(m: Memory, weights: Array, states: Array, plastic: Plastic, steps: int) -> bool:
        """One sample of so many steps; whether it came to its end, or the design is stuck."""
        _ = digest
        sources = m[t.SOURCES_AT] + t.SOURCE * np.arange(m[t.SOURCES])
        layers = m[t.LAYERS_AT] + t.LAYER * np.arange(m[t.LAYERS])
        sinks = m[t.SINKS_AT] + t.SINK * np.arange(m[t.SINKS])
        for source in sources:
            present(m, source, 0)
        for layer in layers:
            # After reset one pass empties the accumulators and one sweep sets the states.
            m[layer + t.FREE] = m[layer + t.WORDS] - 1
            if len(plastic.fixed) > 0:
                row = plastic.fixed[(layer - m[t.LAYERS_AT]) // t.LAYER]
                m[layer + t.FREE] = max(m[layer + t.FREE], row[stdp.CLEAR])
            m[layer + t.IDLE] = m[layer + t.SWEEP] + t.NEURON_STAGES
        moved = True
        while moved:
            moved = False
            for layer in layers:
                moved |= run_layer(m, layer, weights, states, plastic, steps)
            for source in sources:
                moved |= run_fork(m, source)
            for layer in layers:
                moved |= run_fork(m, layer)
            for k, sink in enumerate(sinks):
                moved |= run_sink(m, sink, k, steps)
        ended = True
        for layer in layers:
            ended &= m[layer + t.STEP] == steps
        for sink in sinks:
            ended &= m[sink + t.S_TICKS] == steps
        return ended

    return run_sample


run_sample = compiled(_run_sample(digest_of(core, stdp, t) ^ RULES_DIGEST))
"""The kernel, with a digest of the source of what it calls: see `compiled_with_rules`."""

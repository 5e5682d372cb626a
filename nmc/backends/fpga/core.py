"""What a core computes: what an event adds to its sums, and what a sweep makes of them. Neurons follow the rules of
`nmc.ir.neuron` that golden compiles too."""

from __future__ import annotations

from nmc.backends.fpga import tables as t
from nmc.backends.fpga.tables import Memory
from nmc.ir.neuron import current_integer, step_integer
from nmc.ir.tensor import Array
from nmc.sim.compiled import part_of_kernels


@part_of_kernels
def add_event(m: Memory, layer: int, event_id: int, value: int, weights: Array) -> int:
    """Add what an event brings to the sums of a layer; how many operations, each a cycle, that is."""
    lanes, sums, graded = m[layer + t.LANES], m[layer + t.SUMS_AT], m[layer + t.GRADED]
    if m[layer + t.KIND] == t.DENSE:
        size = m[layer + t.WORDS] * lanes
        start = m[layer + t.WEIGHT_AT] + event_id * size
        _add_row(weights[start : start + size], m[sums : sums + size], value, graded)
        return m[layer + t.WORDS]
    if m[layer + t.KIND] == t.CONV:
        return _convolve(m, layer, event_id, value, weights)
    run = m[layer + t.RUNS_AT] + 2 * event_id
    rows, count = m[layer + t.ROWS_AT] + 2 * m[run], m[run + 1]
    for row in range(rows, rows + 2 * count, 2):
        start, onto = m[layer + t.WEIGHT_AT] + m[row] * lanes, sums + m[row + 1] * lanes
        _add_row(weights[start : start + lanes], m[onto : onto + lanes], value, graded)
    return count


@part_of_kernels
def _convolve(m: Memory, layer: int, event_id: int, value: int, weights: Array) -> int:
    """An event of a convolution: for each tap and each block a row of weights, in the lanes of its group."""
    walk, lanes, graded = m[layer + t.RUNS_AT], m[layer + t.LANES], m[layer + t.GRADED]
    blocks, positions, group = m[walk + t.C_BLOCKS], m[walk + t.C_POSITIONS], m[walk + t.C_GROUP]
    height, width = m[walk + t.C_HEIGHT], m[walk + t.C_WIDTH]
    channel = m[layer + t.ROWS_AT] + 3 * (event_id // (height * width))
    line = m[layer + t.ROWS_AT] + 3 * (m[walk + t.C_CHANNELS] + event_id // width % height)
    column = m[layer + t.ROWS_AT] + 3 * (m[walk + t.C_CHANNELS] + height + event_id % width)
    row, word, listens = m[channel] + m[line] + m[column], m[line + 1] + m[column + 1], m[channel + 1]
    for k in range(m[line + 2]):
        for j in range(m[column + 2]):
            tap = row + k * m[walk + t.C_LINE] + j * m[walk + t.C_COLUMN]
            onto = word - k * m[walk + t.C_LINE_BACK] - j * m[walk + t.C_COLUMN_BACK]
            for block in range(blocks):
                # The lanes p with listens <= p * blocks + block < listens + group.
                low = max(0, -((block - listens) // blocks))
                high = min(lanes, -((block - listens - group) // blocks))
                start = m[layer + t.WEIGHT_AT] + (tap + block) * lanes
                sums = m[layer + t.SUMS_AT] + (onto + block * positions) * lanes
                _add_row(weights[start + low : start + high], m[sums + low : sums + high], value, graded)
    return m[line + 2] * m[column + 2] * blocks


@part_of_kernels
def _add_row(row: Array, onto: Array, value: int, graded: int) -> None:
    if graded == 0:
        for j in range(row.size):
            onto[j] += row[j]
    else:
        for j in range(row.size):
            onto[j] += row[j] * value


@part_of_kernels
def step_place(m: Memory, layer: int, place: int) -> tuple[int, bool]:
    """Step the neuron in a place: its membrane, and whether it gives an event."""
    own = m[layer + t.PARAMETERS_AT] + t.PARAMETER_ROW * place
    v, i, rest = m[layer + t.V_AT] + place, m[layer + t.I_AT] + place, m[layer + t.REST_AT] + place
    drive = m[m[layer + t.SUMS_AT] + place] << m[layer + t.SHIFT]
    bits = m[layer + t.DECAY_BITS]
    if m[layer + t.SYNAPSE] == 1:
        drive = current_integer(
            m[i], drive, m[own + t.I_DECAY], bits, m[layer + t.I_FORM], 0, m[layer + t.I_BITS],
            m[layer + t.I_OVERFLOW],
        )  # fmt: skip
        m[i] = drive
    m[v], m[rest], fired = step_integer(
        m[v], m[rest], drive + m[own + t.BIAS], m[own + t.V_DECAY], m[own + t.THRESHOLD], 0, m[own + t.MINIMUM],
        m[own + t.PERIODS], bits, m[layer + t.V_FORM], 0, m[layer + t.V_BITS], m[layer + t.V_OVERFLOW], False,
        m[layer + t.AT_LEAST], 0, m[layer + t.RESET], m[layer + t.WHEN], m[layer + t.CLAMP] == 1,
    )  # fmt: skip
    return m[v], fired == 1 if m[layer + t.FIRE] == 1 else m[v] != 0


@part_of_kernels
def sweep(m: Memory, layer: int, start: int, states: Array) -> None:
    """A sweep over all places of a layer, the first in cycle `start`: states after it, and its events, timed, in the
    layer's ring. `states` (3, steps, places) get a record of v, i and spikes while there is room for the step."""
    ring, ring_size, step = m[layer + t.RING], m[layer + t.RING_SIZE], m[layer + t.STEP]
    sums, at_once, fire = m[layer + t.SUMS_AT], m[layer + t.AT_ONCE], m[layer + t.FIRE]
    gen, before, turn = m[layer + t.GEN], -1, -1
    for place in range(m[layer + t.PLACES]):
        number = m[m[layer + t.NUMBER_AT] + place]
        if number >= m[layer + t.SIZE]:
            continue
        v, gives = step_place(m, layer, place)
        m[sums + place] = 0
        if step < states.shape[1]:
            at = m[layer + t.BASE] + place
            states[0, step, at], states[1, step, at], states[2, step, at] = (
                v,
                m[m[layer + t.I_AT] + place],
                gives,
            )
        if gives:
            event = ring + t.EVENT * gen
            m[event + t.E_TICK], m[event + t.E_ID], m[event + t.E_LAST] = 0, number, 1
            m[event + t.E_VALUE] = 0 if fire == 1 else v
            m[event + t.E_CYCLE] = start + place // at_once + t.NEURON_STAGES
            if turn == place // at_once:
                m[before + t.E_LAST] = 0
            else:
                m[layer + t.QUEUED] += 1
            before, turn = event, place // at_once
            gen = gen + 1 if gen + 1 < ring_size else 0
            m[layer + t.SPIKES] += 1
    event = ring + t.EVENT * gen
    m[event + t.E_TICK], m[event + t.E_LAST] = 1, 1
    m[event + t.E_CYCLE] = start + m[layer + t.SWEEP] + t.NEURON_STAGES
    m[layer + t.QUEUED] += 1
    m[layer + t.GEN] = gen + 1 if gen + 1 < ring_size else 0
    m[layer + t.STEP] = step + 1

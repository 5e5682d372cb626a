"""What a design takes of a part before anything is synthesized: LUT4s, block RAMs, multipliers.

The shape of the estimate follows the RTL: bits of sums in all lanes, bits of states in the pipeline, of sums of a
convolution, and memories in LUTs, counted as the synthesizer makes them. The weights have the least largest error on
designs synthesized with Yosys 0.23: for ECP5 thirteen (dense, recurrent, convolutional, with synaptic currents or
multipliers; 28 to 912 neurons, 1 to 32 lanes, weights of 4 to 8 bits; LUT4 + 2 CCU2C + 6 TRELLIS_DPR16X4), off by
17 % at most; for iCE40 nine (SB_LUT4; cells that hold a register alone are not in it), by 13 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nmc.backends.fpga.program import Design, Io, Layer, index_bits
from nmc.backends.fpga.spec import PARTS
from nmc.ir.tensor import Array

LUTS = {
    "ecp5-85": np.array([3.38, 10.83, 2.88, 8.46, 1.0]),
    "ice40-up5k": np.array([3.03, 17.99, 0.0, 2.62, 0.0]),
}
"""LUT4s per unit of `features`, for each part."""

SHALLOW = 32
"""Up to so many words a memory of constants stands in LUTs instead of block RAM."""

LUT_RAMS_A_BLOCK = 32
"""So many LUT RAMs of 16 words of 4 bits cost Yosys as much as a block RAM (brams.txt, lutrams.txt of ECP5)."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What is taken, of each kind."""

    luts: float
    block_rams: float
    multipliers: float


def design_cost(design: Design) -> Cost:
    """The whole design."""
    counted = sum(features(layer) for layer in design.layers)
    memories = [each for layer in design.layers for each in _memories(layer)] + _queues(design)
    lut_memory = sum(
        6 * _lut_rams(words, bits) for words, bits in memories if _in_luts(words, bits, design.part)
    )
    lut_memory += sum(
        6 * _lut_rams(layer.words, _sum_bits(layer)) for layer in design.layers if _unclocked(layer)
    )
    counted = np.append(counted, lut_memory)
    blocks = sum(
        _blocks(words, bits, design.part)
        for words, bits in memories
        if not _in_luts(words, bits, design.part)
    )
    blocks += sum(_constant_blocks(layer) for layer in design.layers)
    multipliers = sum(_multipliers(layer) for layer in design.layers)
    luts = float(counted @ LUTS[design.part]) + sum(
        _change_luts(layer, design.runtime) for layer in design.layers
    )
    if design.io is Io.UART:
        luts += LINK_LUTS
    return Cost(luts, float(blocks + (design.io is Io.UART)), float(multipliers))


LINK_LUTS = 154.0
"""A serial line and its messages, by `synth_ecp5` for one input and one output."""


def _change_luts(layer: Layer, runtime: bool) -> float:
    """Of weights that may change: three a bit of a row, to choose, change and hold it; where they learn, in each lane
    half a bit of its table and six a bit of a weight, and a hundred for the walk. Fitted to two designs."""
    row = layer["P"] * layer["WEIGHT_BITS"]
    table = layer["STDP_BITS"] * (layer["STDP_WINDOW"] + 1)
    learns = layer["P"] * table / 2 + 6 * row + 100 if layer["STDP"] else 0
    return (3 * row if runtime else 0) + learns


def features(layer: Layer) -> Array:
    """Of a layer: bits of sums, bits of membranes and of synaptic currents in the pipeline, of sums of
    a convolution."""
    current = layer["U"] * layer["SYNAPSE"] * layer["I_BITS"]
    return np.array(
        [_sum_bits(layer), layer["U"] * layer["V_BITS"], current, layer["CONV"] * _sum_bits(layer)]
    )


def _sum_bits(layer: Layer) -> int:
    return layer["P"] * layer["SUM_BITS"]


def _unclocked(layer: Layer) -> bool:
    """Whether sums are read without a clock, which no block RAM does."""
    return not layer["BLOCK"] and layer.words > 1


def _memories(layer: Layer) -> list[tuple[int, int]]:
    """Words and bits of the memories that are read with a clock: sums, the sums of the last step, states, the queue."""
    each = layer["V_BITS"] + layer["SYNAPSE"] * layer["I_BITS"] + layer["REFRACTORY"] * layer["WAIT_BITS"]
    mask = layer["U"] if layer["U"] > 1 else 0
    queued = 1 + index_bits(layer["N"]) + mask + (0 if layer["FIRE"] else layer["U"] * layer["V_BITS"])
    found = [(layer.words, _sum_bits(layer)), (layer.sweep, layer["U"] * each), (layer.queue_depth, queued)]
    if layer["BLOCK"]:
        found.append((layer.words, _sum_bits(layer)))
    return [(words, bits) for words, bits in found if words > 1]


def _in_luts(words: int, bits: int, part: str) -> bool:
    """Whether a memory stands in LUT RAM: where that costs Yosys no more than block RAM. An iCE40 has none."""
    if part == "ice40-up5k":
        return False
    return _lut_rams(words, bits) <= LUT_RAMS_A_BLOCK * _blocks(words, bits, part)


def _lut_rams(words: int, bits: int) -> int:
    """TRELLIS_DPR16X4 of a memory, six LUT4s each."""
    return math.ceil(words / 16) * math.ceil(bits / 4)


def _queues(design: Design) -> list[tuple[int, int]]:
    """Words and bits of every queue that is not a layer's own."""
    legs = [leg for layer in design.layers for leg in layer.legs] + [sink.leg for sink in design.sinks]
    return [(leg.depth, design.word_bits(leg.src)) for leg in legs if leg.depth]


def _constant_blocks(layer: Layer) -> int:
    """Block RAMs of weights, tables and parameters."""
    return sum(
        math.ceil(m.width / m.slice) * math.ceil(m.depth / m.bank)
        for m in layer.memories
        if m.depth > SHALLOW
    )


def _blocks(words: int, bits: int, part: str) -> int:
    """Block RAMs of a memory in the shape that takes fewest."""
    return min(math.ceil(words / deep) * math.ceil(bits / wide) for deep, wide in PARTS[part].shapes)


def _multipliers(layer: Layer) -> int:
    decays = (layer["V_FORM"] == 1) + (layer["SYNAPSE"] and layer["I_FORM"] == 1)
    return layer["U"] * int(decays) + layer["GRADED"] * layer["P"]

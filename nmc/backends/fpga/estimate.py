"""What a design takes of a part before anything is synthesized: LUT4s, block RAMs, multipliers.

The shape of the estimate follows the RTL: bits of sums in all lanes, bits of states in the pipeline, of sums of a
convolution or of products, and memories that stand in logic, counted as the synthesizer makes them. The weights are
fitted to designs synthesized with Yosys 0.23. For ECP5 thirteen (dense, recurrent, convolutional, with synaptic
currents or multipliers; 28 to 912 neurons, 1 to 32 lanes, weights of 4 to 8 bits; LUT4 + 2 CCU2C + 6 TRELLIS_DPR16X4)
and one of 35 lanes; off by 22 % at most before all were scaled by 0.97. For iCE40 sixteen, packed by nextpnr, which
counts logic cells: those with a register alone too; off by 11 % at most but for one, 27 %, whose sums cost almost the
same in block RAM, as estimated, and in registers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from nmc.backends.fpga.program import Design, Io, Layer, index_bits
from nmc.backends.fpga.spec import PARTS
from nmc.ir.tensor import Array

LUTS = {
    "ecp5-85": np.array([3.28, 10.51, 2.79, 8.21, 0.0, 0.97, 0.0]),
    "ice40-up5k": np.array([6.22, 29.1, 16.65, 14.35, 9.33, 1.02, 0.073]),
}
"""LUT4s, or logic cells, per unit of `features`, of memory in logic and of bits of constants there, for each part."""

BLOCK_COST = MappingProxyType({"ecp5-85": 128, "ice40-up5k": 64})
LUT_RAM_COST = 4
"""What Yosys weighs a block RAM and a LUT RAM of 16 words of 4 bits with (brams.txt, lutrams.txt of each family), where
a bit in logic weighs 1, of constants 1/16 (memory_libmap). The cheapest is taken."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What is taken, of each kind."""

    luts: float
    """LUT4s of an ECP5, logic cells of an iCE40."""
    block_rams: float
    multipliers: float


def design_cost(design: Design) -> Cost:
    """The whole design."""
    counted = sum(features(layer) for layer in design.layers)
    memories = [each for layer in design.layers for each in _memories(layer, design.runtime)] + _queues(
        design
    )
    logic = [each for each in memories if not _block_rams(each, design.part)]
    constants = sum(each.size for each in logic if each.constant)
    rewritten = sum(_logic(each, design.part) for each in logic if not each.constant)
    counted = np.append(counted, [rewritten, constants])
    blocks = sum(_block_rams(each, design.part) for each in memories)
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
    a convolution, of sums of products."""
    current = layer["U"] * layer["SYNAPSE"] * layer["I_BITS"]
    sums = _sum_bits(layer)
    return np.array(
        [sums, layer["U"] * layer["V_BITS"], current, layer["CONV"] * sums, layer["GRADED"] * sums]
    )


def _sum_bits(layer: Layer) -> int:
    return layer["P"] * layer["SUM_BITS"]


@dataclass(frozen=True, slots=True)
class _Memory:
    """A memory as the synthesizer meets it."""

    words: int
    bits: int
    constant: bool = False

    @property
    def size(self) -> int:
        """All its bits."""
        return self.words * self.bits


def _memories(layer: Layer, runtime: bool) -> list[_Memory]:
    """Sums, the sums of the last step, states, the queue; weights, tables and parameters, a memory each piece."""
    each = layer["V_BITS"] + layer["SYNAPSE"] * layer["I_BITS"] + layer["REFRACTORY"] * layer["WAIT_BITS"]
    mask = layer["U"] if layer["U"] > 1 else 0
    queued = 1 + index_bits(layer["N"]) + mask + (0 if layer["FIRE"] else layer["U"] * layer["V_BITS"])
    found = [
        _Memory(layer.words, _sum_bits(layer)),
        _Memory(layer.words, _sum_bits(layer)),
        _Memory(layer.sweep, layer["U"] * each),
        _Memory(layer.queue_depth, queued),
    ]
    for memory in layer.memories:
        constant = not (runtime and memory.name.endswith(".weights"))
        for bank in range(0, memory.depth, memory.bank):
            words = min(memory.bank, memory.depth - bank)
            widths = [min(memory.slice, memory.width - at) for at in range(0, memory.width, memory.slice)]
            found += [_Memory(words, bits, constant) for bits in widths]
    return [memory for memory in found if memory.words > 1]


def _block_rams(memory: _Memory, part: str) -> int:
    """The block RAMs of a memory, 0 where it costs the synthesizer less in logic."""
    blocks = _blocks(memory.words, memory.bits, part)
    logic = memory.size / 16 if memory.constant else memory.size
    if part == "ecp5-85" and not memory.constant:
        logic = min(logic, LUT_RAM_COST * _lut_rams(memory))
    return blocks if BLOCK_COST[part] * blocks < logic else 0


def _logic(memory: _Memory, part: str) -> int:
    """What a memory takes that is in no block RAM: six LUT4s each LUT RAM; without those, a register each bit."""
    return 6 * _lut_rams(memory) if part == "ecp5-85" else memory.size


def _lut_rams(memory: _Memory) -> int:
    """TRELLIS_DPR16X4 of a memory."""
    return math.ceil(memory.words / 16) * math.ceil(memory.bits / 4)


def _queues(design: Design) -> list[_Memory]:
    """Every queue that is not a layer's own."""
    legs = [leg for layer in design.layers for leg in layer.legs] + [sink.leg for sink in design.sinks]
    return [_Memory(leg.depth, design.word_bits(leg.src)) for leg in legs if leg.depth]


def _blocks(words: int, bits: int, part: str) -> int:
    """Block RAMs of a memory in the shape that takes fewest."""
    return min(math.ceil(words / deep) * math.ceil(bits / wide) for deep, wide in PARTS[part].shapes)


def _multipliers(layer: Layer) -> int:
    decays = (layer["V_FORM"] == 1) + (layer["SYNAPSE"] and layer["I_FORM"] == 1)
    return layer["U"] * int(decays) + layer["GRADED"] * layer["P"]

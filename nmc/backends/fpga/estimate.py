"""What a design takes of a part before anything is synthesized: LUT4s, block RAMs, multipliers.

The shape of the estimate follows the RTL: bits of sums in all lanes, bits of states in the pipeline, LUT memory. Its
weights were fitted to Yosys 0.23 `synth_ecp5` on ten designs of 67 to 546 neurons, 1 to 64 lanes and weights of 4 to 8
bits: LUT4 + 2 CCU2C + 6 TRELLIS_DPR16X4, off by 15 % at most on them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nmc.backends.fpga.program import Design, Io, Layer
from nmc.ir.tensor import Array

LUTS = np.array([1.48, 18.4, 1.23])
"""LUT4s per unit of `features`."""

SHALLOW = 32
"""Up to so many words a memory stands in LUTs instead of block RAM."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What is taken, of each kind."""

    luts: float
    block_rams: float
    multipliers: float


def design_cost(design: Design) -> Cost:
    """The whole design."""
    counted = queue_features(design) + sum(features(layer) for layer in design.layers)
    blocks = sum(_layer_blocks(layer) for layer in design.layers) + _queue_blocks(design)
    multipliers = sum(_multipliers(layer) for layer in design.layers)
    luts = float(counted @ LUTS) + sum(_change_luts(layer, design.runtime) for layer in design.layers)
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
    """Of a layer: bits of sums, bits of states in the pipeline, LUTs of memory."""
    sums = layer["P"] * layer["SUM_BITS"]
    states = layer["U"] * (layer["V_BITS"] + layer["SYNAPSE"] * layer["I_BITS"])
    memory = 0
    if not layer["BLOCK"] and layer.words > 1:
        memory += (1 + (layer.words <= SHALLOW)) * _lut_memory(layer.words, sums)
    if layer.sweep <= SHALLOW:
        memory += _lut_memory(layer.sweep, states)
    return np.array([sums, states, memory])


def queue_features(design: Design) -> Array:
    """Of the queues behind forks: those that stand in LUTs."""
    memory = sum(_lut_memory(depth, bits) for depth, bits in _queues(design) if 0 < depth <= SHALLOW)
    return np.array([0, 0, memory])


def _lut_memory(words: int, bits: int) -> int:
    """LUTs of a memory of TRELLIS_DPR16X4: sixteen words of four bits in six."""
    return 6 * math.ceil(words / 16) * math.ceil(bits / 4)


def _queues(design: Design) -> list[tuple[int, int]]:
    """Words and bits of every queue that is not a layer's own."""
    legs = [leg for layer in design.layers for leg in layer.legs] + [sink.leg for sink in design.sinks]
    return [(leg.depth, design.word_bits(leg.src)) for leg in legs]


def _layer_blocks(layer: Layer) -> int:
    blocks = sum(
        math.ceil(m.width / m.slice) * math.ceil(m.depth / m.bank)
        for m in layer.memories
        if m.depth > SHALLOW
    )
    state = layer["U"] * (layer["V_BITS"] + layer["SYNAPSE"] * layer["I_BITS"])
    if layer.sweep > SHALLOW:
        blocks += _blocks(layer.sweep, state)
    if layer["BLOCK"]:
        blocks += _blocks(layer.words, layer["P"] * layer["SUM_BITS"])
    if layer.words > SHALLOW:
        blocks += _blocks(layer.words, layer["P"] * layer["SUM_BITS"])
    if layer.queue_depth > SHALLOW:
        blocks += 1
    return blocks


def _queue_blocks(design: Design) -> int:
    return sum(_blocks(depth, bits) for depth, bits in _queues(design) if depth > SHALLOW)


def _blocks(words: int, bits: int) -> int:
    """Block RAMs of 18 Kbit in the shape that takes fewest."""
    shapes = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
    return min(math.ceil(words / deep) * math.ceil(bits / wide) for deep, wide in shapes)


def _multipliers(layer: Layer) -> int:
    decays = (layer["V_FORM"] == 1) + (layer["SYNAPSE"] and layer["I_FORM"] == 1)
    return layer["U"] * int(decays) + layer["GRADED"] * layer["P"]

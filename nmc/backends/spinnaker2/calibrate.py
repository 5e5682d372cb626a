"""What a program costs, measured: small memories in the emulator, with the machine's counts beside them.

The costs of a kind are the instructions and the cycles that each count of `core.py` stands for. The firmware has no
loop whose cost is not in proportion to one of them, so a few dozen runs of all its paths determine them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from nmc.backends.spinnaker2 import core
from nmc.backends.spinnaker2.blocks import SRAM_BYTES, Box, Format, box_neurons, slots
from nmc.backends.spinnaker2.convolution import convolution
from nmc.backends.spinnaker2.core import COUNTS
from nmc.backends.spinnaker2.emulator import Cpu
from nmc.backends.spinnaker2.files import Placed
from nmc.backends.spinnaker2.image import BASE, W_CELLS, W_NEURONS, W_TICK, image
from nmc.backends.spinnaker2.machine import table_of_pe
from nmc.backends.spinnaker2.program import OWN, SUMS, Array, Block, Kind, Pe, Source
from nmc.backends.spinnaker2.rows import padded
from nmc.ir.ops import Conv
from nmc.ir.tensor import Tensor

BOXES = ((6, 4, 4), (5, 2, 2), (3, 5, 5))
"""Channels, rows and columns of the neurons of some PEs, so that rows have several lengths."""
ROWS = 4
RUNS = 24
"""Of each handler on each PE."""
SEED = 0
THRESHOLD = 1000
STRIDE, MASK = 0x2000, 0xFFFFF000
"""From the keys of one source to those of the next, with keys between them that are nobody's."""


def measure(kind: Kind, program: bytes) -> Array:
    """(2, COUNTS): instructions and cycles of one of each count, of a kind whose ELF is `program`."""
    cpu = Cpu(program, SRAM_BYTES)  # whatever the PE has: these memories must fit
    random = np.random.default_rng(SEED)
    counted: list[Array] = []
    spent: list[Array] = []
    for box in BOXES:
        pe = _pe(kind, box)
        made = image(pe)
        placed = Placed(0, kind, 0, "", pe.neurons, pe.key, True, made.end, (0, 0), made.content)
        cpu.load(made.content)
        for counts, cost in _runs(cpu, placed, pe, random):
            counted.append(counts)
            spent.append(cost)
    return _solve(np.array(counted, np.float64), np.array(spent, np.float64))


def _solve(counted: Array, spent: Array) -> Array:
    """The costs that explain what was spent; of counts that never occur 0."""
    found = np.zeros((2, COUNTS))
    update = np.arange(COUNTS) < core.BATCHES
    for columns in (update, ~update):
        rows = counted[:, columns].any(axis=1)
        (used,) = np.nonzero(columns & counted.any(axis=0))
        if rows.any():
            solution = np.linalg.lstsq(counted[rows][:, used], spent[rows], rcond=None)[0]
            found[:, used] = np.round(
                solution.T, 2
            )  # so that rounding in solvers leaves no trace in the files
    return found


def _runs(cpu: Cpu, placed: Placed, pe: Pe, random: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    """What each handler counts and costs, on memory that the machine and the emulator share."""
    row = table_of_pe(placed, at=BASE, first=0)
    words = cpu.words
    halves, reals = words.view(np.int16), words.view(np.float32)
    scratch = np.zeros(len(pe.neurons), np.int64)
    every = [source.key + k for source in pe.sources for k in range(ROWS)]
    every += [source.key + STRIDE // 2 for source in pe.sources] + [1]
    for _ in range(RUNS):
        count = int(random.integers(1, 60))
        keys = random.choice(every, count).astype(np.int64)
        counts = np.zeros(COUNTS, np.int64)
        before, kept = np.array(cpu.spent), cpu.memory.copy()
        cpu.take(keys, np.ones(count, np.int64))
        cost = np.array(cpu.spent) - before
        cpu.memory[:] = kept
        for key in keys.tolist():
            core.take_packet(words, halves, row, key, 1, counts)
        counts[core.BATCHES] = -(-count // 32)
        yield counts, cost
        _shake(cpu, pe, random)
        counts = np.zeros(COUNTS, np.int64)
        before, kept = np.array(cpu.spent), cpu.memory.copy()
        cpu.tick()
        cost = np.array(cpu.spent) - before
        cpu.memory[:] = kept
        if pe.kind["NEURON"]:
            core.update(words, halves, reals, row, scratch, scratch.copy(), counts)
        else:
            core.send_sums(words, halves, row, scratch, scratch.copy(), counts)
        yield counts, cost
        words[BASE // 4 + W_TICK] = 0


def _shake(cpu: Cpu, pe: Pe, random: np.random.Generator) -> None:
    """States of which some are past the threshold, and some resting."""
    width, neurons = len(pe.kind.words), int(cpu.words[BASE // 4 + W_NEURONS])
    if not width:
        return
    start = int(cpu.words[BASE // 4 + W_CELLS]) // 4
    cells = cpu.words[start : start + width * neurons].reshape(neurons, width)
    share = random.random()
    v = np.where(random.random(neurons) < share, 3 * THRESHOLD, random.integers(-5, 5, neurons) * 100)
    cells[:, 0] = _states(pe.kind, v)
    if "WAIT" in pe.kind.words:
        at = pe.kind.words.index("WAIT")
        cells[:, at] = random.random(neurons) < random.random()


def _states(kind: Kind, values: Array) -> Array:
    """Numbers as states of the kind."""
    if kind["REAL"]:
        return np.asarray(values, np.float32).view(np.int32)
    return (np.asarray(values) << kind["INPUT_SHIFT"]).astype(np.int32)


# ---- a PE of each kind --------------------------------------------------------------------------------------


def _pe(kind: Kind, box: tuple[int, int, int]) -> Pe:
    """A PE with blocks of all formats of the kind, and some for rows that it never gets."""
    neurons = int(np.prod(box))
    one = np.float32(0.9).view(np.int32) if kind["REAL"] else int(0.9 * 2 ** kind["DECAY_BITS"])
    values = {
        "DECAY": int(one), "SYNAPSE_DECAY": int(one), "BIAS": int(_states(kind, np.array(1))),
        "THRESHOLD": int(_states(kind, np.array(THRESHOLD))), "MINIMUM": int(_states(kind, np.array(-400))),
        "REFRACTORY": 2,
    }  # fmt: skip
    cells = np.zeros((neurons, len(kind.words)), np.int32)
    for column, name in enumerate(kind.words):
        cells[:, column] = values.get(name, 0)
    found = list(_blocks(kind, box))
    far = [replace(block, start=0x800) for block in found[:1]]
    together = [(block,) for block in found] + [(*far, block) for block in found]
    if far:
        together += [(found[0], found[0]), (*far,), (*far, *far), (*far, *far, *far)]
    sources = [Source(STRIDE * (k + 1), MASK, each) for k, each in enumerate(together)]
    return Pe(
        0, kind, 0, "", np.arange(neurons), 0, True, slots(8), cells, tuple(values[name] for name in OWN),
        tuple(sources),
    )  # fmt: skip


def _blocks(kind: Kind, box: tuple[int, int, int]) -> Iterator[Block]:
    neurons, simd = int(np.prod(box)), kind["SUM_BITS"] == 16
    table = np.array([0, 0, 1, 6, 18], np.uint32)
    targets = np.arange(18) % neurons
    if kind["HAS_DENSE"]:
        rows = padded(np.ones((ROWS, neurons), np.int8), simd=simd)
        yield Block(int(Format.DENSE), 1, 0, ROWS, None, rows)
    if kind["HAS_NARROW"]:
        yield Block(int(Format.NARROW), 1, 0, ROWS, table, (1 << 8 | targets).astype(np.uint16))
    if kind["HAS_DELAYED"]:
        yield Block(int(Format.DELAYED), 1, 0, ROWS, table, (1 << 12 | 2 << 9 | targets).astype(np.uint16))
    if kind["HAS_WIDE"]:
        yield Block(int(Format.WIDE), 1, 0, ROWS, table, (1 << 24 | 2 << 16 | targets).astype(np.uint32))
    if kind["HAS_CONV"]:
        yield from _convolutions(box, simd=simd)
    if kind["HAS_SUMS"]:
        yield Block(SUMS, 1, 0, ROWS, None, None)


def _convolutions(box: tuple[int, int, int], *, simd: bool) -> Iterator[Block]:
    """One that serves all channels, with places in corners and in the middle; one of which half serves none."""
    depth, height, width = box
    for groups, kernel in ((1, 3), (2, 1)):
        weight = Tensor(np.ones((groups * depth, groups if groups == 1 else 1, kernel, kernel)))
        pad = kernel // 2
        op = Conv(
            (groups, height, width), weight, None, (1, 1), ((pad, pad), (pad, pad)), (1, 1), groups,
        )  # fmt: skip
        shape = (groups * depth, height, width)
        neurons = box_neurons(shape, Box((0, depth), (0, height), (0, width)))
        sources = box_neurons((groups, height, width), Box((0, groups), (0, height), (0, width)))
        made = convolution(op, neurons, sources, start=0, simd=simd)
        assert made is not None
        yield Block(int(Format.CONV), 1, 0, ROWS, *made)

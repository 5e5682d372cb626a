"""A recording of what every PE receives, sends and keeps, for `replay.py` of the artifact, which needs no nmc."""

from __future__ import annotations

import struct
from importlib.resources import files as package_files

import numpy as np

from nmc.backends.spinnaker2 import machine
from nmc.backends.spinnaker2.files import REPLAY, Program, replay_name
from nmc.backends.spinnaker2.program import Array
from nmc.ir.ops import SignalKind

TICKS, PES, BYTES = 16, 1024, 1 << 26
"""Recorded ticks; at most so many of PEs all together, and of bytes of images."""
RATE, SEED = 0.25, 0


def record(program: Program) -> dict[str, bytes]:
    """The script and a file for each PE: seeded inputs, in as many ticks as `PES` and `BYTES` allow."""
    chip = machine.Chip(program)
    size = sum(len(pe.image) for pe in program.pes)
    ticks = max(1, min(TICKS, PES // max(1, len(program.pes)), BYTES // max(1, size)))
    random = np.random.default_rng(SEED)
    inputs: dict[str, Array] = {}
    for each in program.inputs:
        shape = (ticks, int(np.prod(each.signal.shape, dtype=np.int64)))
        inputs[each.name] = (random.random(shape) < RATE).astype(np.int64)
        if each.signal.kind is not SignalKind.SPIKE and each.signal.number is not None:
            number = each.signal.number
            inputs[each.name] *= random.integers(number.lowest, number.highest + 1, shape)
    sample = chip.run(inputs, {}, states=True)
    found = {REPLAY: (package_files("nmc.backends.spinnaker2") / "replay.py.txt").read_bytes()}
    for index, pe in enumerate(program.pes):
        packets = machine.delivered(chip, sample, index)
        parts = [struct.pack("<I", ticks)]
        for t in range(ticks):
            sent = _sent(chip, sample, index, t)
            taken = [_pairs(*packets.sums(t)), _pairs(*packets.spikes(t)), sent]
            sizes = [len(each) // 8 for each in taken]
            parts += [struct.pack("<4I", *sizes, int(sample.states[t, index])), *taken]
        found[replay_name(program.chip, pe.pe)] = b"".join(parts)
    return found


def _pairs(key: Array, value: Array) -> bytes:
    """Packets as a PE has them in its boxes."""
    return np.stack([key & 0xFFFFFFFF, value & 0xFFFFFFFF], axis=1).astype("<u4").tobytes()


def _sent(chip: machine.Chip, sample: machine.Sample, index: int, t: int) -> bytes:
    """What a PE sent in a tick."""
    first, last = chip.wiring.offset[index], chip.wiring.offset[index + 1]
    part = slice(int(sample.first[t]), int(sample.first[t + 1]))
    sender = sample.sender[part]
    mine = (sender >= first) & (sender < last)
    return _pairs(chip.wiring.key[sender[mine]], sample.value[part][mine])

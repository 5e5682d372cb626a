"""The memory image of a PE: what stands from `struct pe` on before the first tick, byte by byte; and read back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nmc.backends.spinnaker2 import blocks
from nmc.backends.spinnaker2.program import Array, Block, Convolution, Pe, Source

MAGIC = 0x3250534E
"""`NSP2`, the first word."""

BASE = blocks.CODE_BYTES
"""Where the image begins in the PE's memory."""

# Words of `struct pe`, in its order.
(
    W_MAGIC, W_NEURONS, W_TICK, W_NEXT, W_KEY, W_SOURCES, W_LOOKUP, W_BLOCKS, W_CELLS, W_RING, W_STRIDE,
    W_LAST_SLOT, W_DECAY, W_SYNAPSE_DECAY, W_BIAS, W_THRESHOLD, W_MINIMUM, W_REFRACTORY, W_RECEIVED, W_SENT,
) = range(20)  # fmt: skip

INBOX = BASE + blocks.HEADER_BYTES
OUTBOX = INBOX + blocks.INBOX * blocks.PACKET_BYTES
DATA = OUTBOX + blocks.OUTBOX * blocks.PACKET_BYTES


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes of a PE's memory that serve one purpose."""

    name: str
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Image:
    """The bytes from `BASE` on, zeros at the end left out, and the memory map."""

    content: bytes
    regions: tuple[Region, ...]

    @property
    def end(self) -> int:
        """The address behind all that is used, the stack left out."""
        return max(region.start + region.size for region in self.regions)

    @property
    def used(self) -> int:
        """Bytes of the memory that are used, code and stack included."""
        return self.end + blocks.STACK_BYTES


class _Memory:
    """Regions laid out one after the other, each on a multiple of four."""

    def __init__(self) -> None:
        self.regions: list[Region] = []
        self.pieces: list[tuple[int, bytes]] = []
        self.at = DATA

    def add(self, name: str, size: int, content: bytes = b"") -> int:
        start = self.at
        if not self.regions or self.regions[-1].name != name:
            self.regions.append(Region(name, start, 0))
        last = self.regions[-1]
        self.at += -(-size // 4) * 4
        self.regions[-1] = Region(name, last.start, self.at - last.start)
        if content:
            self.pieces.append((start, content))
        return start

    def put(self, start: int, content: bytes) -> None:
        self.pieces.append((start, content))


def image(pe: Pe) -> Image:
    """The image of a PE. What does not fit its memory is the mapping's fault: the emitter checks `used`."""
    memory = _Memory()
    neurons, sources = len(pe.neurons), pe.sources
    flat = [block for source in sources for block in source.blocks]
    stride = -(-neurons // 4) * 4
    lookup = memory.add("lookup", len(sources) * blocks.ENTRY_BYTES, _lookup(sources))
    descriptors = memory.add("blocks", len(flat) * blocks.BLOCK_BYTES)
    ring = memory.add("ring", blocks.ring_bytes(neurons, pe.slots, pe.kind["SUM_BITS"]))
    cells = memory.add("neurons", pe.cells.nbytes, pe.cells.astype("<i4").tobytes())
    rows = np.zeros((len(flat), 5), "<u4")
    for index, block in enumerate(flat):
        table, data = _place(memory, block)
        rows[index] = (block.layout | (block.delay - 1) << 16, block.start, block.rows, table, data)
    memory.put(descriptors, rows.tobytes())
    header = np.zeros(blocks.HEADER_BYTES // 4, "<i8")
    header[: W_DECAY + len(pe.shared)] = (
        MAGIC, neurons, 0, 0, pe.key, len(sources), lookup, descriptors, cells, ring, stride,
        pe.slots - 1, *pe.shared,
    )  # fmt: skip
    memory.put(BASE, header.astype("<u4").tobytes())
    content = bytearray(memory.at - BASE)
    for start, piece in memory.pieces:
        content[start - BASE : start - BASE + len(piece)] = piece
    regions = (
        Region("code", 0, blocks.CODE_BYTES),
        Region("header", BASE, blocks.HEADER_BYTES),
        Region("inbox", INBOX, OUTBOX - INBOX),
        Region("outbox", OUTBOX, DATA - OUTBOX),
        *memory.regions,
    )
    return Image(bytes(content).rstrip(b"\0"), regions)


def _lookup(sources: Sequence[Source]) -> bytes:
    rows = np.zeros((len(sources), 3), "<u4")
    first = 0
    for index, source in enumerate(sources):
        rows[index] = (source.key, source.mask, first | len(source.blocks) << 16)
        first += len(source.blocks)
    return rows.tobytes()


def _place(memory: _Memory, block: Block) -> tuple[int, int]:
    """Put a block's synapses into memory; the addresses of its table and its data."""
    data = 0 if block.data is None else memory.add("synapses", block.data.nbytes, block.data.tobytes())
    if block.table is None:
        return 0, data
    if isinstance(block.table, Convolution):
        return _convolution(memory, block.table, data), data
    return memory.add("synapses", 4 * len(block.table), block.table.astype("<u4").tobytes()), data


def _convolution(memory: _Memory, table: Convolution, kernels: int) -> int:
    """`struct conv` and the tables that it points to."""
    channels = np.zeros((len(table.channels), 2), "<u4")
    channels[:, 0] = table.channels[:, 0] + kernels
    channels[:, 1] = table.channels[:, 1] | table.channels[:, 2] << 16
    pointers = [memory.add("synapses", channels.nbytes, channels.tobytes())]
    for reach in (table.rows, table.columns):
        words = (reach[:, 0] | reach[:, 1] << 8 | reach[:, 2] << 16).astype("<u4")
        pointers.append(memory.add("synapses", words.nbytes, words.tobytes()))
    words = np.array([*pointers, table.offset, *table.radix], "<u4").tobytes()
    bytes4 = bytes((*table.role, 0))
    halves = np.array([*table.origin, table.depth, table.width, table.kernel_width], "<u2").tobytes()
    steps = np.array(table.steps, "<i2").tobytes()
    return memory.add("synapses", blocks.CONV_BYTES, words + bytes4 + halves + steps)


def memory_of(content: bytes, sram_bytes: int) -> Array:
    """The memory of a PE, uint8, with an image in it."""
    memory = np.zeros(sram_bytes, np.uint8)
    memory[BASE : BASE + len(content)] = np.frombuffer(content, np.uint8)
    return memory

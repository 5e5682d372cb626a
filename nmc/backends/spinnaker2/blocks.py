"""What a PE holds, to the byte: neurons, rings of sums, blocks of synapses.

The mapping asks here whether neurons and their synapses fit a PE, `emit` packs what was chosen, the firmware
(`firmware/pe.h`) reads it. A block holds the synapses of one connection from a run of local neurons of one source to
all neurons of the PE, in the cheapest of the formats that can hold them.

    DENSE    a row of int8 weights for each source, one for each neuron of the PE, rows padded to four bytes
    NARROW   a list for each source of 16-bit words: weight (8, signed), neuron (8)
    DELAYED  the same: weight (4, signed), delay (3), neuron (9)
    WIDE     the same with 32-bit words: weight (8, signed), delay (8), neuron (16)
    CONV     the kernels of a convolution, shared: int8 (channel in, tap y, tap x, channel out), channel last
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.ir.ops import Conv, Neuron, Shape
from nmc.ir.tensor import Tensor

Array = npt.NDArray[Any]

SRAM_BYTES = 1 << 17
"""The memory of a PE: code, tables and stack included. SpiNNaker2 datasheet v0.03: 128 kB of local SRAM."""
CODE_BYTES = 4096
"""Vectors and code, from address 0; the linker refuses more."""
STACK_BYTES = 512
"""At the top of the memory."""
INBOX, OUTBOX = 32, 64
"""Packets that the PE takes and gives at a time."""
PACKET_BYTES = 8
"""A key and a payload."""
HEADER_BYTES = 128
"""`struct pe` of the firmware."""
FIXED_BYTES = CODE_BYTES + STACK_BYTES + HEADER_BYTES + (INBOX + OUTBOX) * PACKET_BYTES
"""What every PE has, before its first neuron."""
ENTRY_BYTES = 12
"""A source in the lookup from keys to blocks: key, mask, first block and number of blocks."""
BLOCK_BYTES = 20
"""What the firmware knows of a block besides its synapses."""
CONV_BYTES = 48
"""What it knows of a convolution besides."""
CHANNEL_BYTES = 8
"""Of each channel that enters a convolution: where its kernels are and which channels they serve."""
PLACE_BYTES = 4
"""Of each row and of each column that enters: the first tap, the first row or column, and how many."""

NARROW_NEURONS, DELAYED_NEURONS, WIDE_NEURONS = 1 << 8, 1 << 9, 1 << 16
"""Neurons that a word can name."""
DELAYED_DELAY, WIDE_DELAY = 1 << 3, 1 << 8
"""Delays, beyond the block's own, that a word can name."""
MOST_SLOTS = 256
"""The deepest ring."""


class Format(IntEnum):
    """How a block holds its synapses; the numbers are the firmware's."""

    DENSE = 0
    NARROW = 1
    DELAYED = 2
    WIDE = 3
    CONV = 4


# ---- neurons and rings ------------------------------------------------------------------------------------


def own_parameters(op: Neuron) -> tuple[str, ...]:
    """The parameters that each neuron has for itself: a word each in its memory. The others are in the header."""
    fire, synapse = op.fire, op.synapse
    found: tuple[tuple[str, Tensor | None], ...] = (
        ("decay", op.membrane.decay),
        ("synapse_decay", synapse and synapse.decay),
        ("bias", op.membrane.bias),
        ("threshold", fire and fire.threshold),
        ("minimum", op.membrane.minimum),
        ("refractory", fire and fire.refractory),
    )
    return tuple(name for name, tensor in found if tensor is not None and _differs(tensor))


def _differs(tensor: Tensor) -> bool:
    return bool((tensor.data != tensor.data.flat[0]).any())


def rests(op: Neuron) -> bool:
    """Whether neurons count refractory steps."""
    return op.fire is not None and bool(op.fire.refractory.data.any())


def neuron_bytes(op: Neuron) -> int:
    """Of one neuron: its membrane, synaptic current and refractory count, and its own parameters, four bytes each."""
    words = 1 + (op.synapse is not None) + rests(op) + len(own_parameters(op))
    return 4 * words


def slots(longest: int) -> int:
    """How many slots a ring of sums has for delays of 1 to `longest` steps: a power of two."""
    return 1 << max(0, longest - 1).bit_length()


def sum_bits(low: int, high: int) -> int | None:
    """The width of a ring's sums, 16 or 32, from their least and largest values over all inputs; None: neither."""
    for bits in (16, 32):
        if low >= -(1 << (bits - 1)) and high < 1 << (bits - 1):
            return bits
    return None


def ring_bytes(neurons: int, slots: int, sum_bits: int) -> int:
    """Of the sums of all neurons, padded to four of them, for all steps ahead."""
    return _words(neurons) * sum_bits // 8 * slots


def part_bytes(op: Neuron, neurons: int, *, slots: int, sum_bits: int, sources: int) -> int:
    """Of a PE with so many neurons of a population, the blocks of its `sources` left out."""
    own = neurons * neuron_bytes(op) + ring_bytes(neurons, slots, sum_bits)
    return FIXED_BYTES + own + sources * ENTRY_BYTES


def synapse_part_bytes(neurons: int, *, slots: int, sum_bits: int, sources: int) -> int:
    """Of a PE that sums for so many neurons of another, the blocks of its `sources` left out."""
    return FIXED_BYTES + ring_bytes(neurons, slots, sum_bits) + sources * ENTRY_BYTES


# ---- boxes: parts of images for which a convolution is shared ----------------------------------------------


@dataclass(frozen=True, slots=True)
class Box:
    """Some channels, rows and columns of an image, each (start, stop).

    Neurons of a PE whose local order is that of a box, channel last, take convolutions with shared kernels.
    """

    channels: tuple[int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Channels, rows and columns."""
        (a, b), (c, d), (e, f) = self.channels, self.rows, self.columns
        return b - a, d - c, f - e


def image(shape: Shape) -> tuple[int, int, int]:
    """A shape (channel, *space) of one or two axes of space as (channel, y, x)."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else (shape[0], shape[1], shape[2])


def box_neurons(shape: Shape, box: Box) -> Array:
    """The ids of a box of a population, channel last: local neuron ((y * columns) + x) * channels + c."""
    ids = np.arange(int(np.prod(shape)), dtype=np.int64).reshape(image(shape))
    (a, b), (c, d), (e, f) = box.channels, box.rows, box.columns
    return np.ascontiguousarray(ids[a:b, c:d, e:f].transpose(1, 2, 0)).ravel()


def box_of(neurons: Array, shape: Shape) -> Box | None:
    """The box whose neurons these are, in the order of `box_neurons`; None if they are none."""
    if len(shape) not in (2, 3) or len(neurons) == 0:
        return None
    places = np.stack(np.unravel_index(neurons, image(shape)))
    low, high = places.min(axis=1).tolist(), (places.max(axis=1) + 1).tolist()
    box = Box((low[0], high[0]), (low[1], high[1]), (low[2], high[2]))
    if int(np.prod(box.sizes)) != len(neurons) or not np.array_equal(box_neurons(shape, box), neurons):
        return None
    return box


# ---- blocks -----------------------------------------------------------------------------------------------


def dense_bytes(rows: int, neurons: int) -> int:
    """Of a block of `rows` sources in the format DENSE."""
    return BLOCK_BYTES + rows * _words(neurons)


def list_bytes(rows: int, synapses: int, layout: Format) -> int:
    """Of a block in one of the formats NARROW, DELAYED and WIDE, its table of rows included."""
    return BLOCK_BYTES + 4 * (rows + 1) + _words(synapses * (4 if layout is Format.WIDE else 2))


def conv_bytes(op: Conv, box: Box) -> int:
    """Of a convolution into the neurons of a box, whatever part of its input comes from one source."""
    image_in = image(op.in_shape)
    taps = int(np.prod(op.weight.shape[2:]))
    own = BLOCK_BYTES + CONV_BYTES + image_in[0] * CHANNEL_BYTES + sum(image_in[1:]) * PLACE_BYTES
    return own + taps * sum(_words(stop - start) for start, stop in served(op, box))


def served(op: Conv, box: Box) -> list[tuple[int, int]]:
    """The channels of the box, (start, stop) counted from its first, that each entering channel has kernels for."""
    first, last = box.channels
    entering, out = op.weight.shape[1], op.weight.shape[0] // op.groups
    groups = [channel // entering for channel in range(op.in_shape[0])]
    spans = [(max(group * out, first) - first, min((group + 1) * out, last) - first) for group in groups]
    return [(start, stop) if start < stop else (0, 0) for start, stop in spans]


def list_format(neurons: int, longest: int, weight_bits: int) -> Format | None:
    """The format of lists with the shortest words, for delays up to `longest` beyond the block's own."""
    if longest == 0 and neurons <= NARROW_NEURONS:
        return Format.NARROW
    if longest < DELAYED_DELAY and neurons <= DELAYED_NEURONS and weight_bits <= 4:
        return Format.DELAYED
    return Format.WIDE if longest < WIDE_DELAY and neurons <= WIDE_NEURONS else None


def block_bytes(rows: int, neurons: int, synapses: int, *, longest: int, weight_bits: int) -> int:
    """Of one connection from `rows` local neurons of a source to all `neurons` of a PE, where nothing is shared.

    The cheaper of rows and lists, as `emit` takes it. `longest` is the span of the synapses' own delays.
    """
    options: list[int] = []
    if longest == 0:
        options.append(dense_bytes(rows, neurons))
    chosen = list_format(neurons, longest, weight_bits)
    if chosen is not None:
        options.append(list_bytes(rows, synapses, chosen))
    return min(options, default=SRAM_BYTES + 1)


def _words(size: int) -> int:
    return -(-size // 4) * 4

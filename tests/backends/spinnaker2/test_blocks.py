"""Bytes are those of the images, and boxes are what they say."""

from __future__ import annotations

import numpy as np
import pytest

from nmc.backends.spinnaker2 import blocks
from nmc.backends.spinnaker2.blocks import Box, Format
from nmc.backends.spinnaker2.image import image
from nmc.backends.spinnaker2.program import SWITCHES, Block, Kind, Pe, Source


@pytest.mark.parametrize(
    ("longest", "slots"), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (8, 8), (9, 16), (64, 64)]
)
def test_ring_has_a_power_of_two_of_slots(longest: int, slots: int) -> None:
    assert blocks.slots(longest) == slots


def test_box_of_finds_the_box_whose_neurons_it_is_given() -> None:
    shape, box = (4, 5, 6), Box((1, 3), (0, 4), (2, 6))
    neurons = blocks.box_neurons(shape, box)
    assert blocks.box_of(neurons, shape) == box
    assert neurons[:3].tolist() == [1 * 30 + 2, 2 * 30 + 2, 1 * 30 + 3]  # channels are fastest, then columns


def test_box_of_neurons_in_another_order_is_none() -> None:
    shape = (2, 2, 2)
    assert blocks.box_of(np.arange(8), shape) is None
    assert blocks.box_of(blocks.box_neurons(shape, Box((0, 2), (0, 2), (0, 2)))[:7], shape) is None


def test_word_of_a_list_is_the_shortest_that_names_weight_delay_and_neuron() -> None:
    assert blocks.list_format(256, 0, 8) is Format.NARROW
    assert blocks.list_format(257, 0, 8) is Format.WIDE
    assert blocks.list_format(512, 7, 4) is Format.DELAYED
    assert blocks.list_format(512, 8, 4) is Format.WIDE
    assert blocks.list_format(100, 256, 4) is None


def test_bytes_that_the_mapping_counts_are_those_of_the_image() -> None:
    neurons, rows, synapses = 30, 7, 40
    switches = {"NEURON": 1, "SUM_BITS": 16, "LEAK": 1, "FIRE": 1, "RESET": 1}
    kind = Kind(tuple(switches.get(name, 0) for name in SWITCHES))
    table = np.linspace(0, synapses, rows + 1).astype(np.uint32)
    listed = Block(int(Format.NARROW), 1, 0, rows, table, np.zeros(synapses, np.uint16))
    dense = Block(int(Format.DENSE), 1, 0, rows, None, np.zeros((rows, 32), np.int8))
    cells = np.zeros((neurons, 1), np.int32)
    sources = (Source(0, 0xFFFFFFF8, (listed, dense)),)
    pe = Pe(0, kind, 0, "n", np.arange(neurons), 0, True, 4, cells, (0,) * 6, sources)
    counted = blocks.FIXED_BYTES + 4 * neurons + blocks.ring_bytes(neurons, 4, 16) + blocks.ENTRY_BYTES
    counted += blocks.list_bytes(rows, synapses, Format.NARROW) + blocks.dense_bytes(rows, neurons)
    assert image(pe).used == counted

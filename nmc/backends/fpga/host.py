"""A host of a design behind a serial line (`io=uart`): events, and weights that may change.

    import serial
    host = Host(serial.Serial("/dev/ttyUSB0", BAUD, timeout=1), Path("out"))
    host.write_weight("fc1", post=3, pre=17, weight=-5)
    print(host.step({"input": {17: 1}}))

The port is anything that reads and writes bytes. Messages are those of `rtl/nmc_link.sv`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import Protocol

import numpy as np

from nmc.backends.fpga import files
from nmc.backends.fpga.adapters import BAUD, CREDIT, QUEUE, link_of
from nmc.backends.fpga.program import Design, Io, Layer, Leg, index_bits
from nmc.ir.tensor import Array

WINDOW = QUEUE - CREDIT
"""Bytes under way at most. The core may have counted up to CREDIT - 1 bytes of somebody before us."""

Events = Mapping[str, Mapping[int, int]]
"""By the name of an input or an output: which neurons, in C order, have which values; 1 for spikes."""


class Command(IntEnum):
    """What a message is; the upper three bits of its first byte."""

    NOTHING = 0
    EVENT = 1
    TICK = 2
    READ = 3
    WRITE = 4
    RESET = 5
    HELLO = 6
    CREDIT = 7


class Port(Protocol):
    """What is needed of a serial port; pyserial's `Serial` has it, and so has an unbuffered file."""

    def read(self, size: int, /) -> bytes | None:
        """Up to `size` bytes, fewer or none after the port's own time limit."""
        ...

    def write(self, data: bytes, /) -> int | None:
        """Send bytes."""
        ...


class Host:
    """The other end of the line. Every method returns when the core has done what was asked."""

    def __init__(self, port: Port, folder: Path) -> None:
        """Say hello to the design of a folder that nmc wrote, and reset its states.

        Raises ValueError for a folder without a serial line, TimeoutError when nobody answers.
        """
        names = [path for path in folder.rglob("*") if path.is_file() and path.suffix in {".json", ".hex"}]
        self.design = files.read({path.relative_to(folder).as_posix(): path.read_bytes() for path in names})
        if self.design.io is not Io.UART:
            raise ValueError(f"{folder}: compiled with io={self.design.io.value}, not with io=uart")
        self._port = port
        self._link = link_of(self.design)
        self._under_way = 0
        self._steps: list[list[dict[int, int]]] = [[{}] for _ in self.design.sinks]
        port.write(bytes(8))  # ends whatever message somebody left half said
        self._ask(Command.HELLO)
        self._under_way = 0
        self.reset()

    def reset(self) -> None:
        """Bring all neurons and queues into their initial state. Weights stay as they are."""
        for k, layer in enumerate(self.design.layers):
            if layer["STDP"]:  # the bus waits for learning to end: a reset would cut it short
                self._ask(Command.READ, (k << 24).to_bytes(4, "little"))
        self._ask(Command.RESET)
        self._steps = [[{}] for _ in self.design.sinks]

    def step(self, events: Events) -> dict[str, dict[int, int]]:
        """One time step with events at the inputs: what leaves at the outputs.

        Raises ValueError for an input or a neuron that is not there.
        """
        sent = bytearray()
        for port, source in enumerate(self.design.sources):
            bits = index_bits(self.design.size(source.name))
            for neuron, value in sorted(events.get(source.name, {}).items()):
                if not 0 <= neuron < self.design.size(source.name):
                    raise ValueError(f"input `{source.name}` has no neuron {neuron}")
                word = (value & ((1 << source.value_bits) - 1)) << bits | neuron
                sent.append(Command.EVENT << 5 | port)
                sent += word.to_bytes(self._link.event_bytes, "little")
            sent.append(Command.TICK << 5 | port)
        unknown = set(events) - {source.name for source in self.design.sources}
        if unknown:
            raise ValueError(f"no input `{min(unknown)}`")
        self._send(bytes(sent))
        while any(len(steps) < 2 for steps in self._steps):
            self._receive()
        return {sink.name: steps.pop(0) for sink, steps in zip(self.design.sinks, self._steps, strict=True)}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Inputs (steps, samples, *shape) to outputs (steps, samples, *shape), as `nmc simulate` has them."""
        steps, samples = next(iter(inputs.values())).shape[:2]
        found: dict[str, Array] = {}
        for sink in self.design.sinks:
            size, graded = self.design.size(sink.leg.src), self.design.value_bits(sink.leg.src) > 0
            found[sink.name] = np.zeros((steps, samples, size), np.int64 if graded else np.uint8)
        for sample in range(samples):
            self.reset()
            for step in range(steps):
                flat = {name: values[step, sample].ravel() for name, values in inputs.items()}
                events = {n: {int(k): int(v[k]) for k in np.flatnonzero(v)} for n, v in flat.items()}
                for name, neurons in self.step(events).items():
                    for neuron, value in neurons.items():
                        found[name][step, sample, neuron] = value
        shapes = {sink.name: self.design.producer(sink.leg.src).shape for sink in self.design.sinks}
        return {name: values.reshape(steps, samples, *shapes[name]) for name, values in found.items()}

    def read_weight(self, connection: str, post: int, pre: int) -> int:
        """A weight, in units of the connection's quantized weights. Raises ValueError if there is none."""
        return self._ask(Command.READ, self._address(connection, post, pre).to_bytes(4, "little"))

    def write_weight(self, connection: str, post: int, pre: int, weight: int) -> None:
        """Change a weight, of a convolution wherever it is used. Raises ValueError for one that there cannot be."""
        layer, _ = self._legs(connection)[0]
        bits = layer["WEIGHT_BITS"]
        if not -(1 << (bits - 1)) <= weight < 1 << (bits - 1):
            raise ValueError(f"weight {weight} does not fit {bits} bits")
        address = self._address(connection, post, pre).to_bytes(4, "little")
        self._ask(Command.WRITE, address + (weight & 0xFFFF).to_bytes(2, "little"))

    def weights(self, connection: str) -> Array:
        """All weights of a connection between fully connected populations: (post, pre)."""
        layer, leg = self._legs(connection)[0]
        pairs = np.ndindex(layer["N"], self.design.size(leg.src))
        values = [self.read_weight(connection, post, pre) for post, pre in pairs]
        return np.array(values, np.int64).reshape(layer["N"], -1)

    # ---- where a weight stands ----------------------------------------------------------------------------

    def _legs(self, connection: str) -> list[tuple[Layer, Leg]]:
        found = [
            (layer, leg) for layer in self.design.layers for leg in layer.legs if leg.connection == connection
        ]
        if not found or not connection:
            raise ValueError(f"no connection `{connection}`")
        return found

    def _address(self, connection: str, post: int, pre: int) -> int:
        if not self.design.runtime:
            raise ValueError("compiled with weights=constant, not with weights=runtime")
        return weight_address(self.design, self._legs(connection), post=post, pre=pre)

    # ---- messages -----------------------------------------------------------------------------------------

    def _send(self, data: bytes) -> None:
        while data:
            room = WINDOW - self._under_way
            if room <= 0:
                self._receive()
                continue
            self._port.write(data[:room])
            self._under_way += len(data[:room])
            data = data[room:]

    def _ask(self, command: Command, payload: bytes = b"") -> int:
        """Send a command and take messages up to its answer: the value in it, 0 if it has none."""
        self._send(bytes([command << 5]) + payload)
        while True:
            came, value = self._receive()
            if came is command:
                return value

    def _receive(self) -> tuple[Command, int]:
        header = self._bytes(1)[0]
        command, port = Command(header >> 5), header & 31
        match command:
            case Command.EVENT:
                word = int.from_bytes(self._bytes(self._link.event_bytes), "little")
                neuron, value = self._event(port, word)
                self._steps[port][-1][neuron] = value
            case Command.TICK:
                self._steps[port].append({})
            case Command.CREDIT:
                self._under_way -= CREDIT
            case Command.READ:
                return command, int.from_bytes(self._bytes(2), "little", signed=True)
            case _:
                pass
        return command, 0

    def _event(self, port: int, word: int) -> tuple[int, int]:
        src = self.design.sinks[port].leg.src
        bits, value_bits = index_bits(self.design.size(src)), self.design.value_bits(src)
        value = word >> bits & ((1 << value_bits) - 1)
        if value_bits and self.design.signed(src):
            value -= value >> (value_bits - 1) << value_bits
        return word & ((1 << bits) - 1), value if value_bits else 1

    def _bytes(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            came = self._port.read(count - len(found))
            if not came:
                raise TimeoutError("the core does not answer: is it configured, and the line at its speed?")
            found += came
        return found


def weight_address(design: Design, legs: list[tuple[Layer, Leg]], *, post: int, pre: int) -> int:
    """The address {layer, row, lane} on the register bus of the weight between two neurons of a connection.

    Raises ValueError if the connection has no such synapse.
    """
    for layer, leg in legs:
        if not (0 <= post < layer["N"] and 0 <= pre < design.size(leg.src)):
            break
        lane, word = divmod(post, layer.words)
        row = _row(layer, leg.offset + pre, word)
        if row is not None and (not layer.synapses or layer.synapses[row] >> lane & 1):
            lane_bits = index_bits(layer["P"])
            return design.layers.index(layer) << 24 | row << lane_bits | lane
    raise ValueError(f"`{legs[0][1].connection}` has no synapse from neuron {pre} to neuron {post}")


def _row(layer: Layer, source: int, word: int) -> int | None:
    """The row of weights that an event of a source adds to a word of accumulators."""
    if not layer["TABLE"]:
        return source * (1 << (layer.words - 1).bit_length()) + word
    first, count = files.fields(layer.memory("runs"), [index_bits(layer["ROWS"]), layer["COUNT_BITS"]])
    widths = [index_bits(layer["WEIGHT_ROWS"]), index_bits(layer.words)]
    rows, words = files.fields(layer.memory("rows"), widths)
    run = slice(int(first[source]), int(first[source] + count[source]))
    there = np.flatnonzero(words[run] == word)
    return int(rows[run][there[0]]) if there.size else None


__all__ = ["BAUD", "Command", "Events", "Host", "Port", "weight_address"]

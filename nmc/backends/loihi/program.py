"""The emitted program as a value: a network at the level of Lava's processes. `files.py` is its bytes.

Every range that Lava leaves unchecked is checked here, when a value is made, with a ValueError: lava-nc
0.10.0 runs a threshold of 2**20 and clips a weight of 1000 without a word.

Populations and inputs keep the shape they have in the model, C order. Only Lava's convolution has another
layout, (x, y, channel): its ends are transposed, and nothing else is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import assert_never

import numpy as np

from nmc.ir.graph import Slice
from nmc.ir.neuron import Comparison, Reset, ResetWhen
from nmc.ir.ops import Shape, Signal, SignalKind
from nmc.ir.tensor import FixedPoint, Tensor

# Widths from lava-nc 0.10.0: a neuron's from the docstring of PyLifModelBitAcc (proc/lif/models.py), a
# weight's from clip_weights (utils/weightutils.py), a delay's from PyDelayDenseModelBitAcc
# (proc/dense/models.py).
DECAY = FixedPoint(
    14, True, 0
)  # 12 bits unsigned in Lava's LIF; a programmed one also keeps all (-1) or nothing
THRESHOLD = FixedPoint(17, False, 0)
BIAS = FixedPoint(13, True, 0)
BIAS_EXPONENT = FixedPoint(3, False, 0)
STATE = FixedPoint(24, True, 0)
WEIGHT = FixedPoint(9, True, 0)
DELAY = FixedPoint(6, False, 0)
REFRACTORY = FixedPoint(6, False, 0)

WEIGHT_EXPONENTS = (-8, 7)  # a signed 4-bit field of a synapse format; Davies 2018, IEEE Micro 38(1)
MESSAGE_BITS = 24  # the longest graded message; Lava's own Conv takes 24 bits (proc/conv/models.py, `s_in`)
CONV_BITS = 24  # width of a convolution's sum, which wraps; `clamp_precision` in proc/conv/models.py
CONV_FIELD = 127  # stride, padding, dilation, kernel, groups are int8 in proc/conv/models.py

STATE_SHIFT = (
    6  # thresholds and inputs stand 6 bits above the state: `vth_shift`, `act_shift` in proc/lif/models.py
)
DECAY_BITS = 12  # `decay_shift` in proc/lif/models.py


POPULATION_FIELDS = {
    "current_decay": DECAY,
    "voltage_decay": DECAY,
    "threshold": THRESHOLD,
    "bias_mantissa": BIAS,
    "bias_exponent": BIAS_EXPONENT,
    "initial_u": STATE,
    "initial_v": STATE,
}
"""The number format of every parameter of a population."""


_NOT_REFRACTORY = Tensor(0, REFRACTORY)


def check(holds: bool, message: str) -> None:
    """Raise ValueError with `message` unless it `holds`."""
    if not holds:
        raise ValueError(message)


def _formatted(name: str, tensor: Tensor, number: FixedPoint) -> None:
    check(tensor.number == number, f"`{name}` is {tensor.number}, not {number}")


class Sign(Enum):
    """Which signs the weights of a connection may have; Lava's SignMode."""

    MIXED = "MIXED"
    EXCITATORY = "EXCITATORY"
    INHIBITORY = "INHIBITORY"


@dataclass(frozen=True, slots=True)
class Source:
    """A signal that enters: spikes, or graded values of `message_bits` bits, the sign of `signed` ones included."""

    name: str
    shape: Shape
    message_bits: int = 0
    signed: bool = False

    def __post_init__(self) -> None:
        check(
            0 <= self.message_bits <= MESSAGE_BITS, f"{self.message_bits} message bits; 0 to {MESSAGE_BITS}"
        )

    @property
    def signal(self) -> Signal:
        """Its type."""
        if self.message_bits == 0:
            return Signal(self.shape, SignalKind.SPIKE)
        return Signal(self.shape, SignalKind.GRADED, FixedPoint(self.message_bits, self.signed, 0))


@dataclass(frozen=True, slots=True)
class Rule:
    """What a neuron does beyond Lava's LIF; `nmc.ir.neuron` says what each attribute means.

    A reset to a value is a reset to zero; `minimum` is the lower clamp in units of the state. Without `fire` the
    neuron sends its membrane instead of spikes.
    """

    comparison: Comparison = Comparison.ABOVE
    reset: Reset = Reset.TO_VALUE
    when: ResetWhen = ResetWhen.SAME_STEP
    fire: bool = True
    refractory: Tensor = _NOT_REFRACTORY
    minimum: Tensor | None = None
    every: int = 1
    """The neuron takes a step in steps t with t % every == phase and holds its state in between."""
    phase: int = 0

    def __post_init__(self) -> None:
        check(0 <= self.phase < self.every, "a phase is below the number of steps")
        once = self.when is not ResetWhen.SAME_STEP_ONCE or self.reset is Reset.SUBTRACT
        check(once, "only a subtraction happens once in the same step")
        _formatted("refractory", self.refractory, REFRACTORY)
        if self.minimum is not None:
            _formatted("minimum", self.minimum, STATE)


STOCK = Rule()
"""What Lava's LIF does: v > threshold, then v = 0 in the same step."""


@dataclass(frozen=True, slots=True)
class Population:
    """Neurons of one kind. Parameters are one number for all (shape ()) or one a neuron (the full shape).

    u = wrap(toward_zero(u * (4096 - (du + 1)) / 4096) + (input << 6)), with du = `current_decay`
    v = saturate(toward_zero(v * (4096 - dv) / 4096) + u + bias), with dv = `voltage_decay`
    bias = bias_mantissa << bias_exponent
    spike = v > (threshold << 6); v = 0 where it spiked
    """

    name: str
    shape: Shape
    current_decay: Tensor
    voltage_decay: Tensor
    threshold: Tensor
    bias_mantissa: Tensor
    bias_exponent: Tensor
    initial_u: Tensor
    initial_v: Tensor
    rule: Rule = STOCK

    def __post_init__(self) -> None:
        fields: dict[str, Tensor] = {}
        for name, number in POPULATION_FIELDS.items():
            tensor: Tensor = getattr(self, name)
            _formatted(name, tensor, number)
            fields[name] = tensor
        fields["refractory"] = self.rule.refractory
        if self.rule.minimum is not None:
            fields["minimum"] = self.rule.minimum
        low, high = (0, 4095) if self.stock else (-1, 4096)
        for name, tensor, least, most in (
            ("current_decay", self.current_decay, low, min(high, 4095)),
            ("voltage_decay", self.voltage_decay, max(low, 0), high),
        ):
            inside = least <= int(tensor.data.min()) and int(tensor.data.max()) <= most
            check(inside, f"`{self.name}`: `{name}` is {least} to {most}")
        for name, tensor in fields.items():
            check(
                tensor.shape in ((), self.shape),
                f"`{self.name}`: `{name}` has shape {tensor.shape}, the population {self.shape}",
            )

    @property
    def size(self) -> int:
        """How many neurons."""
        return math.prod(self.shape)

    @property
    def stock(self) -> bool:
        """Whether Lava's own LIF process is this population; else a process of the emitted script is."""
        shared = (self.current_decay, self.voltage_decay, self.threshold)
        return self.rule == STOCK and all(tensor.shape == () for tensor in shared)

    @property
    def graded(self) -> bool:
        """Whether it sends numbers rather than spikes."""
        return not self.rule.fire or self.rule.reset is Reset.MULTI_SPIKE


@dataclass(frozen=True, slots=True)
class Dense:
    """A full matrix of synapses, weight (post, pre), both ends flattened; with `delay`, one a synapse.

    What `pre` sends in step t reaches `post` in step t + 1 + delay. The sum over synapses is shifted by
    `exponent` once: left, or right with floor; a delayed connection shifts one sum for every delay.
    """

    name: str
    pre: str
    post: str
    weight: Tensor
    exponent: int
    weight_bits: int
    sign: Sign
    message_bits: int = 0
    delay: Tensor | None = None

    def __post_init__(self) -> None:
        check(len(self.weight.shape) == 2, f"`{self.name}`: a weight matrix of shape {self.weight.shape}")
        _check_synapses(self.name, self.weight, self.weight_bits, self.sign)
        _check_transport(self.name, self.exponent, self.message_bits)
        if self.delay is not None:
            _formatted("delay", self.delay, DELAY)
            check(self.delay.shape == self.weight.shape, f"`{self.name}`: delays of shape {self.delay.shape}")


@dataclass(frozen=True, slots=True)
class Sparse:
    """Synapses one by one, ordered by (post, pre), each pair once; otherwise as `Dense`."""

    name: str
    pre: str
    post: str
    post_index: Tensor
    pre_index: Tensor
    weight: Tensor
    exponent: int
    weight_bits: int
    sign: Sign
    message_bits: int = 0
    delay: Tensor | None = None

    def __post_init__(self) -> None:
        arrays = [self.post_index, self.pre_index, self.weight, *([] if self.delay is None else [self.delay])]
        check(
            len({tensor.shape for tensor in arrays}) == 1 and len(self.weight.shape) == 1,
            f"`{self.name}`: synapse arrays of different shapes",
        )
        post, pre = self.post_index.data.astype(np.int64), self.pre_index.data.astype(np.int64)
        step = np.diff(post)
        ordered = (step > 0) | ((step == 0) & (np.diff(pre) > 0))
        check(bool(ordered.all()), f"`{self.name}`: synapses out of order, or a pair given twice")
        _check_synapses(self.name, self.weight, self.weight_bits, self.sign)
        _check_transport(self.name, self.exponent, self.message_bits)
        if self.delay is not None:
            _formatted("delay", self.delay, DELAY)


@dataclass(frozen=True, slots=True)
class Conv:
    """A true convolution in Lava's layout, without delay: weight (out, x, y, in / groups), flipped kernels.

    The ends are (channel, y, x) or (channel, x) as everywhere; `stride`, `padding` and `dilation` are (x, y).
    The sum is shifted left by `exponent`, at least 0, and wraps to 24 bits.
    """

    name: str
    pre: str
    post: str
    weight: Tensor
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    exponent: int
    weight_bits: int
    sign: Sign
    message_bits: int = 0

    def __post_init__(self) -> None:
        check(len(self.weight.shape) == 4, f"`{self.name}`: kernels of shape {self.weight.shape}")
        fields = (*self.weight.shape[1:3], *self.stride, *self.dilation, self.groups)
        check(
            all(1 <= value <= CONV_FIELD for value in fields)
            and all(0 <= value <= CONV_FIELD for value in self.padding),
            f"`{self.name}`: kernel, stride, padding, dilation and groups are at most {CONV_FIELD}",
        )
        check(self.weight.shape[0] % self.groups == 0, f"`{self.name}`: channels do not divide into groups")
        check(self.exponent >= 0, f"`{self.name}`: a convolution with exponent {self.exponent}; at least 0")
        _check_synapses(self.name, self.weight, self.weight_bits, self.sign)
        _check_transport(self.name, self.exponent, self.message_bits)


Connection = Dense | Sparse | Conv


@dataclass(frozen=True, slots=True)
class Output:
    """What leaves: the spikes (or messages) of a source or population, `delay` steps later.

    The delay is the host's: it aligns outputs of different depth.
    """

    name: str
    of: str
    delay: int = 0

    def __post_init__(self) -> None:
        check(self.delay >= 0, f"`{self.name}`: an output delay of {self.delay}")


@dataclass(frozen=True, slots=True)
class Network:
    """A whole program. Names are unique over sources, populations and connections.

    Every neuron, and every line of a source, is on exactly one core: `cores` are slices in C order.
    """

    sources: tuple[Source, ...]
    populations: tuple[Population, ...]
    connections: tuple[Connection, ...]
    outputs: tuple[Output, ...]
    cores: tuple[Slice, ...]

    def __post_init__(self) -> None:
        _check_network(self)

    @property
    def ends(self) -> dict[str, Source | Population]:
        """Everything that sends, by name."""
        return {end.name: end for end in (*self.sources, *self.populations)}

    def graded(self, name: str) -> bool:
        """Whether the source or population of that name sends numbers rather than spikes."""
        end = self.ends[name]
        return end.graded if isinstance(end, Population) else end.message_bits > 0

    def population(self, name: str) -> Population:
        """The population of that name."""
        return next(population for population in self.populations if population.name == name)


# ---- checks -----------------------------------------------------------------------------------------------


def _check_transport(name: str, exponent: int, message_bits: int) -> None:
    low, high = WEIGHT_EXPONENTS
    check(low <= exponent <= high, f"`{name}`: a weight exponent of {exponent}; {low} to {high}")
    check(0 <= message_bits <= MESSAGE_BITS, f"`{name}`: {message_bits} message bits; 0 to {MESSAGE_BITS}")


def _check_synapses(name: str, weight: Tensor, bits: int, sign: Sign) -> None:
    _formatted("weight", weight, WEIGHT)
    check(1 <= bits <= 8, f"`{name}`: weights of {bits} bits; 1 to 8")
    data = weight.data.astype(np.int64)
    low, high = {
        Sign.MIXED: (-256, 255),
        Sign.EXCITATORY: (0, 255),
        Sign.INHIBITORY: (-255, 0),
    }[sign]
    if data.size == 0:
        return
    check(
        low <= int(data.min()) and int(data.max()) <= high,
        f"`{name}`: weights {int(data.min())} to {int(data.max())}; "
        f"{sign.value.lower()} ones are {low} to {high}",
    )
    unit = 1 << (8 - bits + (sign is Sign.MIXED))
    check(
        not (data % unit).any(), f"`{name}`: {bits}-bit {sign.value.lower()} weights are multiples of {unit}"
    )


def conv_shape(connection: Conv, shape: Shape) -> Shape:
    """The shape of what a convolution makes of its input's shape, (channel, y, x) or (channel, x)."""
    space = []
    for axis, size in enumerate(reversed(shape[1:])):
        span = connection.dilation[axis] * (connection.weight.shape[1 + axis] - 1) + 1
        space.append((size + 2 * connection.padding[axis] - span) // connection.stride[axis] + 1)
    return (connection.weight.shape[0], *reversed(space))


def _check_network(network: Network) -> None:
    names = [part.name for part in (*network.sources, *network.populations, *network.connections)]
    check(len(names) == len(set(names)), "a name is used twice")
    check(all(names), "a name is empty")
    ends = network.ends
    for connection in network.connections:
        check(connection.pre in ends, f"`{connection.name}` leaves `{connection.pre}`, which does not exist")
        post = ends.get(connection.post)
        check(isinstance(post, Population), f"`{connection.name}` enters `{connection.post}`, no population")
        _check_fit(network, connection)
    for output in network.outputs:
        check(output.of in ends, f"output `{output.name}` shows `{output.of}`, which does not exist")
    check(
        len({output.name for output in network.outputs}) == len(network.outputs), "an output is named twice"
    )
    _check_cores(network)


def _check_fit(network: Network, connection: Connection) -> None:
    pre, post = network.ends[connection.pre], network.ends[connection.post]
    name, pre_size, post_size = connection.name, math.prod(pre.shape), math.prod(post.shape)
    graded = network.graded(connection.pre)
    match connection:
        case Dense(weight=weight):
            check(
                weight.shape == (post_size, pre_size),
                f"`{name}`: weights of shape {weight.shape} between {pre_size} and {post_size} values",
            )
        case Sparse(post_index=rows, pre_index=columns):
            for index, size in ((rows.data, post_size), (columns.data, pre_size)):
                inside = index.size == 0 or (int(index.min()) >= 0 and int(index.max()) < size)
                check(inside, f"`{name}`: a synapse outside of {size} values")
        case Conv(weight=weight, groups=groups):
            check(
                len(pre.shape) in (2, 3) and pre.shape[0] == weight.shape[3] * groups,
                f"`{name}`: kernels for {weight.shape[3] * groups} channels on an input of shape {pre.shape}",
            )
            check(
                len(pre.shape) == 3
                or (weight.shape[2], connection.stride[1], connection.padding[1]) == (1, 1, 0),
                f"`{name}`: a kernel over two axes on an input of shape {pre.shape}",
            )
            shape = conv_shape(connection, pre.shape)
            check(shape == post.shape, f"`{name}` gives shape {shape}, `{post.name}` has {post.shape}")
        case _:
            assert_never(connection)
    check(
        (connection.message_bits > 0) == graded,
        f"`{name}` carries {connection.message_bits}-bit messages, `{pre.name}` sends "
        f"{'graded values' if graded else 'spikes'}",
    )


def _check_cores(network: Network) -> None:
    ends = network.ends
    covered: dict[str, list[tuple[int, int]]] = {name: [] for name in ends}
    for part in network.cores:
        check(part.node in ends, f"core {part.core} holds `{part.node}`, which does not exist")
        check(part.core >= 0, f"`{part.node}` is on core {part.core}")
        covered[part.node].append((part.start, part.stop))
    for name, spans in covered.items():
        size, at = math.prod(ends[name].shape), 0
        for start, stop in sorted(spans):
            check(start == at and stop > start, f"`{name}` is placed with a gap or twice at neuron {at}")
            at = stop
        check(at == size, f"`{name}` has {size} neurons, {at} of them placed")

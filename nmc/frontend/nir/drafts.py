"""NIR's node types, each read as far as its own fields say; the rest follows from what it receives.

A draft becomes an operation once it knows the shape that reaches it. `wants` is that shape if the node's own
fields tell it. Where the field's words allow two readings and only one fits its neighbours, that one is taken and
a note says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Protocol

import numpy as np

from nmc.diagnostics import note
from nmc.frontend.fields import Fields, Reals
from nmc.ir.neuron import Comparison
from nmc.ir.ops import (
    Conv,
    DelayLine,
    Flatten,
    Input,
    Linear,
    Ode,
    Op,
    Output,
    Pool,
    Pooling,
    Scale,
    Shape,
    Signal,
    SignalKind,
    Threshold,
    output_shape,
)
from nmc.ir.tensor import Tensor


class Draft(Protocol):
    """A node before shapes are known."""

    fields: Fields

    @property
    def wants(self) -> Shape | None:
        """The shape that the node takes, if its own fields tell."""
        ...

    def accepts(self, shape: Shape) -> bool:
        """Whether the node can take exactly this shape."""
        ...

    def op(self, received: Shape | None, wanted: Shape | None) -> Op | None:
        """The operation, given what reaches the node and what the next one wants; None while that is not enough."""
        ...


def draft(kind: str, fields: Fields) -> Draft | None:
    """The draft of a node of type `kind`, or None after a finding in its fields."""
    before = len(fields.findings)
    made = KINDS[kind](fields)
    fields.findings += fields.unread()
    return None if any(found.code != "NMC026" for found in fields.findings[before:]) else made


# ---- ends -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Source:
    """`Input`. Its shape may carry leading axes of time and batch, which `infer` takes off."""

    fields: Fields
    declared: Shape | None

    @property
    def wants(self) -> Shape | None:
        """Nothing enters an input."""
        return None

    def accepts(self, shape: Shape) -> bool:
        """Nothing enters an input."""
        return False

    def op(self, received: Shape | None, wanted: Shape | None) -> Op | None:
        """`received` is the shape without leading axes."""
        shape = received or self.declared or wanted
        return None if shape is None else Input(Signal(shape, SignalKind.REAL))


@dataclass(slots=True)
class Sink:
    """`Output`. It takes what it receives; a shape in the file that does not end in that is a finding of `infer`."""

    fields: Fields
    declared: Shape | None

    @property
    def wants(self) -> Shape | None:
        """The shape is the source's business."""
        return None

    def accepts(self, shape: Shape) -> bool:
        """Whatever the network gives."""
        return True

    def op(self, received: Shape | None, wanted: Shape | None) -> Op | None:
        """An output of the shape that arrives."""
        return None if received is None else Output(received)


# ---- linear -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Matrix:
    """`Affine` and `Linear`."""

    fields: Fields
    weight: Reals
    bias: Reals | None

    @property
    def wants(self) -> Shape | None:
        """The length of a row."""
        return (self.weight.shape[1],) if self._biased(0) else None

    def accepts(self, shape: Shape) -> bool:
        """A vector as long as a row, or as a column if the weights are transposed."""
        return shape == self.wants or self._transposed(shape)

    def op(self, received: Shape | None, wanted: Shape | None) -> Op | None:
        """Weights are (post, pre); those that Spyx stores as (pre, post) are turned."""
        turned = False
        if received is not None and received != self.wants and self._transposed(received):
            turned = True
            sizes = "x".join(map(str, self.weight.shape))
            message = f"the weights are {sizes} and {received[0]} values arrive: they are stored (pre, post)"
            self.fields.findings.append(note("NMC022", message, self.fields.at("weight")))
        elif not self._biased(0):
            return None
        weight = self.weight.T if turned else self.weight
        bias = None if self.bias is None else np.broadcast_to(self.bias.ravel(), (len(weight),))
        return Linear(Tensor(weight), None if bias is None else Tensor(bias))

    def _transposed(self, shape: Shape) -> bool:
        rows, columns = self.weight.shape
        return rows != columns and prod(shape) == rows and len(shape) == 1 and self._biased(1)

    def _biased(self, axis: int) -> bool:
        return self.bias is None or self.bias.size in {1, self.weight.shape[axis]}


def _matrix(fields: Fields) -> Draft | None:
    weight, bias = fields.reals("weight"), fields.optional("bias")
    if weight is None:
        return None
    while weight.ndim > 2 and weight.shape[0] == 1:
        weight = weight[0]
    if weight.ndim != 2:
        fields.add("NMC006", f"has {weight.ndim} axes; a matrix (post, pre) is needed", "weight")
        return None
    if bias is not None and bias.size not in {1, *weight.shape}:
        sizes = "x".join(map(str, weight.shape))
        fields.add("NMC011", f"has {bias.size} values; the weights are {sizes}", "bias")
    return Matrix(fields, weight, bias)


@dataclass(slots=True)
class Convolution:
    """`Conv1d` and `Conv2d`. The space comes from the file or from what arrives."""

    fields: Fields
    weight: Reals
    bias: Reals | None
    space: Shape | None
    stride: Shape
    padding: Shape | str
    dilation: Shape
    groups: int

    @property
    def wants(self) -> Shape | None:
        """Channels and, if the file has it, the space."""
        return None if self.space is None else (self._channels, *self.space)

    def accepts(self, shape: Shape) -> bool:
        """An image, or a line, with the right channels that holds at least one window."""
        if self.space is not None:
            return shape == self.wants
        return len(shape) == self.weight.ndim - 1 and shape[0] == self._channels and self._holds(shape)

    def op(self, received: Shape | None, wanted: Shape | None) -> Op | None:
        """A cross-correlation; `same` pads as much before as after, and one more after if that is odd."""
        shape = self.wants or received
        if shape is None or len(shape) != self.weight.ndim - 1 or shape[0] != self._channels:
            return None
        if not self._holds(shape):
            return None
        bias = None if self.bias is None else Tensor(np.broadcast_to(self.bias.ravel(), (len(self.weight),)))
        return Conv(
            shape, Tensor(self.weight), bias, self.stride, self._pads(shape), self.dilation, self.groups
        )

    @property
    def _channels(self) -> int:
        return self.weight.shape[1] * self.groups

    def _pads(self, shape: Shape) -> tuple[tuple[int, int], ...]:
        kernel = self.weight.shape[2:]
        if self.padding == "same":
            return tuple(
                _same(size, k, s, d)
                for size, k, s, d in zip(shape[1:], kernel, self.stride, self.dilation, strict=True)
            )
        widths = (0,) * len(kernel) if isinstance(self.padding, str) else self.padding
        return tuple((width, width) for width in widths)

    def _holds(self, shape: Shape) -> bool:
        kernel = self.weight.shape[2:]
        spans = ((k - 1) * d + 1 for k, d in zip(kernel, self.dilation, strict=True))
        pads = self._pads(shape)
        return all(size + a + b >= span for size, span, (a, b) in zip(shape[1:], spans, pads, strict=True))


def _same(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Padding that makes ceil(size / stride) places, as TensorFlow and JAX do; PyTorch for stride 1."""
    places = -(-size // stride)
    total = max(0, (places - 1) * stride + (kernel - 1) * dilation + 1 - size)
    return total // 2, total - total // 2


def _convolution(axes: int) -> Callable[[Fields], Draft | None]:
    def read(fields: Fields) -> Draft | None:
        weight, bias = fields.reals("weight", rank=axes + 2), fields.optional("bias")
        stride = fields.counts("stride", axes, least=1, default=1)
        dilation = fields.counts("dilation", axes, least=1, default=1)
        groups = fields.counts("groups", 1, least=1, default=1)
        word = fields.text("padding")
        padding = word if word is not None else fields.counts("padding", axes, least=0, default=0)
        if word is not None and word not in {"same", "valid"}:
            fields.add("NMC006", f"is `{word}`; numbers, `same` or `valid` are needed", "padding")
        space = fields.shape("input_shape")
        if weight is None or not stride or not dilation or not groups:
            return None
        if space is not None and len(space) == 1:
            space = space * axes
        if space is not None and len(space) == axes + 1:
            space = space[1:]
        if space is not None and len(space) != axes:
            fields.add("NMC006", f"holds {len(space)} numbers; {axes} are needed", "input_shape")
        if bias is not None and bias.size not in {1, len(weight)}:
            fields.add("NMC011", f"has {bias.size} values for {len(weight)} channels", "bias")
        if len(weight) % groups[0]:
            fields.add("NMC011", f"is {groups[0]}, which does not divide {len(weight)} channels", "groups")
        return Convolution(fields, weight, bias, space, stride, padding, dilation, groups[0])

    return read


@dataclass(slots=True)
class Window:
    """`SumPool2d` and `AvgPool2d`."""

    fields: Fields
    pooling: Pooling
    kernel: Shape
    stride: Shape
    padding: Shape

    @property
    def wants(self) -> Shape | None:
        """A pool takes any image."""
        return None

    def accepts(self, shape: Shape) -> bool:
        """An image that holds at least one window."""
        return len(shape) == 3 and all(
            size + 2 * pad >= k for size, pad, k in zip(shape[1:], self.padding, self.kernel, strict=True)
        )

    def op(self, received: Shape | None, wanted: Shape | None) -> Op | None:
        """A pool over what arrives."""
        if received is None or not self.accepts(received):
            return None
        pads = tuple((pad, pad) for pad in self.padding)
        return Pool(received, self.pooling, self.kernel, self.stride, pads)


def _window(pooling: Pooling) -> Callable[[Fields], Draft | None]:
    def read(fields: Fields) -> Draft | None:
        kernel = fields.counts("kernel_size", 2, least=1)
        stride = fields.counts("stride", 2, least=1)
        padding = fields.counts("padding", 2, least=0, default=0)
        if not kernel or not stride or not padding:
            return None
        return Window(fields, pooling, kernel, stride, padding)

    return read


@dataclass(slots=True)
class Joined:
    """`Flatten`. Whether its axes count a batch axis is read off its stored shape, or off what comes next."""

    fields: Fields
    declared: Shape | None
    start: int
    end: int

    @property
    def wants(self) -> Shape | None:
        """The stored shape is often one with batch, or zeros; what arrives is known better."""
        return None

    def accepts(self, shape: Shape) -> bool:
        """Any shape that has the axes."""
        return self.reading(shape, None) is not None

    def op(self, received: Shape | None, wanted: Shape | None) -> Op | None:
        """The axes as the file has them, or counted from one less where it counts a batch axis."""
        shape = received or self.declared
        chosen = None if shape is None else self.reading(shape, wanted)
        if shape is not None and chosen is not None and chosen != self._joins(shape, 0):
            message = f"axis {self.start} counts a batch axis; it is axis {chosen.start} of a sample"
            self.fields.findings.append(note("NMC021", message, self.fields.at("start_dim")))
        return chosen

    def reading(self, shape: Shape, wanted: Shape | None) -> Flatten | None:
        """The reading that gives `wanted`; of several, or of none, the one that the stored shape suggests."""
        axes_more = 0 if self.declared is None else max(0, len(self.declared) - len(shape))
        readings = [op for by in (axes_more, 0, 1) if (op := self._joins(shape, by)) is not None]
        fitting = [op for op in readings if wanted is None or output_shape(op) == wanted]
        return next(iter(fitting or readings), None)

    def _joins(self, shape: Shape, by: int) -> Flatten | None:
        rank = len(shape)
        start = self.start + rank if self.start < 0 else max(self.start, by) - by if self.start else 0
        end = self.end + rank if self.end < 0 else self.end - by
        return Flatten(shape, start, end) if 0 <= start <= end < rank else None


def _joined(fields: Fields) -> Draft | None:
    start, end = fields.axis("start_dim", 1), fields.axis("end_dim", -1)
    return None if start is None or end is None else Joined(fields, fields.shape("input_type"), start, end)


# ---- elementwise ------------------------------------------------------------------------------------------

Parameters = Mapping[str, Reals]


@dataclass(slots=True)
class Elementwise:
    """Neurons, `Scale`, `Threshold` and `Delay`: parameters that broadcast over a population."""

    fields: Fields
    parameters: Parameters
    make: Callable[[Shape, Mapping[str, Tensor]], Op]

    @property
    def wants(self) -> Shape | None:
        """The shape of the parameters, unless each is one number."""
        own = self.own
        return None if prod(own) == 1 else own

    def accepts(self, shape: Shape) -> bool:
        """A shape that the parameters cover."""
        return self._over(shape) is not None

    def op(self, received: Shape | None, wanted: Shape | None) -> Op | None:
        """Parameters of one number, one a channel or one a neuron."""
        shape = received if received is not None and self.accepts(received) else self.wants or wanted
        fitted = None if shape is None else self._over(shape)
        if shape is None or fitted is None:
            return None
        return self.make(shape, {name: Tensor(array) for name, array in fitted.items()})

    @property
    def own(self) -> Shape:
        """The shape of the parameters."""
        return np.broadcast_shapes(*(array.shape for array in self.parameters.values()))

    def _over(self, shape: Shape) -> Parameters | None:
        """The parameters so that they broadcast to `shape`, or None."""
        fitted = {name: _spread(array, shape) for name, array in self.parameters.items()}
        known = {name: array for name, array in fitted.items() if array is not None}
        return known if len(known) == len(fitted) else None


def _spread(array: Reals, shape: Shape) -> Reals | None:
    """An array as one that broadcasts to `shape`: a number, a channel's, or a neuron's.

    Leading axes, which hold a batch of equal states (sinabs), are dropped.
    """
    if array.size == 1:
        return array.reshape(())
    while array.ndim > len(shape) and np.all(array == array[:1]):
        array = array[0]
    if array.ndim == 1 < len(shape) and array.shape[0] == shape[0]:
        return array.reshape(-1, *(1,) * (len(shape) - 1))
    fits = array.ndim == len(shape) and all(a in {1, b} for a, b in zip(array.shape, shape, strict=True))
    return array if fits else None


def _elementwise(
    *names: str, make: Callable[[Shape, Mapping[str, Tensor]], Op]
) -> Callable[[Fields], Draft | None]:
    def read(fields: Fields) -> Draft | None:
        found = {
            name: fields.reals(name, default=DEFAULTS.get(name), positive=name in TIME_CONSTANTS)
            for name in names
        }
        parameters = {name: array for name, array in found.items() if array is not None}
        delay = parameters.get("delay")
        if delay is not None and np.any(delay < 0):
            fields.add("NMC008", f"is {delay.min()}; it must not be negative", "delay")
        if len(parameters) < len(names):
            return None
        return Elementwise(fields, parameters, make) if _broadcast(parameters, fields) else None

    return read


def _broadcast(parameters: Parameters, fields: Fields) -> bool:
    """Whether the parameters of a node fit each other; a finding that names the two that do not."""
    first = max(parameters, key=lambda name: parameters[name].size)
    for name, array in parameters.items():
        try:
            np.broadcast_shapes(array.shape, parameters[first].shape)
        except ValueError:
            fields.add(
                "NMC011", f"has the shape {array.shape}; `{first}` has {parameters[first].shape}", name
            )
            return False
    return True


DEFAULTS: Mapping[str, float] = MappingProxyType({"v_reset": 0.0, "w_in": 1.0})
"""What files of versions before 1.0.5 leave out, and what it is there."""

TIME_CONSTANTS = frozenset({"tau", "tau_syn", "tau_mem"})


def _ode(shape: Shape, p: Mapping[str, Tensor]) -> Op:
    return Ode(
        shape,
        tau_syn=p.get("tau_syn"),
        w_in=p.get("w_in"),
        tau_mem=p.get("tau_mem", p.get("tau")),
        r=p["r"],
        v_leak=p.get("v_leak"),
        threshold=p.get("v_threshold"),
        v_reset=p.get("v_reset"),
    )


KINDS: Mapping[str, Callable[[Fields], Draft | None]] = MappingProxyType(
    {
        "Input": lambda fields: Source(fields, fields.shape("shape")),
        "Output": lambda fields: Sink(fields, fields.shape("shape")),
        "Affine": _matrix,
        "Linear": _matrix,
        "Conv1d": _convolution(1),
        "Conv2d": _convolution(2),
        "SumPool2d": _window(Pooling.SUM),
        "AvgPool2d": _window(Pooling.AVERAGE),
        "Flatten": _joined,
        "Scale": _elementwise("scale", make=lambda shape, p: Scale(shape, p["scale"])),
        "Threshold": _elementwise(
            "threshold", make=lambda shape, p: Threshold(shape, p["threshold"], Comparison.ABOVE)
        ),
        "Delay": _elementwise("delay", make=lambda shape, p: DelayLine(shape, p["delay"])),
        "I": _elementwise("r", make=_ode),
        "IF": _elementwise("r", "v_threshold", "v_reset", make=_ode),
        "LI": _elementwise("tau", "r", "v_leak", make=_ode),
        "LIF": _elementwise("tau", "r", "v_leak", "v_threshold", "v_reset", make=_ode),
        "CubaLI": _elementwise("tau_syn", "tau_mem", "r", "v_leak", "w_in", make=_ode),
        "CubaLIF": _elementwise(
            "tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in", make=_ode
        ),
    }
)
"""The node types of NIR 1.0.8, except `NIRGraph`."""

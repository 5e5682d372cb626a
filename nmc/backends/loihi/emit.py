"""From a placed graph in Loihi's integers to the program that Lava and the machine run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files as package_files

import numpy as np
import numpy.typing as npt

from nmc.backends.backend import Program, Resource
from nmc.backends.loihi import files
from nmc.backends.loihi.lava import SCRIPT
from nmc.backends.loihi.program import (
    BIAS,
    BIAS_EXPONENT,
    CONV_BITS,
    CONV_FIELD,
    DECAY,
    DECAY_BITS,
    DELAY,
    MESSAGE_BITS,
    REFRACTORY,
    STATE,
    STATE_SHIFT,
    THRESHOLD,
    WEIGHT,
    Connection,
    Conv,
    Dense,
    Network,
    Output,
    Population,
    Rule,
    Sign,
    Source,
    Sparse,
)
from nmc.backends.loihi.spec import LOIHI
from nmc.diagnostics import CompileError, Diagnostic, Excess, error, raise_errors
from nmc.ir import ops
from nmc.ir.connections import Connection as Link
from nmc.ir.connections import connections
from nmc.ir.graph import Graph, Slice
from nmc.ir.linear import size_of
from nmc.ir.neuron import Reset
from nmc.ir.tensor import FixedPoint, Tensor
from nmc.passes.place import core_loads

Integers = npt.NDArray[np.int64]

SPIKE = FixedPoint(1, False, 0)

ADVICE = "use fewer `--set message_bits=` or `--set weight_bits=`"


def emit(graph: Graph) -> Program:
    """The program's files, with the script that runs them on Lava, and what it takes of the chip.

    Raises CompileError: NMC400 for what Lava would compute in another way, NMC401 where no core is left for
    the network's inputs.
    """
    network = lower(graph)
    script = package_files("nmc.backends.loihi").joinpath(f"{SCRIPT}.txt").read_bytes()
    return Program({**files.write(network), SCRIPT: script}, tuple(_resources(graph)))


def lower(graph: Graph) -> Network:
    """The network that a placed graph stands for; see `emit`."""
    signals = graph.signals()
    sources: list[Source] = []
    populations: list[Population] = []
    outputs: list[Output] = []
    findings: list[Diagnostic] = []
    incoming = graph.incoming()
    for node in graph.nodes:
        match node.op:
            case ops.Input(signal):
                number = signal.number if signal.kind is ops.SignalKind.GRADED else None
                form = (0, False) if number is None else (number.bits, number.signed)
                sources.append(Source(node.name, signal.shape, *form))
            case ops.Neuron():
                try:
                    populations.append(_population(node.name, node.op))
                except ValueError as fault:
                    findings.append(error("NMC400", str(fault), node.loc, help=ADVICE))
            case ops.Output():
                (edge,) = incoming[node.name]
                outputs.append(Output(node.name, edge.src, edge.delay))
            case _:
                pass
    graded_populations = {population.name for population in populations if population.graded}
    bits = {source.name: source.message_bits for source in sources}
    bits |= {p.name: MESSAGE_BITS if p.name in graded_populations else 0 for p in populations}
    raise_errors(findings)
    found: list[Connection] = []
    for link in connections(graph):
        number = signals[link.src].number or SPIKE
        try:
            found += _connection(graph, link, number, bits[link.src], findings)
        except ValueError as fault:
            findings.append(error("NMC400", str(fault), graph[link.name].loc, help=ADVICE))
    raise_errors(findings)
    return Network(
        tuple(sources),
        tuple(populations),
        tuple(found),
        tuple(outputs),
        graph.placement + tuple(_place_sources(graph, sources)),
    )


# ---- populations ------------------------------------------------------------------------------------------


def _population(name: str, op: ops.Neuron) -> Population:
    synapse, membrane, fire = op.synapse, op.membrane, op.fire
    assert synapse is not None, name  # the target's families have one
    whole = 1 << DECAY_BITS
    keep = np.int64(whole) if membrane.decay is None else _mantissas(membrane.decay)
    bias, shift = np.int64(0), 0
    if membrane.bias is not None and membrane.bias.number is not None:
        bias, shift = _mantissas(membrane.bias), membrane.bias.number.exponent - op.exponent
    threshold = np.int64(0) if fire is None else _aligned(fire.threshold, op.exponent + STATE_SHIFT)
    return Population(
        name,
        op.shape,
        current_decay=_tensor(whole - 1 - _mantissas(synapse.decay), op.shape, DECAY),
        voltage_decay=_tensor(whole - keep, op.shape, DECAY),
        threshold=_tensor(threshold, op.shape, THRESHOLD),
        bias_mantissa=_tensor(bias, op.shape, BIAS),
        bias_exponent=_tensor(np.int64(shift), op.shape, BIAS_EXPONENT),
        initial_u=_tensor(_aligned(synapse.initial, op.exponent), op.shape, STATE),
        initial_v=_tensor(_aligned(membrane.initial, op.exponent), op.shape, STATE),
        rule=_rule(op),
    )


def _rule(op: ops.Neuron) -> Rule:
    minimum = op.membrane.minimum
    clamp = None if minimum is None else _tensor(_aligned(minimum, op.exponent), op.shape, STATE)
    every, phase = (op.clock.every, op.clock.phase) if op.clock is not None else (1, 0)
    if op.fire is None:
        return Rule(fire=False, minimum=clamp, every=every, phase=phase)
    assert not (op.fire.reset is Reset.TO_VALUE and op.fire.value.data.any())  # `normalize` moves it to zero
    return Rule(
        comparison=op.fire.comparison,
        reset=op.fire.reset,
        when=op.fire.when,
        refractory=_tensor(op.fire.refractory.data.astype(np.int64), op.shape, REFRACTORY),
        minimum=clamp,
        every=every,
        phase=phase,
    )


def _mantissas(tensor: Tensor) -> Integers:
    return tensor.data.astype(np.int64)


def _aligned(tensor: Tensor, exponent: int) -> Integers:
    """Mantissas at another exponent, which is not above the tensor's own."""
    assert tensor.number is not None
    return _mantissas(tensor) << (tensor.number.exponent - exponent)


def _tensor(values: Integers | np.int64, shape: ops.Shape, number: FixedPoint) -> Tensor:
    """One number if all are equal, else one a neuron."""
    array = np.asarray(values)
    if array.size and (array == array.flat[0]).all():
        return Tensor(int(array.flat[0]), number)
    return Tensor(np.broadcast_to(array, shape), number)


# ---- connections ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Link:
    """A connection's ends and how its weights stand: `raised` bits above a mantissa's unit, then `exponent`."""

    name: str
    pre: str
    post: str
    later: int
    """Steps of delay beyond the one that every connection takes."""
    raised: int
    exponent: int
    bits: int
    message_bits: int

    def weights(self, mantissas: Integers) -> Tensor:
        """Lava's weights."""
        return Tensor(mantissas << self.raised, WEIGHT)


def _connection(
    graph: Graph, link: Link, message: FixedPoint, message_bits: int, findings: list[Diagnostic]
) -> Iterator[Connection]:
    op, loc = graph[link.name].op, graph[link.name].loc
    assert isinstance(op, ops.LinearOp)
    assert op.weight.number is not None and op.accumulator is not None
    bits = op.weight.number.bits
    # A mantissa of `bits` stands at the upper bits of the widest; with both signs, weights are even.
    raised = LOIHI.weights.bits[-1] - bits + LOIHI.weights.shift
    exponent = op.weight.number.exponent + message.exponent - op.accumulator.number.exponent - raised
    later = link.delay - LOIHI.connection_delay
    how = _Link(link.name, link.src, link.dst, later, raised, exponent, bits, message_bits)
    match op:
        case ops.Conv() if later == 0 and _is_lavas(op):
            yield _conv(op, how)
        case ops.Linear():
            yield _dense(op, how)
        case _:
            lines = op if isinstance(op, ops.Sparse) else _conv_lines(op)
            if exponent < 0 and np.unique(lines.delay.data).size > 1:
                text = f"`{link.name}` drops bits of sums over delays, which Lava drops delay by delay"
                findings.append(error("NMC400", text, loc, help=ADVICE))
            elif isinstance(op, ops.Conv) and _largest_sum(op, how) >= 1 << (CONV_BITS - 1):
                text = f"a sum of `{link.name}` may not fit {CONV_BITS} bits, and as single synapses it does not wrap"
                findings.append(error("NMC400", text, loc, help=ADVICE))
            else:
                yield from _sparse(lines, how, graph)


def _largest_sum(op: ops.Conv, how: _Link) -> int:
    """What a convolution could reach with every message at its largest."""
    per_output = np.abs(_mantissas(op.weight)).reshape(op.weight.shape[0], -1).sum(axis=1)
    return int(per_output.max(initial=0)) << (how.raised + how.exponent + how.message_bits)


def _dense(op: ops.Linear, how: _Link) -> Dense:
    weight = how.weights(_mantissas(op.weight))
    delay = Tensor(np.full(weight.shape, how.later), DELAY) if how.later else None
    return Dense(
        how.name, how.pre, how.post, weight, how.exponent, how.bits, Sign.MIXED, how.message_bits, delay
    )


def _sparse(lines: ops.Sparse, how: _Link, graph: Graph) -> Iterator[Sparse]:
    delays, weights = _mantissas(lines.delay) + how.later, _mantissas(lines.weight)
    for index, chosen in enumerate(_without_repeated_pairs(lines)):
        yield Sparse(
            how.name if index == 0 else _fresh(f"{how.name}.{index + 1}", graph),
            how.pre,
            how.post,
            Tensor(_mantissas(lines.post)[chosen]),
            Tensor(_mantissas(lines.pre)[chosen]),
            how.weights(weights[chosen]),
            how.exponent,
            how.bits,
            Sign.MIXED,
            how.message_bits,
            Tensor(delays[chosen], DELAY) if delays.any() else None,
        )


def _conv(op: ops.Conv, how: _Link) -> Conv:
    padding = tuple(before for before, _ in op.padding)
    return Conv(
        how.name,
        how.pre,
        how.post,
        how.weights(_lava_kernels(_mantissas(op.weight))),
        _xy(op.stride, 1),
        _xy(padding, 0),
        _xy(op.dilation, 1),
        op.groups,
        how.exponent,
        how.bits,
        Sign.MIXED,
        how.message_bits,
    )


def _fresh(name: str, graph: Graph) -> str:
    while name in graph:
        name += "'"
    return name


def _without_repeated_pairs(lines: ops.Sparse) -> Iterator[Integers]:
    """Indices of synapses, ordered by (post, pre), in as many parts as pairs have synapses (of unlike delays)."""
    pre, post = _mantissas(lines.pre), _mantissas(lines.post)
    order = np.lexsort((pre, post))
    if order.size == 0:
        yield order
        return
    again = np.zeros(order.size, np.int64)
    same = (np.diff(pre[order]) == 0) & (np.diff(post[order]) == 0)
    for k in np.flatnonzero(same):
        again[k + 1] = again[k] + 1
    for part in range(int(again.max()) + 1):
        yield order[again == part]


def _is_lavas(op: ops.Conv) -> bool:
    """Whether Lava's own convolution can be this one."""
    sizes = (*op.weight.shape[2:], *op.stride, *op.dilation, *(before for before, _ in op.padding), op.groups)
    return all(before == after for before, after in op.padding) and max(sizes) <= CONV_FIELD


def _xy(values: tuple[int, ...], other: int) -> tuple[int, int]:
    """The values of (y, x) as (x, y); of (x,) with `other` for y."""
    return (values[-1], values[0]) if len(values) == 2 else (values[0], other)


def _lava_kernels(weight: Integers) -> Integers:
    """(out, in, y, x), correlated, as (out, x, y, in), convolved."""
    if weight.ndim == 3:
        weight = weight[:, :, None, :]
    return np.ascontiguousarray(weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1))


def _conv_lines(op: ops.Conv) -> ops.Sparse:
    """A convolution's synapses one by one, in mantissas, zero weights left out."""
    channels, *space = op.in_shape
    out, *out_space = ops.output_shape(op)
    grid = np.arange(channels * math.prod(space)).reshape(channels, *space)
    per_out, per_in = out // op.groups, channels // op.groups
    parts: list[tuple[Integers, Integers, Integers]] = []
    for o, c, *tap in np.argwhere(_mantissas(op.weight)).tolist():
        places = [
            np.arange(n) * s - before + k * d
            for n, s, (before, _), k, d in zip(
                out_space, op.stride, op.padding, tap, op.dilation, strict=True
            )
        ]
        inside = [np.flatnonzero((p >= 0) & (p < size)) for p, size in zip(places, space, strict=True)]
        source = (o // per_out) * per_in + c
        pre = grid[source][np.ix_(*[p[i] for p, i in zip(places, inside, strict=True)])].ravel()
        target = np.arange(math.prod(out_space)).reshape(out_space)[np.ix_(*inside)].ravel()
        post = o * math.prod(out_space) + target
        parts.append((pre, post, np.full(pre.size, op.weight.data[(o, c, *tap)], np.int64)))
    none = np.zeros(0, np.int64)
    pre, post, weight = (np.concatenate([none, *(part[k] for part in parts)]) for k in range(3))
    return ops.Sparse(
        op.in_shape,
        ops.output_shape(op),
        Tensor(pre),
        Tensor(post),
        Tensor(weight, op.weight.number),
        Tensor(np.zeros(pre.size, np.int64)),
    )


# ---- cores ------------------------------------------------------------------------------------------------


def _place_sources(graph: Graph, sources: list[Source]) -> Iterator[Slice]:
    """Inputs enter at cores of their own, after the others; on a full chip, where neurons leave room."""
    cores, room = (int(LOIHI.limits[name].value) for name in ("cores", "neurons_per_core"))
    used: dict[int, int] = {}
    for part in graph.placement:
        used[part.core] = used.get(part.core, 0) + part.stop - part.start
    first = max(used, default=-1) + 1
    candidates = iter([*range(first, cores), *range(min(first, cores))])
    core = next(candidates, None)
    for source in sources:
        start, size = 0, size_of(source.shape)
        while start < size:
            while core is not None and used.get(core, 0) >= room:
                core = next(candidates, None)
            if core is None:
                message = f"input `{source.name}` has {size - start} lines more than cores have room for"
                raise CompileError(
                    error(
                        "NMC401",
                        message,
                        graph[source.name].loc,
                        help="use a smaller network",
                        excess=Excess("cores", cores + -(-(size - start) // room), cores),
                    )
                )
            stop = min(size, start + room - used.get(core, 0))
            yield Slice(source.name, start, stop, core)
            used[core] = used.get(core, 0) + stop - start
            start = stop


def _resources(graph: Graph) -> Iterator[Resource]:
    loads = core_loads(graph, target=LOIHI)
    limits: Mapping[str, float] = {name: figure.value for name, figure in LOIHI.limits.items()}
    yield Resource("cores", len(loads), limits["cores"])
    fullest = {
        "neurons_per_core": max((load.neurons for load in loads), default=0),
        "synaptic_words_per_core": max((load.words for load in loads), default=0),
        "input_axons_per_core": max((load.axons_in for load in loads), default=0),
        "output_axons_per_core": max((load.axons_out for load in loads), default=0),
    }
    for name, used in fullest.items():
        yield Resource(name, used, limits[name])

"""From a placed graph in the core's integers to a design and its files."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np

from nmc.backends.backend import Program, Resource
from nmc.backends.fpga import files
from nmc.backends.fpga.adapters import PORTS
from nmc.backends.fpga.estimate import design_cost
from nmc.backends.fpga.lanes import neurons_at_once
from nmc.backends.fpga.narrow import Span, aligned, input_span
from nmc.backends.fpga.program import KINDS, Design, Io, Layer, Leg, Memory, Sink, Source, index_bits
from nmc.backends.fpga.rows import Rows, rows_of
from nmc.backends.fpga.spec import PARTS, Part
from nmc.backends.fpga.stdp import Rule, parameters_of, plasticity_of
from nmc.backends.fpga.windows import Window
from nmc.diagnostics import CompileError, Excess, error
from nmc.ir.connections import connections
from nmc.ir.fixed import Overflow
from nmc.ir.graph import Graph
from nmc.ir.linear import size_of
from nmc.ir.neuron import Arithmetic, Comparison
from nmc.ir.ops import Input, LinearOp, Neuron, Output, Signal, SignalKind, output_shape
from nmc.ir.tensor import Array, Tensor
from nmc.ir.types import SPIKE_NUMBER

BLOCK_FROM = 64
"""Words of accumulators from which on they stand in block RAM."""

_KEYWORDS = """
accept_on alias always always_comb always_ff always_latch and assert assign assume automatic before begin bind
bins binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle checker class clk clocking cmos
config const constraint context continue cover covergroup coverpoint cross deassign default defparam design
disable dist do dut edge else end endcase endchecker endclass endclocking endconfig endfunction endgenerate
endgroup endinterface endmodule endpackage endprimitive endprogram endproperty endsequence endspecify endtable
endtask enum event eventually expect export extends extern final first_match for force foreach forever fork
forkjoin function generate genvar global highz0 highz1 if iff ifnone ignore_bins illegal_bins implements implies
import incdir include initial inout input inside instance int integer interconnect interface intersect join
join_any join_none large let liblist library local localparam logic longint macromodule matches medium modport
module nand negedge nettype new nexttime nmos nor noshowcancelled not notif0 notif1 null or output package
packed parameter pmos posedge primitive priority program property protected pull0 pull1 pulldown pullup
pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase randsequence rcmos real realtime ref reg
reject_on release repeat restrict return rnmos rpmos rst rtran rtranif0 rtranif1 s_always s_eventually
s_nexttime s_until s_until_with scalared sequence shortint shortreal showcancelled signed small soft solve
specify specparam static string strong strong0 strong1 struct super supply0 supply1 sync_accept_on
sync_reject_on table tagged task tb this throughout time timeprecision timeunit top tran tranif0 tranif1 tri
tri0 tri1 triand trior trireg type typedef union unique unique0 unsigned until until_with untyped use uwire var
vectored virtual void wait wait_order wand weak weak0 weak1 while wildcard wire with within wor xnor xor
"""
KEYWORDS = frozenset(_KEYWORDS.split()) | {"answer", "bus", "clk", "rst", "unused"}
"""What SystemVerilog keeps for itself (IEEE 1800-2012, annex B), and names that top.sv and tb.sv have already."""


def emit(
    graph: Graph, *, part: str, io: Io = Io.STREAM, runtime: bool = False, rules: tuple[Rule, ...] = ()
) -> Program:
    """The design's files and what it takes of the part. `runtime`: weights may be read and written while it runs;
    connections with `rules` learn.

    Raises CompileError: NMC453 where it is too large for the part by the estimate.
    """
    design = lower(graph, part=part, io=io, runtime=runtime, rules=rules)
    cost = design_cost(design)
    chip = PARTS[part]
    resources = (
        Resource(f"{chip.logic} (estimated)", float(cost.luts), float(chip.luts)),
        Resource("block RAM (estimated)", float(cost.block_rams), float(chip.block_rams)),
        Resource("multipliers (estimated)", float(cost.multipliers), float(chip.multipliers)),
    )
    findings = [
        error(
            "NMC453",
            f"the design takes about {each.used:.0f} of `{part}`'s {each.limit:.0f}: {each.name}",
            graph.nodes[0].loc,
            help="use fewer lanes or weight bits, or a larger part",
            excess=Excess(each.name, each.used, each.limit),
        )
        for each in resources
        if each.used > each.limit
    ]
    if findings:
        raise CompileError(*findings)
    return Program(files.write(design), resources)


def lower(
    graph: Graph, *, part: str, io: Io = Io.STREAM, runtime: bool = False, rules: tuple[Rule, ...] = ()
) -> Design:
    """The design that a placed graph stands for; see `emit`."""
    runtime = runtime or bool(rules)
    names = _Names()
    signals = graph.signals()
    sources: list[Source] = []
    placed = {node.name: [s for s in graph.placement if s.node == node.name] for node in graph.nodes}
    outputs = [node for node in graph.nodes if isinstance(node.op, Output)]
    incoming = graph.incoming()
    rows = {
        n.name: rows_of(graph, n.name, len(placed[n.name]), shared=not runtime)
        for n in graph.nodes
        if isinstance(n.op, Neuron)
    }
    consumers: dict[str, int] = {}
    for each in rows.values():
        for leg in each.legs:
            consumers[leg.src] = consumers.get(leg.src, 0) + 1
    for node in outputs:
        (edge,) = incoming[node.name]
        consumers[edge.src] = consumers.get(edge.src, 0) + 1

    def leg_of(src: str, delay: int, offset: int, connection: str) -> Leg:
        alone = consumers[src] == 1 and delay == 0
        words = (delay + 1) * (size_of(output_shape(graph[src].op)) + 1)
        return Leg(src, delay, offset, 0 if alone else 1 << max(1, (words - 1).bit_length()), connection)

    layers: list[Layer] = []
    for node in graph.nodes:
        if isinstance(node.op, Input):
            bits, signed = _value(signals[node.name])
            sources.append(Source(node.name, names.of(node.name), node.op.signal.shape, bits, signed))
        elif isinstance(node.op, Neuron):
            here = rows[node.name]
            legs = tuple(leg_of(leg.src, leg.delay, leg.offset, leg.connection) for leg in here.legs)
            layers.append(
                _layer(
                    graph,
                    node.name,
                    names.of(node.name),
                    rows=here,
                    legs=legs,
                    part=PARTS[part],
                    runtime=runtime,
                )
            )
    ports = max(len(sources), len(outputs))
    if io is Io.UART and ports > PORTS:
        message = f"a serial line has {PORTS} inputs and outputs, and the network has {ports}"
        raise CompileError(error("NMC465", message, graph.nodes[0].loc, help="use `--set io=axi`"))
    sinks: list[Sink] = []
    for node in outputs:
        (edge,) = incoming[node.name]
        sinks.append(Sink(node.name, names.of(node.name), leg_of(edge.src, edge.delay, 0, "")))
    for rule in rules:
        layers = _learning(graph, layers, rule)
    return Design(part, tuple(sources), tuple(layers), tuple(sinks), io=io, runtime=runtime)


def _learning(graph: Graph, layers: list[Layer], rule: Rule) -> list[Layer]:
    """The layers, the one into which the rule's connection leads with the rule. Raises CompileError as
    `plasticity_of` does, and NMC461 for one that has none of its own, or no spikes to learn from."""
    plasticity = plasticity_of(graph, rule)
    found = list(layers)
    for k, layer in enumerate(layers):
        for leg in layer.legs:
            if leg.connection != rule.connection:
                continue
            if layer["TABLE"] or layer["GRADED"] or not layer["FIRE"] or layer["STDP"]:
                reason = (
                    "has other connections than fully connected ones" if layer["TABLE"]
                    else "takes graded values" if layer["GRADED"]
                    else "gives no spikes" if not layer["FIRE"]
                    else "learns from another connection already"
                )  # fmt: skip
                message = f"`{rule.connection}` cannot learn: `{layer.name}` {reason}"
                raise CompileError(error("NMC461", message, graph[rule.connection].loc))
            sources = size_of(output_shape(graph[leg.src].op))
            new = parameters_of(plasticity, offset=leg.offset, sources=sources)
            found[k] = replace(layer, parameters={**layer.parameters, **new})
    return found


class _Names:
    """SystemVerilog names that are those of the model as far as possible, each once."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    def of(self, name: str) -> str:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
        if not re.match(r"[A-Za-z]", plain) or plain in KEYWORDS or plain.startswith("nmc_"):
            plain = f"n_{plain}"
        found, count = plain, 2
        while found.lower() in self.used:
            found, count = f"{plain}_{count}", count + 1
        self.used.add(found.lower())
        return found


def _value(signal: Signal) -> tuple[int, bool]:
    if signal.kind is SignalKind.SPIKE or signal.number is None:
        return 0, False
    return signal.number.bits, signal.number.signed


# ---- layers -----------------------------------------------------------------------------------------------


def _layer(
    graph: Graph,
    name: str,
    instance: str,
    *,
    rows: Rows,
    legs: tuple[Leg, ...],
    part: Part,
    runtime: bool,
) -> Layer:
    op = graph[name].op
    assert isinstance(op, Neuron) and op.arithmetic is not None
    neurons, lanes = size_of(op.shape), rows.weights.shape[1]
    weight_bits = _weight_bits(graph, name) if runtime else _signed_bits(rows.weights)
    weights = _memory(f"{instance}.weights", [(rows.weights, weight_bits)], part)
    graded, signed, value_bits = _values(graph, legs)
    memories = [weights]
    parameters: dict[str, int] = {
        "SOURCES": rows.legs[-1].offset + rows.legs[-1].sources,
        "N": neurons,
        "P": lanes,
        "U": neurons_at_once(lanes),
        "WEIGHT_ROWS": len(rows.weights),
        "WEIGHT_BITS": weight_bits,
        "SUM_BITS": max(_sum_bits(graph, name, rewritable=runtime), weight_bits),
        "BLOCK": int(rows.words > BLOCK_FROM),
        "GRADED": int(graded),
        "SIGNED": int(signed),
        "VALUE_BITS": value_bits,
        "SHIFT": _shift(graph, name, op),
    }
    if rows.window is not None:
        tables, found = _window(rows.window, instance, rows=len(rows.weights), part=part)
        memories += tables
        parameters |= found
    elif not rows.dense:
        runs = _memory(
            f"{instance}.runs",
            [
                (rows.first[:, None], index_bits(len(rows.row))),
                (rows.count[:, None], _unsigned_bits(rows.count)),
            ],
            part,
        )
        table = _memory(
            f"{instance}.rows",
            [
                (rows.row[:, None], index_bits(len(rows.weights))),
                (rows.word[:, None], index_bits(rows.words)),
            ],
            part,
        )
        memories += [runs, table]
        parameters |= {"TABLE": 1, "ROWS": len(rows.row), "COUNT_BITS": _unsigned_bits(rows.count)}
    parameters |= _neuron(op, op.arithmetic)
    sweep = Layer(name, instance, op.shape, parameters, legs, ())
    each, at = _each(op, op.arithmetic, sweep, part)
    memories += each
    parameters |= at
    for memory in memories:
        kind = KINDS[memory.name.rpartition(".")[2]]
        parameters |= {f"{kind}_SLICE": memory.slice, f"{kind}_BANK": memory.bank}
    return Layer(name, instance, op.shape, parameters, legs, tuple(memories), rows.synapses)


def _window(window: Window, instance: str, *, rows: int, part: Part) -> tuple[list[Memory], dict[str, int]]:
    """The tables of a convolution, one entry a channel, a line, a column, and its parameters; see nmc_rows_conv."""
    kernel, blocks = window.kernel, window.blocks
    lines, columns = kernel.lines, kernel.columns
    channels, height, width = kernel.in_shape
    _, in_group, taps_high, taps_wide = kernel.weights.shape
    out_group = kernel.out_shape[0] // kernel.groups
    row, line = taps_wide * blocks, kernel.out_shape[2]
    channel = np.arange(channels)
    addr, word = index_bits(rows), index_bits(window.words)
    every = window.lanes * blocks
    fields = {
        "channels": [
            (channel % in_group * taps_high * row, addr),
            (channel // in_group * out_group, every.bit_length()),
        ],
        "lines": [
            (lines.tap * row, addr),
            (lines.output * line, word),
            (lines.count, _unsigned_bits(lines.count)),
        ],
        "columns": [
            (columns.tap * blocks, addr),
            (columns.output, word),
            (columns.count, _unsigned_bits(columns.count)),
        ],
    }
    memories = [
        _memory(f"{instance}.{kind}", [(values[:, None], bits) for values, bits in each], part)
        for kind, each in fields.items()
    ]
    return memories, {
        "CONV": 1, "CHANNELS": channels, "HEIGHT": height, "WIDTH": width, "WORDS": window.words, "BLOCKS": blocks,
        "POSITIONS": window.positions, "GROUP": every if kernel.groups == 1 else out_group,
        "LINE_STEP": lines.tap_step * row, "LINE_BACK": lines.output_step * line,
        "COLUMN_STEP": columns.tap_step * blocks, "COLUMN_BACK": columns.output_step,
        "LINE_BITS": _unsigned_bits(lines.count), "COLUMN_BITS": _unsigned_bits(columns.count),
    }  # fmt: skip


def _signed_bits(values: Array) -> int:
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    return max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0, 1) + 1


def _unsigned_bits(values: Array) -> int:
    return max(1, int(values.max(initial=0)).bit_length())


def _values(graph: Graph, legs: tuple[Leg, ...]) -> tuple[bool, bool, int]:
    """Whether the events of a layer carry values, whether these have a sign, and their bits."""
    signals = graph.signals()
    kinds = [_value(signals[leg.src]) for leg in legs]
    graded = any(bits for bits, _ in kinds)
    signed = any(sign for _, sign in kinds)
    widest = max(max(bits, 1) + (signed and not sign) for bits, sign in kinds)
    return graded, signed, widest if graded else 1


def _weight_bits(graph: Graph, name: str) -> int:
    """Bits of all weights that the connections into a population may have."""
    linear = [graph[link.name].op for link in connections(graph) if link.dst == name]
    numbers = [op.weight.number for op in linear if isinstance(op, LinearOp)]
    return max((number.bits for number in numbers if number is not None), default=2)


def _sum_bits(graph: Graph, name: str, *, rewritable: bool) -> int:
    signals = graph.signals()
    total = Span(0, 0)
    for link in connections(graph):
        if link.dst == name:
            op = graph[link.name].op
            assert isinstance(op, LinearOp)
            message = signals[link.src].number or SPIKE_NUMBER
            total = total + input_span(op, message, rewritable=rewritable)
    return max(total.bits, 2)


def _shift(graph: Graph, name: str, op: Neuron) -> int:
    """The sums' exponent above the state's; all connections into a population share it."""
    signals = graph.signals()
    shifts: set[int] = set()
    for link in connections(graph):
        if link.dst == name:
            linear = graph[link.name].op
            assert isinstance(linear, LinearOp) and linear.weight.number is not None
            message = signals[link.src].number or SPIKE_NUMBER
            shifts.add(linear.weight.number.exponent + message.exponent - op.exponent)
    assert len(shifts) <= 1, name  # `quantize` gives one unit to all that comes into a population
    return shifts.pop() if shifts else 0


def _neuron(op: Neuron, arithmetic: Arithmetic) -> dict[str, int]:
    fire = op.fire
    form = arithmetic.decay_form
    found = {
        "V_BITS": arithmetic.v_bits,
        "V_SATURATE": int(arithmetic.v_overflow is Overflow.SATURATE),
        "DECAY_BITS": arithmetic.decay_bits,
        "SYNAPSE": int(op.synapse is not None),
        "FIRE": int(fire is not None),
        "CLAMP": int(op.membrane.minimum is not None),
        "V_FORM": 0 if op.membrane.decay is None else int(form),
        "RESET": 0,
        "WHEN": 0,
    }
    if op.synapse is not None:
        found |= {
            "I_BITS": arithmetic.i_bits,
            "I_SATURATE": int(arithmetic.i_overflow is Overflow.SATURATE),
            "I_FORM": int(form),
        }
    if fire is not None:
        longest = int(fire.refractory.data.max(initial=0))
        found |= {
            "AT_LEAST": int(fire.comparison is Comparison.AT_LEAST),
            "RESET": int(fire.reset),
            "WHEN": int(fire.when),
            "REFRACTORY": int(longest > 0),
            "WAIT_BITS": max(1, longest.bit_length()),
        }
    return found


def _each(
    op: Neuron, arithmetic: Arithmetic, layer: Layer, part: Part
) -> tuple[list[Memory], dict[str, int]]:
    """The memory of parameters that differ between neurons, and where it holds each; constants become parameters."""
    v_bits, i_bits, decay_bits = arithmetic.v_bits, arithmetic.i_bits, arithmetic.decay_bits + 1
    fire, membrane, synapse = op.fire, op.membrane, op.synapse
    wait_bits = layer["WAIT_BITS"]
    wanted: list[tuple[str, Array | None, int]] = [
        ("THRESHOLD", None if fire is None else aligned(fire.threshold, op), v_bits),
        ("BIAS", None if membrane.bias is None else aligned(membrane.bias, op), v_bits),
        ("MINIMUM", None if membrane.minimum is None else aligned(membrane.minimum, op), v_bits),
        ("PERIOD", None if fire is None else fire.refractory.data, wait_bits),
        ("V_START", aligned(membrane.initial, op), v_bits),
        ("I_START", None if synapse is None else aligned(synapse.initial, op), i_bits),
        ("V_DECAY", _mantissas(membrane.decay), decay_bits),
        ("I_DECAY", None if synapse is None else _mantissas(synapse.decay), decay_bits),
    ]
    at: dict[str, int] = {}
    parts: list[tuple[Array, int]] = []
    position = 0
    order = layer.order
    for name, values, bits in wanted:
        if values is None:
            continue
        if (values == values.flat[0]).all():
            constant = name.replace("DECAY", "MANTISSA")
            at[constant] = int(values.flat[0])
            continue
        flat = np.broadcast_to(values, op.shape).ravel().astype(np.int64)
        padded = np.append(flat, 0)[np.minimum(order, flat.size)]
        parts.append((padded, bits))
        at |= {f"EACH_{name}": 1, f"AT_{name}": position}
        position += bits
    if not parts:
        return [], at
    fields = [(values[:, u : u + 1], bits) for u in range(layer["U"]) for values, bits in parts]
    return [_memory(f"{layer.instance}.each", fields, part)], at | {"EACH_BITS": position}


def _mantissas(tensor: Tensor | None) -> Array | None:
    return None if tensor is None else tensor.data.astype(np.int64)


# ---- memories ---------------------------------------------------------------------------------------------


def _memory(name: str, fields: list[tuple[Array, int]], part: Part) -> Memory:
    """Words of fields, the first at the lowest bits; a field (words, count) stands `count` times side by side."""
    depth = len(fields[0][0])
    width = sum(values.shape[1] * bits for values, bits in fields)
    bits = np.zeros((depth, width), np.uint8)
    at = 0
    for values, each in fields:
        unsigned = values.astype(np.int64) & ((1 << each) - 1)
        spread = (unsigned[:, :, None] >> np.arange(each)) & 1
        bits[:, at : at + spread.shape[1] * each] = spread.reshape(depth, -1)
        at += spread.shape[1] * each
    bank, slice_bits = block_shape(depth, width, part)
    slices: list[Array] = []
    for start in range(0, width, slice_bits):
        piece = bits[:, start : start + slice_bits].astype(np.int64)
        slices.append(piece @ (1 << np.arange(piece.shape[1], dtype=np.int64)))
    return Memory(name, width, slice_bits, bank, tuple(slices))


def block_shape(depth: int, width: int, part: Part) -> tuple[int, int]:
    """Words and bits of the block RAMs of which a memory is made: the shape that needs fewest blocks, and of those
    the deepest, so that there are no multiplexers behind blocks unless the memory is deeper than any."""

    def blocks(shape: tuple[int, int]) -> tuple[int, int]:
        words, bits = shape
        return math.ceil(depth / words), math.ceil(width / bits)

    whole = [shape for shape in part.shapes if shape[0] >= depth]
    return min(whole, key=lambda shape: (blocks(shape)[1], shape[0])) if whole else max(part.shapes)

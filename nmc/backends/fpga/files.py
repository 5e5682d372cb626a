"""A design as files: SystemVerilog, memories in hex, a test bench, a Makefile; `network.json` says what is what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files as package_files
from typing import Any

import jinja2
import numpy as np

from nmc.backends.fpga import adapters
from nmc.backends.fpga.program import KINDS, Design, Io, Layer, Leg, Memory, Sink, Source, index_bits
from nmc.ir.tensor import Array

FORMAT = "nmc.fpga/1"
NETWORK_FILE, TOP_FILE, BENCH_FILE = "network.json", "top.sv", "tb.sv"
FOLDER_FILES = ("Makefile", "README.md", "vivado.tcl", "pins.xdc")
MEMORY, RTL = "memory", "rtl"
PACKAGE = "nmc.backends.fpga"


# ---- write ------------------------------------------------------------------------------------------------


def write(design: Design) -> dict[str, bytes]:
    """The files by name. Equal designs give equal bytes."""
    found = {NETWORK_FILE: (json.dumps(_document(design), indent=1) + "\n").encode()}
    for layer in design.layers:
        for memory in layer.memories:
            found.update(_hex_files(memory))
    for resource in sorted(package_files(PACKAGE).joinpath("rtl").iterdir(), key=lambda each: each.name):
        if resource.name.endswith(".sv"):
            found[f"{RTL}/{resource.name}"] = resource.read_bytes()
    for name in (TOP_FILE, BENCH_FILE, *FOLDER_FILES):
        found[name] = _render(f"{name}.j2", design).encode()
    found.update(_edge_files(design))
    name, text = adapters.constraints(design)
    found[name] = text.encode()
    for source in design.sources:
        found[f"stimulus/{source.instance}.txt"] = example_stimulus(design, source).encode()
    return found


def _edge_files(design: Design) -> dict[str, bytes]:
    """The module that a board or a larger design uses, and its test bench; nothing where streams are the edge."""
    if design.io is Io.STREAM:
        return {}
    top, bench = adapters.top_name(design.io), adapters.bench_name(design.io)
    template = "tb_uart.sv.j2" if design.io is Io.UART else "tb.sv.j2"
    found = {
        f"{top}.sv": _render(f"{top}.sv.j2", design).encode(),
        f"{bench}.sv": _render(template, design, bench=design.io).encode(),
    }
    if design.io is Io.UART:
        found["stimulus/uart.txt"] = adapters.example_session(design).encode()
    return found


def _render(name: str, design: Design, *, bench: Io = Io.STREAM) -> str:
    source = package_files(PACKAGE).joinpath("templates", name).read_text()
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    template = environment.from_string(source)
    names = ", ".join(layer.name for layer in design.layers)
    return template.render(
        design=design,
        bits=design.word_bits,
        kind=_kind,
        constraints=adapters.constraints(design)[0],
        blocks=_blocks(design),
        title=f"Layers {names}",
        top=adapters.top_name(design.io),
        bench=adapters.bench_name(bench if name == "tb.sv.j2" else design.io),
        io=bench.value,
        core="dut" if bench is Io.STREAM else "dut.core",
        board=adapters.BOARDS[design.part],
        baud=adapters.BAUD,
        link=adapters.link_of(design),
        bytes=adapters.bytes_of,
        axi_lite=adapters.AXI_LITE,
    )


def _hex_files(memory: Memory) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for s, words in enumerate(memory.words):
        width = min(memory.slice, memory.width - s * memory.slice)
        digits = -(-width // 4)
        for b, start in enumerate(range(0, len(words), memory.bank)):
            lines = "".join(f"{word:0{digits}x}\n" for word in words[start : start + memory.bank].tolist())
            found[f"{MEMORY}/{memory.name}.{s:03d}.{b:03d}.hex"] = lines.encode()
    return found


def example_stimulus(design: Design, source: Source, *, steps: int = 16) -> str:
    """A stimulus that `make sim` has at hand: seeded, a quarter of the neurons in each step, largest values."""
    size = design.size(source.name)
    random = np.random.default_rng(0)
    spikes = (random.random((steps, 1, size)) < 0.25).astype(np.int64)
    return stimulus(design, source, spikes)


def stimulus(design: Design, source: Source, values: Array) -> str:
    """The words for values (steps, samples, size), in hex, with an end after each sample."""
    size = design.size(source.name)
    id_bits, bits = index_bits(size), design.word_bits(source.name)
    digits = -(-(bits + 1) // 4)
    lines: list[str] = []
    tick, end = f"{1 << (bits - 1):0{digits}x}", f"{1 << bits:0{digits}x}"
    mask = (1 << source.value_bits) - 1
    for sample in range(values.shape[1]):
        for step in values[:, sample]:
            (ids,) = np.nonzero(step)
            for index in ids.tolist():
                value = (int(step[index]) & mask) << id_bits
                lines.append(f"{value | index:0{digits}x}")
            lines.append(tick)
        lines.append(end)
    return "\n".join(lines) + "\n"


# ---- top.sv -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of the top under one title."""

    title: str
    wires: tuple[str, ...]


def _blocks(design: Design) -> list[Block]:
    blocks: list[Block] = []
    for producer in (*design.sources, *design.layers):
        legs = design.legs(producer.name)
        if not legs:
            blocks.append(
                Block(
                    f"{producer.name} leads nowhere",
                    (
                        f"assign {producer.instance}_ready = 1'b1;",
                        f"logic unused_{producer.instance};",
                        f"assign unused_{producer.instance} = {producer.instance}_valid && &{producer.instance}_word;",
                    ),
                )
            )
        elif len(legs) > 1:
            blocks.append(
                Block(f"{producer.name} goes to {len(legs)} places", _fork(producer.instance, len(legs)))
            )
    for layer in design.layers:
        title = f"{layer.name} {list(layer.shape)}: {layer['N']} neurons, {layer['P']} lanes, {_kind(layer)}"
        blocks.append(Block(title, tuple(_layer(design, layer))))
    for sink in design.sinks:
        blocks.append(Block(f"output {sink.name}", tuple(_sink(design, sink))))
    return blocks


def _kind(layer: Layer) -> str:
    """How a layer's addresses come about, in words."""
    if layer["CONV"]:
        return "convolution"
    return "table of synapses" if layer["TABLE"] else "fully connected"


def _fork(instance: str, count: int) -> tuple[str, ...]:
    return (
        f"logic [{count - 1}:0] {instance}_fork_valid, {instance}_fork_ready;",
        f"nmc_fork #(.K({count})) {instance}_fork (",
        f"  .s_valid({instance}_valid), .s_ready({instance}_ready),",
        f"  .m_valid({instance}_fork_valid), .m_ready({instance}_fork_ready)",
        ");",
    )


def _leg(design: Design, leg: Leg, name: str, branch: int) -> list[str]:
    """The stream of a leg as `name`_valid, _ready, _word, in its source's format."""
    src, width = design.producer(leg.src).instance, design.word_bits(leg.src)
    lines = [f"logic {name}_valid, {name}_ready;", f"logic [{width - 1}:0] {name}_word;"]
    if leg.depth == 0:
        return [
            *lines,
            f"assign {name}_valid = {src}_valid;",
            f"assign {src}_ready = {name}_ready;",
            f"assign {name}_word = {src}_word;",
        ]
    forked = len(design.legs(leg.src)) > 1
    valid = f"{src}_fork_valid[{branch}]" if forked else f"{src}_valid"
    ready = f"{src}_fork_ready[{branch}]" if forked else f"{src}_ready"
    out = f"{name}_queued" if leg.delay else name
    if leg.delay:
        lines += [f"logic {out}_valid, {out}_ready;", f"logic [{width - 1}:0] {out}_word;"]
    count = leg.depth.bit_length()
    lines += [
        f"logic [{count - 1}:0] {name}_count;",
        f"logic unused_{name};",
        f"assign unused_{name} = &{name}_count;",
        f"nmc_fifo #(.WIDTH({width}), .DEPTH({leg.depth})) {name}_queue (",
        "  .clk(clk), .rst(rst),",
        f"  .s_valid({valid}), .s_ready({ready}), .s_word({src}_word),",
        f"  .m_valid({out}_valid), .m_ready({out}_ready), .m_word({out}_word), .count({name}_count)",
        ");",
    ]
    if leg.delay:
        lines += [
            f"nmc_delay #(.WIDTH({width}), .STEPS({leg.delay})) {name}_delay (",
            "  .clk(clk), .rst(rst),",
            f"  .s_valid({out}_valid), .s_ready({out}_ready), .s_word({out}_word),",
            f"  .m_valid({name}_valid), .m_ready({name}_ready), .m_word({name}_word)",
            ");",
        ]
    return lines


def _branches(design: Design) -> dict[int, int]:
    """The branch of its source's fork that each leg takes, by the leg's place among all legs."""
    every = _every_leg(design)
    seen: dict[str, int] = {}
    found: dict[int, int] = {}
    for index, leg in enumerate(every):
        found[index] = seen.get(leg.src, 0)
        seen[leg.src] = found[index] + 1
    return found


def _every_leg(design: Design) -> list[Leg]:
    return [leg for layer in design.layers for leg in layer.legs] + [sink.leg for sink in design.sinks]


def _layer(design: Design, layer: Layer) -> list[str]:
    branches = _branches(design)
    base = sum(len(each.legs) for each in design.layers[: design.layers.index(layer)])
    id_bits = index_bits(layer["SOURCES"])
    value_bits = layer["VALUE_BITS"] if layer["GRADED"] else 0
    width = 1 + id_bits + value_bits
    lines: list[str] = []
    words: list[str] = []
    legs = [f"{layer.instance}_in{k}" for k in range(len(layer.legs))]
    for k, (leg, name) in enumerate(zip(layer.legs, legs, strict=True)):
        lines += _leg(design, leg, name, branches[base + k])
        words.append(_aligned(design, layer, leg, name, id_bits=id_bits, value_bits=value_bits))
    if len(legs) == 1:
        stream = (f"{legs[0]}_valid", f"{legs[0]}_ready", words[0])
    else:
        name, count = f"{layer.instance}_merge", len(legs)
        lines += [
            f"logic {name}_valid, {name}_ready;",
            f"logic [{width - 1}:0] {name}_word;",
            f"nmc_merge #(.K({count}), .WIDTH({width})) {name} (",
            "  .clk(clk), .rst(rst),",
            f"  .s_valid({{{', '.join(f'{leg}_valid' for leg in reversed(legs))}}}),",
            f"  .s_ready({{{', '.join(f'{leg}_ready' for leg in reversed(legs))}}}),",
            f"  .s_words({{{', '.join(reversed(words))}}}),",
            f"  .m_valid({name}_valid), .m_ready({name}_ready), .m_word({name}_word)",
            ");",
        ]
        stream = (f"{name}_valid", f"{name}_ready", f"{name}_word")
    given = [f".{key}({_literal(layer, key)})" for key in layer.parameters]
    if design.runtime:
        given += [".RUNTIME(1)", f".LAYER({design.layers.index(layer)})"]
    for memory in layer.memories:
        kind = KINDS[memory.name.rpartition(".")[2]]
        given.append(f'.{kind}_FILE("{MEMORY}/{memory.name}")')
    lines.append("nmc_layer #(")
    for start in range(0, len(given), 5):
        end = "," if start + 5 < len(given) else ""
        lines.append(f"  {', '.join(given[start : start + 5])}{end}")
    lines += [
        f") {layer.instance} (",
        f"  .clk(clk), .rst(rst), .s_valid({stream[0]}), .s_ready({stream[1]}), .s_word({stream[2]}),",
        f"  .m_valid({layer.instance}_valid), .m_ready({layer.instance}_ready), .m_word({layer.instance}_word),",
        f"  .bus(bus), .answer({layer.instance}_answer)",
        ");",
    ]
    return lines


def _literal(layer: Layer, key: str) -> str:
    """A parameter as SystemVerilog has it: tables of learning are wider than an integer."""
    if key not in {"POTENTIATION", "DEPRESSION"}:
        return str(layer[key])
    return f"{layer['STDP_BITS'] * (layer['STDP_WINDOW'] + 1)}'h{layer[key]:x}"


def _aligned(design: Design, layer: Layer, leg: Leg, name: str, *, id_bits: int, value_bits: int) -> str:
    """The word of a leg in the format of the layer: its numbering of sources, its width of values."""
    own_id, own_value = index_bits(design.size(leg.src)), design.value_bits(leg.src)
    tick = f"{name}_word[{design.word_bits(leg.src) - 1}]"
    number = f"{name}_word[{own_id - 1}:0]"
    if own_id < id_bits:
        number = f"{id_bits}'({number})"
    if leg.offset:
        number = f"{number} + {id_bits}'d{leg.offset}"
    if value_bits == 0:
        return f"{{{tick}, {number}}}"
    if own_value == 0:
        return f"{{{tick}, {value_bits}'d1, {number}}}"
    value = f"{name}_word[{own_id + own_value - 1}:{own_id}]"
    if own_value < value_bits:
        value = f"{value_bits}'($signed({value}))" if design.signed(leg.src) else f"{value_bits}'({value})"
    return f"{{{tick}, {value}, {number}}}"


def _sink(design: Design, sink: Sink) -> list[str]:
    branches = _branches(design)
    index = sum(len(each.legs) for each in design.layers) + design.sinks.index(sink)
    name = f"{sink.instance}_out"
    return [
        *_leg(design, sink.leg, name, branches[index]),
        f"assign m_{sink.instance}_valid = {name}_valid;",
        f"assign {name}_ready = m_{sink.instance}_ready;",
        f"assign m_{sink.instance}_word = {name}_word;",
    ]


# ---- network.json -----------------------------------------------------------------------------------------


def _document(design: Design) -> dict[str, object]:
    def leg(each: Leg) -> dict[str, object]:
        return {
            "src": each.src,
            "delay": each.delay,
            "offset": each.offset,
            "depth": each.depth,
            "connection": each.connection,
        }

    return {
        "format": FORMAT,
        "part": design.part,
        "io": design.io.value,
        "runtime": design.runtime,
        "sources": [
            {
                "name": s.name,
                "instance": s.instance,
                "shape": list(s.shape),
                "value_bits": s.value_bits,
                "signed": s.signed,
            }
            for s in design.sources
        ],
        "layers": [
            {
                "name": layer.name,
                "instance": layer.instance,
                "shape": list(layer.shape),
                "parameters": dict(layer.parameters),
                "legs": [leg(each) for each in layer.legs],
                "memories": [
                    {
                        "name": m.name,
                        "width": m.width,
                        "slice_bits": m.slice,
                        "bank": m.bank,
                        "depth": m.depth,
                    }
                    for m in layer.memories
                ],
                **({"synapses": [f"{row:x}" for row in layer.synapses]} if layer.synapses else {}),
            }
            for layer in design.layers
        ],
        "sinks": [{"name": s.name, "instance": s.instance, "leg": leg(s.leg)} for s in design.sinks],
    }


def read(found: Mapping[str, bytes]) -> Design:
    """The design that `write` gave these files for. Raises ValueError for what is missing or damaged."""
    try:
        document: dict[str, Any] = json.loads(found[NETWORK_FILE])  # Any: JSON, read field by field below
        if document["format"] != FORMAT:
            raise ValueError(f"{NETWORK_FILE}: format `{document['format']}`, not `{FORMAT}`")
        sources = tuple(
            Source(s["name"], s["instance"], tuple(s["shape"]), s["value_bits"], s["signed"])
            for s in document["sources"]
        )
        layers = tuple(
            Layer(
                layer["name"],
                layer["instance"],
                tuple(layer["shape"]),
                layer["parameters"],
                tuple(Leg(**leg) for leg in layer["legs"]),
                tuple(_memory(found, **memory) for memory in layer["memories"]),
                tuple(int(row, 16) for row in layer.get("synapses", ())),
            )
            for layer in document["layers"]
        )
        sinks = tuple(Sink(s["name"], s["instance"], Leg(**s["leg"])) for s in document["sinks"])
        return Design(
            document["part"], sources, layers, sinks, io=Io(document["io"]), runtime=document["runtime"]
        )
    except (KeyError, TypeError, AttributeError) as fault:
        raise ValueError(f"{NETWORK_FILE}: damaged: {fault}") from fault


def _memory(
    found: Mapping[str, bytes], *, name: str, width: int, slice_bits: int, bank: int, depth: int
) -> Memory:
    slices: list[Array] = []
    for s in range(-(-width // slice_bits)):
        words: list[int] = []
        for b in range(-(-depth // bank)):
            file = f"{MEMORY}/{name}.{s:03d}.{b:03d}.hex"
            if file not in found:
                raise ValueError(f"{file}: missing")
            words += [int(line, 16) for line in found[file].split()]
        if len(words) != depth:
            raise ValueError(f"{MEMORY}/{name}.{s:03d}: {len(words)} words, not {depth}")
        slices.append(np.array(words, np.int64))
    return Memory(name, width, slice_bits, bank, tuple(slices))


def fields(memory: Memory, widths: list[int]) -> list[Array]:
    """The fields of a memory's words, the first at the lowest bits, as unsigned integers."""
    columns: list[Array] = []
    for s, words in enumerate(memory.words):
        width = min(memory.slice, memory.width - s * memory.slice)
        columns.append((words[:, None] >> np.arange(width)) & 1)
    bits = np.concatenate(columns, axis=1)
    found: list[Array] = []
    at = 0
    for width in widths:
        found.append(bits[:, at : at + width] @ (1 << np.arange(width, dtype=np.int64)))
        at += width
    return found


def signed(values: Array, bits: int) -> Array:
    """Two's complement of unsigned integers of `bits`."""
    return values - ((values >> (bits - 1)) << bits)

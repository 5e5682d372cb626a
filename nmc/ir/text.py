"""The readable text form of a graph: `show` and `parse`, and the tensors that are too large for it.

One line a node, an edge, a slice, a note; every attribute is there (`syntax.py` says how values look). A node
is `name = operation fields… loc(…)`, where a neuron's operation is the name of its family; an edge
`src -> dst delay=0`, with `port=name` where the operation has more than one. A `loc` is left out for a node
that comes from no file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from nmc.diagnostics import NOWHERE, CompileError, Diagnostic, Loc, error, nearest
from nmc.ir.graph import Edge, Graph, Layout, Node, Slice
from nmc.ir.neuron import Arithmetic
from nmc.ir.ops import Family, Neuron, Op, parameters
from nmc.ir.syntax import (
    Known,
    Line,
    Names,
    SyntaxFault,
    build,
    is_inline,
    read_fields,
    read_value,
    show_fields,
    show_string,
    show_value,
)
from nmc.ir.tensor import Array, Tensor

FIRST_LINE = "nmc-graph 1"
"""Names the format and its version."""

NAME_LENGTH = 120
"""Of a tensor's name, which becomes a file's: file systems hold 255 bytes."""

_FAMILIES: Mapping[str, type[Neuron]] = {
    family.value: Neuron for family in Family if family is not Family.THRESHOLD
}
_OPERATIONS: Mapping[str, type[Op]] = {
    **{form.__name__.lower(): form for form in get_args(Op) if form is not Neuron},
    **_FAMILIES,
}


# ---- showing ----------------------------------------------------------------------------------------------


def tensors(graph: Graph) -> dict[str, Tensor]:
    """The tensors that the text only names, by name: `<node>.<field>` in letters that file names have."""
    return {name: parameters(graph[node].op)[path] for (node, path), name in _tensor_names(graph).items()}


def _tensor_names(graph: Graph) -> dict[tuple[str, str], str]:
    """Names by node and path; different ones also where a file system does not tell `a` from `A`."""
    names: dict[tuple[str, str], str] = {}
    used: set[str] = set()
    for node in graph.nodes:
        for path, tensor in parameters(node.op).items():
            if is_inline(tensor):
                continue
            stem = re.sub(r"[^A-Za-z0-9_.-]|^[.-]", "_", f"{node.name[:NAME_LENGTH]}.{path}")
            name, count = stem, 2
            while name.lower() in used:
                name, count = f"{stem}~{count}", count + 1
            used.add(name.lower())
            names[node.name, path] = name
    return names


def show(graph: Graph) -> str:
    """The graph as text; with `tensors(graph)`, all of it."""
    arithmetics: dict[Arithmetic, str] = {}
    for node in graph.nodes:
        if isinstance(node.op, Neuron) and node.op.arithmetic is not None:
            arithmetics.setdefault(node.op.arithmetic, f"a{len(arithmetics) + 1}")
    names = Names(arithmetics, _tensor_names(graph))
    lines = [
        FIRST_LINE,
        f"step {show_value(graph.step, names, node='', path='')}",
        f"latency {graph.latency}",
        f"stretch {graph.stretch}",
        " ".join(["facts", *map(show_string, sorted(graph.facts))]),
    ]
    for arithmetic, name in arithmetics.items():
        lines += ["", f"arithmetic {name}", *(f"  {part}" for part in show_fields(arithmetic, names))]
    sections = {
        "nodes": [_show_node(node, names) for node in graph.nodes],
        "edges": [_show_edge(edge) for edge in graph.edges],
        "placement": [
            f"{show_string(part.node)}[{part.start}:{part.stop}] core={part.core}" for part in graph.placement
        ],
        "layouts": [" ".join(show_fields(layout, names)) for layout in graph.layouts],
        "notes": [" ".join(show_fields(note, names)) for note in graph.notes],
    }
    for title, entries in sections.items():
        if entries:
            lines += ["", title, *(f"  {entry}" for entry in entries)]
    return "\n".join(lines) + "\n"


def _show_node(node: Node, names: Names) -> str:
    head = node.op.family.value if isinstance(node.op, Neuron) else type(node.op).__name__.lower()
    parts = [show_string(node.name), "=", head, *show_fields(node.op, names, node=node.name)]
    if node.loc != NOWHERE:
        parts.append(f"loc({' '.join(show_fields(node.loc, names))})")
    return " ".join(parts)


def _show_edge(edge: Edge) -> str:
    port = f" port={show_string(edge.port)}" if edge.port else ""
    return f"{show_string(edge.src)} -> {show_string(edge.dst)} delay={edge.delay}{port}"


# ---- reading ----------------------------------------------------------------------------------------------


def parse(text: str, tensors: Mapping[str, Tensor | Array], *, file: str = "graph.nmc") -> Graph:
    """The graph that `show` gave this text for; `parse(show(g), tensors(g)) == g`.

    `tensors` may be plain arrays: formats come from the text, which also knows their shapes and digests.
    Raises CompileError (NMC140, or NMC141 for a tensor) with every line that is at fault, placed at
    `file:line:column`.
    """
    reader = _Reader(tensors, file)
    for title, entries in _blocks(text):
        reader.read_block(title, entries)
    return reader.graph()


@dataclass(frozen=True, slots=True)
class _Source:
    """A line of the text and its number, counted from 1."""

    number: int
    text: str


def _blocks(text: str) -> list[tuple[_Source, list[_Source]]]:
    """Lines that begin at the margin, each with the indented lines below it."""
    blocks: list[tuple[_Source, list[_Source]]] = []
    for number, content in enumerate(text.split("\n"), 1):
        if content.strip():
            source = _Source(number, content)
            if blocks and content[0].isspace():
                blocks[-1][1].append(source)
            else:
                blocks.append((source, []))
    return blocks


class _Reader:
    """Collects the parts of a graph, and the findings, block by block."""

    def __init__(self, tensors: Mapping[str, Tensor | Array], file: str) -> None:
        self.file = file
        self.findings: list[Diagnostic] = []
        self.seen: set[str] = set()
        self.arithmetics: dict[str, Arithmetic] = {}
        self.known = Known(self.arithmetics, tensors)
        self.step: float | None = None
        self.latency = 0
        self.stretch = 1
        self.facts: set[str] = set()
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.placement: list[Slice] = []
        self.notes: list[Diagnostic] = []
        self.layouts: list[Layout] = []

    def graph(self) -> Graph:
        """What has been read. Raises CompileError if there are findings."""
        for needed in (*_HEADER, "nodes"):
            if needed not in self.seen and not self.findings:
                self.findings.append(error("NMC140", f"the text has no `{needed}`", Loc(self.file)))
        if self.findings:
            raise CompileError(*self.findings)
        return Graph(
            tuple(self.nodes),
            tuple(self.edges),
            self.step,
            self.latency,
            tuple(self.placement),
            frozenset(self.facts),
            tuple(self.notes),
            tuple(self.layouts),
            self.stretch,
        )

    def read_block(self, title: _Source, entries: list[_Source]) -> None:
        """A line at the margin and what belongs to it."""
        sections = {
            "nodes": self._node,
            "edges": self._edge,
            "placement": self._slice,
            "layouts": self._layout,
            "notes": self._note,
        }
        if not self.seen:
            self.seen.add("")
            if title.text.rstrip() != FIRST_LINE:
                self._read(title, _wrong_first_line)
            self._refuse(entries)
            return
        keyword = title.text.split()[0]
        if keyword in sections:
            for entry in entries if self._read(title, self._section) else ():
                self._read(entry, sections[keyword])
        elif keyword == "arithmetic":
            self._arithmetic(title, entries)
        else:
            self._read(title, self._header)
            self._refuse(entries)

    def _read(self, source: _Source, reader: Callable[[Line], None]) -> bool:
        """One whole line by one function; what is wrong with it is a finding, and the outcome False."""
        try:
            line = Line(source.text, self.known)
            reader(line)
            line.finish()
        except SyntaxFault as fault:
            loc = Loc(f"{self.file}:{source.number}:{fault.column}")
            self.findings.append(error(fault.code, fault.message, loc, help=fault.help))
            return False
        return True

    def _refuse(self, entries: list[_Source]) -> None:
        for entry in entries[:1]:
            self._read(entry, _indented)

    def _section(self, line: Line) -> None:
        keyword = line.word("a section")
        if keyword in self.seen:
            raise line.fault(f"`{keyword}` is there twice", back=1)
        self.seen.add(keyword)

    def _header(self, line: Line) -> None:
        keyword = line.word("a section")
        if keyword not in _HEADER:
            known = (*_HEADER, "arithmetic", "nodes", "edges", "placement", "layouts", "notes")
            raise line.fault(f"no section `{keyword}`", help=nearest(keyword, known), back=1)
        if keyword in self.seen:
            raise line.fault(f"`{keyword}` is there twice", back=1)
        self.seen.add(keyword)
        if keyword == "step":
            self.step = read_value(line, float | None)
        elif keyword == "latency":
            self.latency = read_value(line, int)
        elif keyword == "stretch":
            self.stretch = read_value(line, int)
        else:
            while not line.at_end():
                self.facts.add(line.string("a fact"))

    def _arithmetic(self, title: _Source, entries: list[_Source]) -> None:
        values: dict[str, Any] = {}  # Any: each field of an Arithmetic has its own type

        def entry(line: Line) -> None:
            column = line.column
            for name, value in read_fields(line, Arithmetic, until=Line.at_end).items():
                if name in values:
                    raise SyntaxFault(f"`{name}` is there twice", column)
                values[name] = value

        def head(line: Line) -> None:
            line.word("arithmetic")
            name = line.word("a name")
            if name in self.arithmetics:
                raise line.fault(f"the arithmetic `{name}` is there twice", back=1)
            self.arithmetics[name] = build(Arithmetic, values, column=1)

        for source in entries:
            self._read(source, entry)
        self._read(title, head)

    def _node(self, line: Line) -> None:
        name = line.string("a node's name")
        line.expect("=")
        column = line.column
        head = line.word("an operation")
        if head not in _OPERATIONS:
            raise line.fault(f"no operation `{head}`", help=nearest(head, _OPERATIONS), back=1)
        form = _OPERATIONS[head]
        values = read_fields(line, form, until=lambda rest: rest.at_end() or rest.sees_word("loc"))
        op = build(form, values, column=column)
        if isinstance(op, Neuron) and op.family.value != head:
            raise SyntaxFault(f"a neuron with these parts is a `{op.family.value}`, not a `{head}`", column)
        loc = read_value(line, Loc) if line.accept_word("loc") else NOWHERE
        self.nodes.append(Node(name, op, loc))

    def _edge(self, line: Line) -> None:
        column = line.column
        src = line.string("a node's name")
        line.expect("->")
        dst = line.string("a node's name")
        values = read_fields(line, Edge, until=Line.at_end)
        self.edges.append(build(Edge, {"port": "", **values, "src": src, "dst": dst}, column=column))

    def _layout(self, line: Line) -> None:
        column = line.column
        self.layouts.append(build(Layout, read_fields(line, Layout, until=Line.at_end), column=column))

    def _slice(self, line: Line) -> None:
        column = line.column
        node = line.string("a node's name")
        line.expect("[")
        start = read_value(line, int)
        line.expect(":")
        stop = read_value(line, int)
        line.expect("]")
        values = read_fields(line, Slice, until=Line.at_end)
        values |= {"node": node, "start": start, "stop": stop}
        self.placement.append(build(Slice, values, column=column))

    def _note(self, line: Line) -> None:
        column = line.column
        values = read_fields(line, Diagnostic, until=Line.at_end)
        self.notes.append(build(Diagnostic, values, column=column))


_HEADER = ("step", "latency", "stretch", "facts")


def _wrong_first_line(line: Line) -> None:
    raise line.fault(
        f"the first line is not `{FIRST_LINE}`", help="is this the graph of another version of nmc?"
    )


def _indented(line: Line) -> None:
    raise line.fault("an indented line belongs to no section")

"""Shapes, followed from the inputs through the graph, and the operations that they make of the drafts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod

from nmc.diagnostics import Diagnostic, error, note
from nmc.frontend.nir.drafts import Draft, Elementwise, Joined, Sink, Source
from nmc.ir.ops import Flatten, Input, Op, Shape, input_shape, output_shape

Link = tuple[str, str]


@dataclass(slots=True)
class Inference:
    """Drafts and the edges between them; `run` makes operations of them.

    `order` is the order within a step. nir's own inference is not used: it is wrong for windows that are not
    square, for `same` padding with a stride, and for groups.
    """

    drafts: Mapping[str, Draft]
    order: Iterable[str]
    edges: tuple[Link, ...]
    findings: list[Diagnostic]
    ops: dict[str, Op] = field(default_factory=dict[str, Op])
    flattened: dict[Link, Flatten] = field(default_factory=dict[Link, Flatten])
    """Edges on which an image arrives where as many values in one axis are wanted."""

    def run(self) -> dict[str, Op]:
        """The operations of all nodes. Findings: NMC010 shapes that do not fit, NMC012 shapes that nothing tells."""
        before: dict[str, list[str]] = {name: [] for name in self.drafts}
        after: dict[str, list[str]] = {name: [] for name in self.drafts}
        for src, dst in self.edges:
            before[dst].append(src)
            after[src].append(dst)
        left = list(self.order)
        while left:
            known = [name for name in left if self._resolve(name, before[name], after, alone=False)]
            if not known:
                known = [next((n for n in left if self._resolve(n, before[n], after, alone=True)), "")]
            if known == [""]:
                break
            left = [name for name in left if name not in self.ops]
        for name in left:
            self._unknown(name, before[name])
        for link in self.edges:
            self._check(link)
        return self.ops

    def _resolve(self, name: str, before: list[str], after: Mapping[str, list[str]], *, alone: bool) -> bool:
        """Whether the node's operation could be made. `alone`: without knowing what reaches it."""
        draft = self.drafts[name]
        received = next((output_shape(self.ops[src]) for src in before if src in self.ops), None)
        if received is None and before and not alone:
            return False
        if isinstance(draft, Source) and draft.declared is not None:
            received = self._without_leading(name, draft.declared, after)
        if alone and isinstance(draft, Elementwise) and draft.wants is None and draft.own:
            received = draft.own
        op = draft.op(received, self._wanted(after[name]))
        if op is not None:
            self.ops[name] = op
        return op is not None

    def _wanted(self, after: list[str]) -> Shape | None:
        """The shape that the next nodes agree on, if they say one."""
        wants = {
            input_shape(self.ops[each]) if each in self.ops else self.drafts[each].wants for each in after
        } - {None}
        return next(iter(wants)) if len(wants) == 1 else None

    # ---- leading axes of inputs ---------------------------------------------------------------------------

    def _without_leading(self, name: str, declared: Shape, after: Mapping[str, list[str]]) -> Shape:
        """The shape of a sample: without axes of time and batch, where only that fits the next nodes.

        A sample has three axes at most, (channel, y, x), if that fits as well.
        """
        for axes in sorted(range(len(declared)), key=lambda axes: (len(declared) - axes > 3, axes)):
            shape = declared[axes:]
            if all(self._fits(each, shape, after, frozenset()) for each in after[name]):
                if axes:
                    self._strip_note(name, declared, shape)
                return shape
        return declared

    def _fits(self, name: str, shape: Shape, after: Mapping[str, list[str]], seen: frozenset[str]) -> bool:
        """Whether a node takes a shape, and the nodes after it what it makes of it."""
        draft = self.drafts[name]
        if not draft.accepts(shape):
            return False
        if isinstance(draft, Joined):
            flat = draft.reading(shape, self._wanted(after[name]))
            passed = None if flat is None else output_shape(flat)
        else:
            passed = shape if isinstance(draft, Elementwise) and draft.wants is None else None
        if passed is None or name in seen:
            return True
        return all(self._fits(each, passed, after, seen | {name}) for each in after[name])

    def _strip_note(self, name: str, declared: Shape, shape: Shape) -> None:
        fields = self.drafts[name].fields
        message = f"`shape` is {_text(declared)}; leading axes are time or batch: a sample is {_text(shape)}"
        self.findings.append(note("NMC021", message, fields.at("shape")))

    # ---- findings -----------------------------------------------------------------------------------------

    def _unknown(self, name: str, before: list[str]) -> None:
        """A node whose shape nothing tells; not those that only wait for such a node."""
        received = next((output_shape(self.ops[src]) for src in before if src in self.ops), None)
        if received is None and before:
            return
        loc = self.drafts[name].fields.loc
        if isinstance(self.drafts[name], Sink):
            self.findings.append(error("NMC012", f"nothing enters the output `{name}`", loc))
        elif received is None:
            message = f"nothing tells the shape of `{name}`"
            self.findings.append(error("NMC012", message, loc, help="give its `Input` a shape"))
        else:
            message = f"`{name}` cannot take {_text(received)}, which `{before[0]}` gives"
            also = (self.drafts[before[0]].fields.loc,)
            self.findings.append(error("NMC010", message, loc, also=also))

    def _check(self, link: Link) -> None:
        src, dst = link
        if src not in self.ops or dst not in self.ops or isinstance(self.ops[dst], Input):
            return
        given, taken = output_shape(self.ops[src]), input_shape(self.ops[dst])
        place, origin = self.drafts[dst].fields.loc, self.drafts[src].fields.loc
        if given != taken and len(taken) == 1 < len(given) and prod(given) == taken[0]:
            self.flattened[link] = Flatten(given, 0, len(given) - 1)
            message = f"`{src}` gives {_text(given)} and `{dst}` takes {_text(taken)}: flattened in between"
            self.findings.append(note("NMC021", message, place))
        elif given != taken:
            message = f"`{src}` gives {_text(given)}, `{dst}` takes {_text(taken)}"
            self.findings.append(error("NMC010", message, place, also=(origin,)))
        sink = self.drafts[dst]
        if isinstance(sink, Sink) and sink.declared is not None and sink.declared != given:
            self._output(dst, src, sink.declared, given)

    def _output(self, name: str, src: str, declared: Shape, given: Shape) -> None:
        fields = self.drafts[name].fields
        if declared[-len(given) :] == given:
            self._strip_note(name, declared, given)
        elif prod(declared) == prod(given):
            message = f"`shape` is {_text(declared)}; what arrives is {_text(given)}"
            self.findings.append(note("NMC021", message, fields.at("shape")))
        else:
            message = f"`{src}` gives {_text(given)}, the output `{name}` is {_text(declared)}"
            also = (self.drafts[src].fields.loc,)
            self.findings.append(error("NMC010", message, fields.at("shape"), also=also))


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape)) if shape else "a scalar"

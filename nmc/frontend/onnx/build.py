"""From one step in tiles to the graph: nodes, edges, delays, names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from nmc.diagnostics import Diagnostic, Loc, note
from nmc.frontend.onnx.cluster import Cluster, Clusters, program_of, rebased
from nmc.frontend.onnx.fitting import (
    axis_names,
    factor_of,
    features,
    ports_of,
    program_in,
    real,
    reshaped,
    same_step,
)
from nmc.frontend.onnx.lift import Lifted, lift
from nmc.frontend.onnx.moves import Moves
from nmc.frontend.onnx.prove import Proof, prove
from nmc.frontend.onnx.step import Given, Kept, StepNet
from nmc.frontend.onnx.tiles import ConvAttr, Kind, PoolAttr, Tiles, compressed
from nmc.frontend.onnx.values import Axis
from nmc.frontend.onnx.words import equation, kind
from nmc.ir.graph import Graph, Layout, Slots
from nmc.ir.ops import (
    Conv,
    Elementwise,
    Input,
    Linear,
    MatMul,
    Neuron,
    Op,
    Output,
    Pool,
    Scale,
    Shape,
    Signal,
    SignalKind,
    Sparse,
    Transpose,
    output_shape,
)
from nmc.ir.program import Instruction, Program, Scalar
from nmc.ir.tensor import Array, Tensor

_WHO_COULD = (
    "golden runs it; a core that runs software, as those of SpiNNaker2 do, could hold it, "
    "and fixed circuits cannot"
)


@dataclass(frozen=True, slots=True)
class Term:
    """One summand of what enters an operation: a tile, times a constant."""

    tile: int
    factor: Array | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tile is in the graph: a node, how many steps back, and what the node's output is to be scaled by."""

    node: str
    delay: int
    factor: Array | None = None


class Builder(Moves):
    """Makes the graph of a step, from its outputs backwards."""

    def __init__(self, net: StepNet, file: str, axes: Mapping[str, tuple[Axis, ...]]) -> None:
        super().__init__(net.tiles)
        self.net = net
        self.file = file
        self.tiles: Tiles = net.tiles
        self.axes = axes
        self.node_of: dict[int, str] = {}
        self.notes: list[Diagnostic] = list(net.notes)
        self.by_leaf: dict[int, Kept] = {each.leaf: each for each in net.kept}
        self.inputs = {tile: name for name, tile in net.inputs.items()}
        self.places: dict[int, Place] = {}
        self.proofs: list[Proof] = []
        self.neurons = 0
        self.programs = 0
        self.clusters = Clusters(net)
        self.home: dict[int, Cluster] = {}
        self.lifted: dict[int, tuple[Lifted | None, Program, list[int]]] = {}
        self.known: dict[object, Lifted | None] = {}
        self.pending_terms: list[tuple[list[Term], str, str, Shape]] = []
        self.populations: dict[tuple[int, ...], list[tuple[Neuron, str]]] = {}

    def build(self) -> Graph:
        """The graph. Raises Refusal for what has no place in it."""
        taken = [given.name for given in self.net.given] + list(self.net.inputs)
        self.reserved = set(taken)
        self._find_populations()
        for name, tile in self.net.inputs.items():
            shape = features(self.axes[name])
            signal = Signal(shape, SignalKind.REAL)
            self.reserved.discard(name)
            self.places[tile] = Place(self.add(name, Input(signal)), 0)
        for given in self.net.given:
            self._output(given)
        self._emit_pending()
        nodes, edges = self._ordered()
        return Graph(nodes, edges, notes=tuple(self.notes), layouts=tuple(self._layouts()))

    def _layouts(self) -> Iterator[Layout]:
        """How the file has its inputs, outputs and states."""
        for name, axes in self.axes.items():
            if name in self.net.inputs:
                yield Layout(name, axis_names(axes))
        for given in self.net.given:
            yield Layout(given.name, axis_names(given.axes), over_time=given.over_time)
        for kept in self.net.kept:
            variable = self._variable(kept) if kept.leaving else None
            if variable is not None:
                yield Layout(kept.leaving, axis_names(self.axes[kept.entering]), variable, kept.entering)
        for buffer in self.net.buffers:
            found = [self._age(tile) for tile in buffer.slots]
            where = self.places.get(found[0][0])
            if where is not None and where.factor is None and len({base for base, _ in found}) == 1:
                axes = axis_names(self.axes[buffer.entering])
                ages = tuple(where.delay + age for _, age in found)
                sizes = features(self.axes[buffer.entering])
                wide = [axis for axis, size in enumerate(sizes) if size != 1]
                slots = Slots(wide[buffer.axis], ages)
                yield Layout(buffer.leaving, axes, f"{where.node}.out", buffer.entering, slots=slots)

    def _variable(self, kept: Kept) -> str | None:
        """The `node.variable` that a state of the file is; None if nothing of the graph is it."""
        for tile, name in self.node_of.items():
            found = self.lifted[tile][0]
            if all(each is not kept for each in self.home[tile].kept):
                continue
            variable = kept.leaving if found is None else found.variables.get(kept.leaving)
            if variable is not None:
                return f"{name}.{variable}"
        place = self.places.get(kept.next)
        return f"{place.node}.out" if place is not None and place.delay == 0 else None

    def _output(self, given: Given) -> None:
        shape = features(given.axes)
        self.reserved.discard(given.name)
        name = self.unique(given.name)
        self.demand(given.tile, name, "", shape)
        self.add(name, Output(shape), exact=True)

    # ---- populations ------------------------------------------------------------------------------------------

    def _find_populations(self) -> None:
        clusters = self.clusters.find()
        failed: set[int] = set()
        for cluster in clusters:
            main = self._read(cluster)
            if not main:
                failed.add(min(each.leaf for each in cluster.kept))
        if failed:
            self.lifted.clear()
            clusters = self.clusters.find(greedy=frozenset(failed))
            for cluster in clusters:
                self._read(cluster)
        self.home = {tile: cluster for cluster in clusters for tile in cluster.leaving}

    def _read(self, cluster: Cluster) -> bool:
        """Lift what leaves a population; whether one of it is a neuron of a known family."""
        any_lifted = False
        for tile in cluster.leaving:
            program, inputs = self._program(cluster, cluster.kept, tile)
            found: Lifted | None = None
            for kept, output in self._bases(cluster, tile):
                other, entering = self._program(cluster, kept, output)
                found = self._lift(other, entering, kept, self.tiles.shapes[tile])
                if found is not None:
                    program, inputs = other, entering
                    break
            if found is not None and not any(each.leaving for each in cluster.kept):
                found = same_step(found)
            any_lifted = any_lifted or found is not None
            self.lifted[tile] = (found, program, inputs)
        return any_lifted

    def _lift(
        self, program: Program, inputs: Sequence[int], kept: Sequence[Kept], shape: Shape
    ) -> Lifted | None:
        """The neuron that a program is, proved; None if it is none."""
        leaves = [self.tiles.shapes[each.leaf] for each in kept]
        if any(each != shape for each in (*leaves, *(self.tiles.shapes[tile] for tile in inputs))):
            return None
        key = (program, shape, tuple(each.initial.tobytes() for each in kept))
        if key not in self.known:
            initial = [
                np.broadcast_to(e.initial, shape) if e.initial.ndim else np.asarray(e.initial) for e in kept
            ]
            lifted = lift(program, initial, shape)
            proof = None if lifted is None else prove(program, lifted)
            if proof is not None:
                self.proofs.append(proof)
            self.known[key] = None if proof is None else lifted
        return self.known[key]

    def _bases(self, cluster: Cluster, tile: int) -> Iterator[tuple[tuple[Kept, ...], int]]:
        """The population with other states that carry the same: after the reset, or as they are."""
        changed = rebased(self.tiles, cluster, tile)
        if changed is not None:
            yield changed
        yield cluster.kept, tile

    def _program(self, cluster: Cluster, kept: Sequence[Kept], tile: int) -> tuple[Program, list[int]]:
        states = {
            each.leaf: (each.leaving or ("s" if len(kept) == 1 else f"s{number}"), each.next)
            for number, each in enumerate(kept)
        }
        boundary = self._boundary(cluster) | {each.leaf for each in kept}
        needed = self.tiles.cone([tile, *(now for _, now in states.values())], stop=boundary)
        inputs = [
            each
            for each in needed
            if each in boundary and self.tiles.value(each) is None and each not in states
        ]
        names = dict(zip(inputs, ports_of(self.tiles, inputs), strict=True))
        return program_of(self.tiles, states, tile, names), inputs

    def _boundary(self, cluster: Cluster) -> set[int]:
        outside = {
            arg for tile in cluster.members for arg in self.tiles.args[tile] if arg not in cluster.members
        }
        return outside | {each.leaf for each in cluster.kept}

    def _population(self, tile: int) -> Place:
        """Where that is which leaves a population."""
        lifted, program, inputs = self.lifted[tile]
        cluster = self.home[tile]
        key = tuple(sorted(each.leaf for each in cluster.kept))
        shape = self._shape_like(inputs, self.tiles.shapes[tile])
        before = inputs
        if lifted is not None:
            lifted, inputs = self._with_biases(lifted, inputs)
        if lifted is None:
            name = self._elementwise(tile, program, before, [each.initial for each in cluster.kept], shape)
            self.lifted[tile] = (None, program, before)
            self.node_of[tile] = name
            return Place(name, 0)
        neuron = reshaped(lifted.neuron, self.tiles.shapes[tile], shape)
        name = next((name for known, name in self.populations.get(key, ()) if known == neuron), None)
        if name is None:
            name = self.add(self._named(tile), neuron)
            self.populations.setdefault(key, []).append((neuron, name))
            self.node_of[tile] = name
            self._feed(name, inputs, lifted, shape)
            self.neurons += 1
            self.notes.append(note("NMC072", f"lifted: {equation(neuron)}", Loc(self.file, name)))
            if lifted.capped is not None:
                self.notes.append(
                    note(
                        "NMC078",
                        f"the bound of {lifted.capped:g} spikes a step is not modelled",
                        Loc(self.file, name),
                    )
                )
        unit = bool(np.all(np.abs(lifted.amplitude - 1) <= 1e-6))
        return Place(name, 0, None if unit else lifted.amplitude)

    def _with_biases(self, lifted: Lifted, inputs: list[int]) -> tuple[Lifted | None, list[int]]:
        """Constants of the neuron's input as the bias of a layer before it that serves it alone."""
        neuron = lifted.neuron
        own = neuron.membrane.bias
        offset = lifted.offset
        if neuron.synapse is None and own is not None and neuron.fire is not None:
            gain = 1.0 if neuron.membrane.gain is None else neuron.membrane.gain.values
            offset = np.asarray(own.values / gain) if bool(np.all(gain != 0)) else offset
        if not bool(np.any(offset)):
            return lifted, inputs
        for place, (tile, gain) in enumerate(zip(inputs, lifted.gains, strict=True)):
            alone = len(self.clusters.users.get(tile, ())) <= 1 and bool(np.all(gain == 1))
            if alone and self.tiles.ops[tile] in {Kind.LINEAR, Kind.CONV}:
                self.tiles.label = self.tiles.names[tile]
                array = compressed(np.asarray(offset, np.float32))
                folded = self.tiles.scaled(tile, np.ones((), np.float32), array)
                if self.tiles.ops[folded] in {Kind.LINEAR, Kind.CONV}:
                    membrane = (
                        neuron.membrane if neuron.synapse is not None else replace(neuron.membrane, bias=None)
                    )
                    changed = replace(lifted, neuron=replace(neuron, membrane=membrane), offset=np.zeros(()))
                    self.clusters.users[folded] = self.clusters.users.get(tile, [])
                    return changed, [*inputs[:place], folded, *inputs[place + 1 :]]
        return (lifted if neuron.synapse is None else None), inputs

    def _feed(self, name: str, inputs: Sequence[int], lifted: Lifted, shape: Shape) -> None:
        terms: list[Term] = []
        for tile, gain in zip(inputs, lifted.gains, strict=True):
            unit = bool(np.all(np.abs(gain - 1) <= 1e-7))
            terms.append(Term(tile, None if unit else gain))
        self.pending_terms.append((terms, name, "", shape))

    def _elementwise(
        self, tile: int, program: Program, inputs: Sequence[int], initial: Sequence[Array], shape: Shape
    ) -> str:
        op = Elementwise(
            shape,
            program_in(program, shape),
            tuple(real(each, shape) for each in initial),
            self._kind(tile),
        )
        name = self.add(self._named(tile), op)
        for each, port in zip(inputs, program.inputs, strict=True):
            self.demand(each, name, port, shape)
        self.programs += 1
        size = f"{len(program.code)} operation{'s' * (len(program.code) != 1)}"
        if initial:
            what = f"{kind(program)}, kept exactly as the file has it: {size} on {', '.join(program.states)}"
            self.notes.append(note("NMC073", what, Loc(self.file, name), help=_WHO_COULD))
        else:
            what = f"an activation, element by element: {size}"
            self.notes.append(note("NMC074", what, Loc(self.file, name)))
        return name

    def _kind(self, tile: int) -> SignalKind:
        return SignalKind.SPIKE if self.tiles.is_truth(tile) else SignalKind.REAL

    # ---- sources ----------------------------------------------------------------------------------------------

    def place(self, tile: int) -> Place:
        """Where a tile itself is, scaled already; it is made if it is not there yet."""
        place = self._unscaled(tile)
        if place.factor is None:
            return place
        shape = output_shape(self.nodes[place.node])
        scale = self.add(f"{place.node}.scale", Scale(shape, real(place.factor, shape)))
        self.connect(place.node, scale, 0, "")
        self.places[tile] = Place(scale, place.delay)
        return self.places[tile]

    def _unscaled(self, tile: int) -> Place:
        """Where a tile is up to a factor, which may cancel with that of a sum."""
        if tile not in self.places:
            self.places[tile] = self._make(tile)
        return self.places[tile]

    def _make(self, tile: int) -> Place:
        op, attr = self.tiles.ops[tile], self.tiles.attrs[tile]
        if tile in self.by_leaf:
            return self._old(self.by_leaf[tile])
        if tile in self.home:
            return self._population(tile)
        if isinstance(op, Scalar):
            return Place(self._loose(tile), 0)
        if op is Kind.LINEAR and isinstance(attr, tuple):
            return Place(self._linear(tile, attr[0], attr[1]), 0)
        if isinstance(attr, ConvAttr):
            bias = None if attr.bias is None else Tensor(self.tiles.arrays[attr.bias])
            weight = Tensor(self.tiles.arrays[attr.weight])
            conv = Conv(attr.in_shape, weight, bias, attr.stride, attr.padding, attr.dilation, attr.groups)
            return Place(self._layer(tile, conv, attr.in_shape), 0)
        if isinstance(attr, PoolAttr):
            pool = Pool(attr.in_shape, attr.pooling, attr.kernel, attr.stride, attr.padding)
            return Place(self._layer(tile, pool, attr.in_shape), 0)
        if op is Kind.GATHER:
            return Place(self._gather(tile), 0)
        if op is Kind.MATMUL and isinstance(attr, tuple):
            a, b = self.tiles.args[tile]
            name = self.add(self._named(tile), MatMul(attr[0], attr[1]))
            self.demand(a, name, "a", attr[0])
            self.demand(b, name, "b", attr[1])
            return Place(name, 0)
        if op is Kind.CONST:
            return Place(self._constant(tile), 0)
        raise AssertionError(f"a leaf that is not in the step: {op} {attr}")

    def _old(self, kept: Kept) -> Place:
        """A value of the step before: an edge with a delay, and what it is before step 0 if that is not zero."""
        if not kept.initial.any():
            now = self._unscaled(kept.next)
            return Place(now.node, now.delay + 1, now.factor)
        shape = self._shape_like([], self.tiles.shapes[kept.leaf])
        code = (Instruction(Scalar.MUL, (1, 2)), Instruction(Scalar.ADD, (0, 4)))
        constants = (real(kept.initial, shape), Tensor(np.float32(0).reshape(())))
        program = Program(("x",), ("first",), constants, code, 5, (3,))
        op = Elementwise(shape, program, (Tensor(np.float32(1).reshape(())),), SignalKind.REAL)
        name = self.add(self._named(kept.next), op)
        self.pending.append((kept.leaf, name, "old", shape))
        return Place(name, 0)

    def _constant(self, tile: int) -> str:
        array = self.tiles.value(tile)
        assert array is not None
        shape = self.tiles.shapes[tile] or (1,)
        program = Program((), ("s",), (Tensor(array),), (), 1, (0,))
        return self.add(
            self._named(tile), Elementwise(shape, program, (real(np.zeros(()), shape),), SignalKind.REAL)
        )

    def _linear(self, tile: int, weight: int, bias: int | None) -> str:
        (source,) = self.tiles.args[tile]
        matrix = self.tiles.arrays[weight]
        offset = None if bias is None else Tensor(self.tiles.arrays[bias])
        lead = self.tiles.shapes[source][:-1] if matrix.shape[1] > 1 else self.tiles.shapes[source]
        if not lead:
            return self._layer(tile, Linear(Tensor(matrix), offset), (matrix.shape[1],))
        count = prod(lead)
        conv = Conv((matrix.shape[1], count), Tensor(matrix[:, :, None]), offset, (1,), ((0, 0),), (1,), 1)
        name = self.add(self._named(tile), conv)
        turned = self.add(f"{name}.turned", Transpose((count, matrix.shape[1]), (1, 0)))
        self.connect(turned, name, 0, "")
        self.demand(source, turned, "", (count, matrix.shape[1]))
        return self.transposed(name, (1, 0), f"{name}.back")

    def _layer(self, tile: int, op: Op, shape: Shape) -> str:
        name = self.add(self._named(tile), op)
        self.demand(self.tiles.args[tile][0], name, "", shape)
        return name

    # ---- sums -------------------------------------------------------------------------------------------------

    def demand(self, tile: int, name: str, port: str, shape: Shape) -> None:
        """Connect a tile, or the summands it is the sum of, to a port that takes a shape."""
        self.pending.append((tile, name, port, shape))

    def _emit_pending(self) -> None:
        while self.pending or self.pending_terms:
            if self.pending_terms:
                self._demand_terms(*self.pending_terms.pop(0))
                continue
            tile, name, port, shape = self.pending.pop(0)
            if port == "old":
                now = self.place(self.by_leaf[tile].next)
                self.connect(self.shaped(now.node, shape), name, now.delay + 1, "x")
                continue
            terms, offset = self._terms(tile)
            if offset is not None:
                terms = [Term(tile)]
            self._demand_terms(terms, name, port, shape)

    def _terms(self, tile: int) -> tuple[list[Term], Array | None]:
        """A tile as a weighted sum of tiles that have nodes of their own, and a constant (None if it is zero)."""
        if not isinstance(self.tiles.ops[tile], Scalar) or tile in self.home or tile in self.clusters.owner:
            return [Term(tile)], None
        found: dict[int, Array] = {}
        offset = np.zeros(())
        pending: list[tuple[int, Array]] = [(tile, np.ones(()))]
        steps = 0
        while pending:
            each, factor = pending.pop()
            steps += 1
            array = self.tiles.value(each)
            if array is not None:
                offset = offset + factor * array
                continue
            inner = None
            if isinstance(self.tiles.ops[each], Scalar) and each not in self.home and steps < 10_000:
                inner = self._split(each, factor)
            if inner is None:
                found[each] = found.get(each, np.zeros(())) + factor
            else:
                pending += inner
        terms = [
            Term(each, None if bool(np.all(f == 1)) else np.asarray(f)) for each, f in sorted(found.items())
        ]
        return terms, offset if bool(np.any(offset != 0)) else None

    def _split(self, tile: int, factor: Array) -> list[tuple[int, Array]] | None:
        op, args = self.tiles.ops[tile], self.tiles.args[tile]
        match op:
            case Scalar.ADD:
                return [(args[0], factor), (args[1], factor)]
            case Scalar.SUB:
                return [(args[0], factor), (args[1], -factor)]
            case Scalar.NEG:
                return [(args[0], -factor)]
            case Scalar.MUL | Scalar.DIV:
                for own, other in ((0, 1), (1, 0)):
                    array = self.tiles.value(args[other])
                    if array is not None and (op is Scalar.MUL or own == 0):
                        wide = array.astype(np.float64)
                        return [(args[own], factor * wide if op is Scalar.MUL else factor / wide)]
                return None
            case _:
                return None

    def _demand_terms(self, terms: Sequence[Term], name: str, port: str, shape: Shape) -> None:
        for term in self._with_delays(terms, name, port, shape):
            where = self._unscaled(term.tile)
            product = term.factor
            if product is not None and where.factor is not None:
                product = product * where.factor
                product = None if bool(np.all(np.abs(product - 1) <= 1e-6)) else product
            else:
                where = self.place(term.tile)
            node = self.shaped(where.node, shape)
            delay = where.delay
            if product is not None:
                factor = factor_of(product, self.tiles.shapes[term.tile], shape)
                scale = self.add(f"{name}.scale", Scale(shape, factor))
                self.connect(node, scale, delay, "")
                node, delay = scale, 0
            self.connect(node, name, delay, port)

    def _with_delays(self, terms: Sequence[Term], name: str, port: str, shape: Shape) -> list[Term]:
        """The terms left after linear operations on different ages of one value became synapses with delays."""
        groups: dict[int, list[tuple[int, Term]]] = {}
        for term in terms:
            attr = self.tiles.attrs[term.tile]
            plain = (
                term.factor is None and isinstance(attr, tuple) and self.tiles.ops[term.tile] is Kind.LINEAR
            )
            if plain and attr[1] is None and len(self.clusters.users.get(term.tile, ())) <= 1:  # type: ignore[index]
                base, age = self._age(self.tiles.args[term.tile][0])
                if len(self.tiles.shapes[base]) <= 1:
                    groups.setdefault(base, []).append((age, term))
        used: set[int] = set()
        for base, members in groups.items():
            if len({age for age, _ in members}) < 2:
                continue
            used.update(term.tile for _, term in members)
            self._synapses(base, members, name, port, shape)
        return [term for term in terms if term.tile not in used]

    def _age(self, tile: int) -> tuple[int, int]:
        """What a tile is an old value of, and how many steps old."""
        age = 0
        while (
            tile in self.by_leaf and tile not in self.clusters.owner and not self.by_leaf[tile].initial.any()
        ):
            tile = self.by_leaf[tile].next
            age += 1
        return tile, age

    def _synapses(
        self, base: int, members: Sequence[tuple[int, Term]], name: str, port: str, shape: Shape
    ) -> None:
        columns: list[Array] = []
        for age, term in members:
            attr = self.tiles.attrs[term.tile]
            assert isinstance(attr, tuple)
            matrix = self.tiles.arrays[attr[0]]
            post, pre = np.nonzero(matrix)
            columns.append(np.stack([pre, np.full(len(pre), age), post, matrix[post, pre]]))
        table = np.concatenate(columns, axis=1)
        table = table[:, np.lexsort((table[2], table[1], table[0]))]
        size = self.tiles.shapes[base] or (1,)
        pre, delay, post = (row.astype(np.int64) for row in table[:3])
        weight = table[3].astype(np.float32)
        sparse = Sparse(size, shape, Tensor(pre), Tensor(post), Tensor(weight), Tensor(delay))
        node = self.add(self._named(members[0][1].tile), sparse)
        where = self.place(base)
        self.connect(self.shaped(where.node, size), node, where.delay, "")
        self.connect(node, name, 0, port)
        self.notes.append(
            note(
                "NMC075",
                f"{len(weight)} synapses with delays of {int(delay.min())} to {int(delay.max())} steps",
                Loc(self.file, node),
            )
        )

    def _loose(self, tile: int) -> str:
        """An elementwise tile outside the populations: a sum, or an activation."""
        terms, offset = self._terms(tile)
        if offset is None and not (len(terms) == 1 and terms[0].tile == tile):
            shape = self._shape_like([term.tile for term in terms], self.tiles.shapes[tile])
            name = self.add(self._named(tile), Scale(shape, Tensor(np.float32(1).reshape(()))))
            self.pending_terms.append((terms, name, "", shape))
            return name
        inputs: list[int] = []
        members: list[int] = []
        seen: set[int] = set()
        pending = [tile]
        while pending:
            each = pending.pop()
            if each in seen or self.tiles.value(each) is not None:
                continue
            seen.add(each)
            inside = isinstance(self.tiles.ops[each], Scalar) and each not in self.clusters.owner
            if inside and not (
                each != tile and self.tiles.is_truth(each) and len(self.clusters.users[each]) > 1
            ):
                members.append(each)
                pending.extend(self.tiles.args[each])
            else:
                inputs.append(each)
        inputs.sort()
        names = dict(zip(inputs, ports_of(self.tiles, inputs), strict=True))
        program = program_of(self.tiles, {}, tile, names)
        shape = self._shape_like(inputs, self.tiles.shapes[tile])
        return self._elementwise(tile, program, inputs, [], shape)

    # ---- names and shapes -------------------------------------------------------------------------------------

    def _named(self, tile: int) -> str:
        return self.tiles.names[tile] or "value"

    def _shape_like(self, inputs: Sequence[int], shape: Shape) -> Shape:
        """The shape of a population: with the axes of size one of the layer before it, if there is one."""
        for tile in inputs:
            attr = self.tiles.attrs[tile]
            if isinstance(attr, ConvAttr | PoolAttr) and self.tiles.shapes[tile] == shape:
                return self._window_shape(attr)
        return shape or (1,)

    def _window_shape(self, attr: ConvAttr | PoolAttr) -> Shape:
        if isinstance(attr, PoolAttr):
            return output_shape(Pool(attr.in_shape, attr.pooling, attr.kernel, attr.stride, attr.padding))
        weight = Tensor(self.tiles.arrays[attr.weight])
        return output_shape(
            Conv(attr.in_shape, weight, None, attr.stride, attr.padding, attr.dilation, attr.groups)
        )

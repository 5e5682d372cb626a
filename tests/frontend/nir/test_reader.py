import itertools
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmc.frontend.nir import read
from nmc.ir.graph import Edge, Graph
from nmc.ir.ops import (
    Conv,
    DelayLine,
    Family,
    Flatten,
    Input,
    Linear,
    Ode,
    Output,
    Pool,
    Pooling,
    Scale,
    Threshold,
    input_shape,
    output_shape,
)
from nmc.ir.verify import verify
from tests.frontend.nir import files

# ---- every primitive, against the package that defines them -----------------------------------------------


def chain_of(*nodes: nir.NIRNode, shape: tuple[int, ...], out: tuple[int, ...]) -> nir.NIRGraph:
    named = {"input": nir.Input(np.array(shape))}
    named |= {f"n{index}": node for index, node in enumerate(nodes)}
    named["output"] = nir.Output(np.array(out))
    names = list(named)
    return nir.NIRGraph(named, list(itertools.pairwise(names)), type_check=False)


def round_trip(tmp_path: Path, graph: nir.NIRGraph) -> Graph:
    nir.write(tmp_path / "model.nir", graph)
    read_back = read(tmp_path / "model.nir")
    assert verify(read_back) == []
    return read_back


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).random(shape) + 0.1


NEURONS = [
    (nir.I(random(5)), Family.INTEGRATOR),
    (nir.IF(random(5), random(5), random(5)), Family.IF),
    (nir.LI(random(5), random(5), random(5)), Family.LI),
    (nir.LIF(random(5), random(5), random(5), random(5), random(5)), Family.LIF),
    (nir.CubaLI(random(5), random(5), random(5), random(5), random(5)), Family.CUBALI),
    (
        nir.CubaLIF(random(5), random(5), random(5), random(5), random(5), random(5), random(5)),
        Family.CUBALIF,
    ),
]
FIELDS = {"v_threshold": "threshold", "tau": "tau_mem"}


@pytest.mark.parametrize(("node", "family"), NEURONS, ids=lambda each: getattr(each, "value", ""))
def test_read_keeps_every_parameter_of_a_neuron(tmp_path: Path, node: Any, family: Family) -> None:
    op = round_trip(tmp_path, chain_of(node, shape=(5,), out=(5,)))["n0"].op
    assert isinstance(op, Ode)
    assert op.family is family
    for name, value in node.to_dict().items():
        if name not in {"type", "metadata"}:
            tensor = getattr(op, FIELDS.get(name, name))
            assert np.array_equal(np.broadcast_to(tensor.data, (5,)), value), name


def test_read_keeps_weights_scales_thresholds_and_delays(tmp_path: Path) -> None:
    nodes = (
        nir.Affine(random(4, 3), random(4)),
        nir.Scale(random(4)),
        nir.Threshold(random(4)),
        nir.Delay(random(4)),
        nir.Linear(random(2, 4).astype(np.float32)),
    )
    graph = round_trip(tmp_path, chain_of(*nodes, shape=(3,), out=(2,)))
    affine, scale, threshold, delay, linear = (graph[f"n{index}"].op for index in range(5))
    assert isinstance(affine, Linear)
    assert affine.bias is not None
    assert np.array_equal(affine.weight.data, nodes[0].weight)
    assert np.array_equal(affine.bias.data, nodes[0].bias)
    assert isinstance(scale, Scale)
    assert np.array_equal(scale.factor.data, nodes[1].scale)
    assert isinstance(threshold, Threshold)
    assert np.array_equal(threshold.threshold.data, nodes[2].threshold)
    assert isinstance(delay, DelayLine)
    assert np.array_equal(delay.seconds.data, nodes[3].delay)
    assert isinstance(linear, Linear)
    assert linear.bias is None
    assert linear.weight.data.dtype == np.float32
    assert np.array_equal(linear.weight.data, nodes[4].weight)


def test_read_keeps_convolutions_pools_and_flatten(tmp_path: Path) -> None:
    nodes = (
        nir.Conv2d((11, 9), random(6, 1, 3, 2), (2, 1), (1, 0), (1, 2), 2, random(6)),
        nir.SumPool2d(np.array([2, 1]), np.array([2, 1]), np.array([0, 0])),
        nir.AvgPool2d(np.array([3, 3]), np.array([1, 2]), np.array([1, 1])),
        nir.Flatten({"input": np.array([6, 3, 4])}, 0, -1),
        nir.Linear(random(2, 72)),
    )
    graph = round_trip(tmp_path, chain_of(*nodes, shape=(2, 11, 9), out=(2,)))
    conv, sums, means, flat = (graph[f"n{index}"].op for index in range(4))
    assert isinstance(conv, Conv)
    assert (conv.in_shape, conv.stride, conv.dilation, conv.groups) == ((2, 11, 9), (2, 1), (1, 2), 2)
    assert conv.padding == ((1, 1), (0, 0))
    assert np.array_equal(conv.weight.data, nodes[0].weight)
    assert isinstance(sums, Pool)
    assert (sums.pooling, sums.kernel, sums.in_shape) == (Pooling.SUM, (2, 1), (6, 6, 7))
    assert isinstance(means, Pool)
    assert (means.pooling, means.padding, means.stride) == (Pooling.AVERAGE, ((1, 1), (1, 1)), (1, 2))
    assert isinstance(flat, Flatten)
    assert flat.in_shape == (6, 3, 4)
    assert output_shape(flat) == (72,)


def test_read_keeps_a_convolution_in_one_dimension(tmp_path: Path) -> None:
    node = nir.Conv1d(20, random(4, 2, 5), 3, 2, 1, 1, random(4))
    conv = round_trip(tmp_path, chain_of(node, shape=(2, 20), out=(4, 7)))["n0"].op
    assert isinstance(conv, Conv)
    assert (conv.in_shape, conv.stride, conv.padding) == ((2, 20), (3,), ((2, 2),))
    assert output_shape(conv) == (4, 7)


layer_sizes = st.lists(st.integers(1, 6), min_size=2, max_size=5)
KINDS = ("LIF", "IF", "CubaLIF", "LI")


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    sizes=layer_sizes, kinds=st.lists(st.sampled_from(KINDS), min_size=4, max_size=4), seed=st.integers(0, 99)
)
def test_read_gives_what_nir_reads_for_random_networks(
    tmp_path: Path, sizes: list[int], kinds: list[str], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(np.array(sizes[:1]))}
    edges: list[tuple[str, str]] = []
    last = "input"
    for index, (before, size) in enumerate(itertools.pairwise(sizes)):
        p = [rng.random(size) + 0.1 for _ in range(7)]
        neuron = {
            "LIF": lambda p=p: nir.LIF(*p[:5]),
            "IF": lambda p=p: nir.IF(*p[:3]),
            "CubaLIF": lambda p=p: nir.CubaLIF(*p[:7]),
            "LI": lambda p=p: nir.LI(*p[:3]),
        }[kinds[index]]()
        nodes[f"fc{index}"] = nir.Affine(rng.normal(size=(size, before)), rng.normal(size=size))
        nodes[f"n{index}"] = neuron
        edges += [(last, f"fc{index}"), (f"fc{index}", f"n{index}")]
        if rng.random() < 0.5:
            nodes[f"rec{index}"] = nir.Linear(rng.normal(size=(size, size)))
            edges += [(f"n{index}", f"rec{index}"), (f"rec{index}", f"n{index}")]
        last = f"n{index}"
    nodes["output"] = nir.Output(np.array(sizes[-1:]))
    edges.append((last, "output"))
    nir.write(tmp_path / "model.nir", nir.NIRGraph(nodes, edges))
    peer, graph = nir.read(tmp_path / "model.nir"), read(tmp_path / "model.nir")
    assert {node.name for node in graph.nodes} == set(peer.nodes)
    assert {(edge.src, edge.dst) for edge in graph.edges} == set(peer.edges)
    for name, theirs in peer.nodes.items():
        ours = graph[name].op
        if not isinstance(ours, Input):
            assert input_shape(ours) == tuple(theirs.input_type["input"])
        assert output_shape(ours) == tuple(theirs.output_type["output"])
        for field, value in theirs.to_dict().items():
            if isinstance(ours, Ode | Linear) and field not in {"type", "metadata"}:
                tensor = getattr(ours, FIELDS.get(field, field))
                assert np.array_equal(np.broadcast_to(tensor.data, value.shape), value)


# ---- order, names and loops -------------------------------------------------------------------------------


def test_read_orders_nodes_as_they_run(tmp_path: Path) -> None:
    graph = files.read(tmp_path, files.chain(), files.CHAIN)
    assert [node.name for node in graph.nodes] == ["input", "fc", "lif", "output"]
    assert [node.loc.node for node in graph.nodes] == ["input", "fc", "lif", "output"]


def test_read_flattens_nested_graphs_to_qualified_names(tmp_path: Path) -> None:
    inner = files.graph_of(
        {"in": files.input_(2), "lif": files.lif(2), "lin": files.linear(2, 2), "out": files.output(2)},
        [("in", "lif"), ("lif", "lin"), ("lin", "lif"), ("lif", "out")],
    )
    graph = files.read(tmp_path, files.chain(lif=inner), files.CHAIN)
    assert {node.name for node in graph.nodes} == {"input", "fc", "lif.lif", "lif.lin", "output"}
    assert Edge("fc", "lif.lif") in graph.edges
    assert Edge("lif.lif", "output") in graph.edges
    assert [edge for edge in graph.edges if edge.delay] == [Edge("lif.lif", "lif.lin", 1)]
    assert "`lif.lif` -> `lif.lin`" in files.notes(graph)["NMC023"]


def test_read_follows_ports_through_several_levels(tmp_path: Path) -> None:
    inner = files.graph_of(
        {"a": files.input_(2), "lif": files.lif(2), "b": files.output(2)}, [("a", "lif"), ("lif", "b")]
    )
    outer = files.graph_of(
        {"a": files.input_(2), "deep": inner, "b": files.output(2)}, [("a", "deep"), ("deep", "b")]
    )
    graph = files.read(tmp_path, files.chain(lif=outer), files.CHAIN)
    assert [edge.dst for edge in graph.edges] == ["fc", "lif.deep.lif", "output"]


def test_read_adds_ends_where_the_file_has_none(tmp_path: Path) -> None:
    graph = files.read(tmp_path, {"fc": files.affine(2, 3), "lif": files.lif(2)}, [("fc", "lif")])
    assert [type(node.op) for node in graph.nodes] == [Input, Linear, Ode, Output]
    assert output_shape(graph["input"].op) == (3,)
    assert "`fc`" in files.notes(graph)["NMC020"] or "`lif`" in files.notes(graph)["NMC020"]


def test_read_enters_a_loop_without_input_at_its_neuron(tmp_path: Path) -> None:
    nodes = {"a_rec": files.linear(2, 2), "lif": files.lif(2), "output": files.output(2)}
    graph = files.read(tmp_path, nodes, [("a_rec", "lif"), ("lif", "a_rec"), ("lif", "output")])
    assert Edge("input", "lif") in graph.edges


def test_read_takes_a_file_of_a_single_node(tmp_path: Path) -> None:
    nir.write(tmp_path / "model.nir", nir.Affine(np.ones((2, 3)), np.zeros(2)))
    graph = read(tmp_path / "model.nir")
    assert [type(node.op) for node in graph.nodes] == [Input, Linear, Output]


def test_read_counts_a_repeated_edge_once(tmp_path: Path) -> None:
    graph = files.read(tmp_path, files.chain(), [*files.CHAIN, ("fc", "lif")])
    assert graph.edges.count(Edge("fc", "lif")) == 1
    assert "`fc` -> `lif`" in files.notes(graph)["NMC024"]


def test_read_takes_the_step_from_metadata(tmp_path: Path) -> None:
    assert files.read(tmp_path, files.chain(), files.CHAIN, metadata={"dt": 1e-3}).step == 1e-3
    assert files.read(tmp_path, files.chain(), files.CHAIN, metadata={"dt": "soon"}).step is None
    assert files.read(tmp_path, files.chain(), files.CHAIN).step is None


def test_read_assumes_what_early_versions_leave_out(tmp_path: Path) -> None:
    old = {name: value for name, value in files.lif(2).items() if name != "v_reset"}
    graph = files.read(tmp_path, files.chain(lif=old), files.CHAIN, version="0.2.0")
    op = graph["lif"].op
    assert isinstance(op, Ode)
    assert op.v_reset is not None
    assert float(op.v_reset.data) == 0
    assert files.notes(graph)["NMC025"] == "the file (nir 0.2.0) has no `v_reset` for `lif`; it is 0"


def test_read_takes_text_as_bytes_and_of_fixed_length(tmp_path: Path) -> None:
    nodes = files.chain(fc=files.affine(2, 3) | {"type": np.bytes_("Affine")})
    graph = files.read(tmp_path, nodes, np.array(files.CHAIN, dtype="S8"))
    assert isinstance(graph["fc"].op, Linear)


def test_read_takes_integers_for_reals(tmp_path: Path) -> None:
    lif = {name: value for name, value in files.lif(2).items() if name != "v_threshold"}
    graph = files.read(tmp_path, files.chain(lif=lif | {"v_threshold": np.array([1, 2])}), files.CHAIN)
    op = graph["lif"].op
    assert isinstance(op, Ode)
    assert op.threshold is not None
    assert op.threshold.data.dtype == np.float64


def test_read_warns_of_a_field_that_nir_does_not_define(tmp_path: Path) -> None:
    graph = files.read(tmp_path, files.chain(lif=files.lif(2, refractory=3.0)), files.CHAIN)
    assert files.notes(graph)["NMC026"] == "`refractory` is not a field that nmc knows; it is ignored"


# ---- refusals ---------------------------------------------------------------------------------------------


def test_read_refuses_an_unknown_type_and_names_the_nearest(tmp_path: Path) -> None:
    ((code, text),) = files.findings(tmp_path, files.chain(lif={"type": "LIFF"}), files.CHAIN)
    assert code == "NMC004"
    assert "node `lif`" in text
    assert "did you mean `LIF`?" in text


def test_read_names_both_ends_of_an_edge_to_nowhere(tmp_path: Path) -> None:
    ((code, text),) = files.findings(
        tmp_path, files.chain(), [*files.CHAIN, ("fc", "lif2"), ("lif2", "output")]
    )
    assert code == "NMC009"
    assert "`lif2`" in text
    assert "`fc` -> `lif2`, `lif2` -> `output`" in text
    assert "did you mean `lif`?" in text


def test_read_names_the_place_of_a_number_that_is_not_finite(tmp_path: Path) -> None:
    weight = np.ones((2, 3))
    weight[1, 2] = np.nan
    ((code, text),) = files.findings(tmp_path, files.chain(fc=files.affine(2, 3, weight=weight)), files.CHAIN)
    assert code == "NMC007"
    assert "`weight[1, 2]` is nan" in text
    assert "node `fc`, field `weight`" in text


def test_read_counts_further_numbers_that_are_not_finite(tmp_path: Path) -> None:
    lif = files.lif(2, tau=np.array([np.inf, -np.inf]))
    ((code, text),) = files.findings(tmp_path, files.chain(lif=lif), files.CHAIN)
    assert code == "NMC007"
    assert "`tau[0]` is inf" in text
    assert "and 1 more" in text


def test_read_collects_the_findings_of_all_nodes(tmp_path: Path) -> None:
    nodes = files.chain(
        fc={"type": "Affine", "bias": np.zeros(2)}, lif=files.lif(2, tau=np.zeros(2), v_leak="zero")
    )
    codes = {code for code, _ in files.findings(tmp_path, nodes, [*files.CHAIN, ("fc", "nowhere")])}
    assert codes == {"NMC005", "NMC006", "NMC008", "NMC009"}


@pytest.mark.parametrize(
    ("node", "code", "words"),
    [
        (files.conv2d(2, 1, 3, weight=np.ones((2, 1, 3))), "NMC006", "3 axes (2x1x3); 4"),
        (files.conv2d(2, 1, 3, stride=np.array([0, 1])), "NMC008", "`stride` is [0, 1]"),
        (files.conv2d(2, 1, 3, bias=np.zeros(3)), "NMC011", "3 values for 2 channels"),
        (files.conv2d(3, 1, 3, groups=2), "NMC011", "`groups` is 2, which does not divide 3"),
        (files.conv2d(2, 1, 3, padding="full"), "NMC006", "`padding` is `full`"),
        (files.affine(2, 3, bias=np.zeros(4)), "NMC011", "4 values; the weights are 2x3"),
        (files.affine(2, 3, weight=np.ones((2, 2, 3))), "NMC006", "3 axes"),
        (files.affine(2, 3, weight=np.ones((0, 3))), "NMC006", "is empty (0x3)"),
        (files.lif(3, tau=np.ones(2)), "NMC011", "`tau` has the shape (2,)"),
        ({"type": "Delay", "delay": np.array([0.1, -0.1])}, "NMC008", "-0.1"),
        (
            {"type": "SumPool2d", "kernel_size": np.array([1, 2, 3]), "stride": 1, "padding": 0},
            "NMC006",
            "3 numbers",
        ),
    ],
)
def test_read_refuses_a_field_that_cannot_be(
    tmp_path: Path, node: dict[str, Any], code: str, words: str
) -> None:
    nodes = {"input": files.input_(3), "it": node, "output": files.output(3)}
    found = dict(files.findings(tmp_path, nodes, [("input", "it"), ("it", "output")]))
    assert words in found[code]
    assert "node `it`" in found[code]


def test_read_refuses_a_loop_without_neuron(tmp_path: Path) -> None:
    nodes = {
        "input": files.input_(2),
        "a": files.linear(2, 2),
        "b": files.linear(2, 2),
        "output": files.output(2),
    }
    edges = [("input", "a"), ("a", "b"), ("b", "a"), ("b", "output")]
    ((code, text),) = files.findings(tmp_path, nodes, edges)
    assert code == "NMC013"
    assert "`a` -> `b` -> `a`" in text


def test_read_refuses_edges_against_the_direction_of_an_end(tmp_path: Path) -> None:
    codes = [code for code, _ in files.findings(tmp_path, files.chain(), [*files.CHAIN, ("output", "fc")])]
    assert codes == ["NMC015"]


def test_read_refuses_a_subgraph_with_two_inputs(tmp_path: Path) -> None:
    inner = files.graph_of(
        {"a": files.input_(2), "b": files.input_(2), "lif": files.lif(2), "out": files.output(2)},
        [("a", "lif"), ("b", "lif"), ("lif", "out")],
    )
    ((code, text),) = files.findings(tmp_path, files.chain(lif=inner), files.CHAIN)
    assert code == "NMC015"
    assert "`lif.a`, `lif.b`" in text


def test_read_refuses_names_that_collide(tmp_path: Path) -> None:
    inner = files.graph_of({"x": files.lif(2)}, [])
    nodes = files.chain() | {"s": inner, "s.x": files.lif(2)}
    assert "NMC016" in dict(files.findings(tmp_path, nodes, files.CHAIN))


def test_read_refuses_an_empty_graph(tmp_path: Path) -> None:
    assert [code for code, _ in files.findings(tmp_path, {}, [])] == ["NMC014"]


# ---- files of others --------------------------------------------------------------------------------------

READABLE = (
    "wild/nir/cnn_sinabs.nir",
    "wild/nir/feedback_graph.nir",
    "wild/nir/lif_rockpool.nir",
    "wild/nir/nested_braille_zero.nir",
    "wild/nir/old_norse_braille.nir",
    "wild/nir/old_scnn_mnist.nir",
    "wild/nir/two_lif_neurons.nir",
    "golden/chips/braille_noDelay_bias_zero.nir",
    "golden/chips/lif_norse.nir",
    "mnist/model.nir",
    "corpus/nir_delay_dcls_a/model.nir",
    "corpus/nir_norse_lifbox/model.nir",
    "corpus/nir_sinabs_lif/model.nir",
    "corpus/nir_sj_conv/model.nir",
    "corpus/nir_snn_mlp/model.nir",
)


@pytest.mark.parametrize("name", READABLE)
def test_read_takes_a_file_from_the_wild(shared: Path, name: str) -> None:
    graph = read(shared / name)
    assert all(found.severity.value != "error" for found in verify(graph))


def test_read_names_the_missing_node_of_the_broken_file(shared: Path) -> None:
    with pytest.raises(Exception, match="there is no node `lif` in `lif1`") as refused:
        read(shared / "wild/nir/broken_edge_to_missing_node.nir")
    assert "did you mean `lif1`?" in str(refused.value)
    assert "`lin` -> `lif`" in str(refused.value)


def test_read_finds_one_delay_in_the_feedback_graph(shared: Path) -> None:
    graph = read(shared / "wild/nir/feedback_graph.nir")
    assert [edge for edge in graph.edges if edge.delay] == [Edge("state", "feedback_weights", 1)]


def test_read_takes_off_the_axes_of_time_and_batch(shared: Path) -> None:
    sinabs = read(shared / "corpus/nir_sinabs_lif/model.nir")
    assert output_shape(sinabs["input"].op) == (64,)
    assert output_shape(sinabs["output"].op) == (10,)
    assert output_shape(read(shared / "wild/nir/lif_rockpool.nir")["output"].op) == (1,)

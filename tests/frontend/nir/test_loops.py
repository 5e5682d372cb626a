import itertools

from nmc.frontend.nir.loops import delayed_edges, order_within_step

NEURONS = frozenset("ABC")


def delayed(edges: list[tuple[str, str]], inputs: tuple[str, ...] = ("in",)) -> set[tuple[str, str]]:
    nodes = list(dict.fromkeys(name for edge in edges for name in edge))
    found, hopeless = delayed_edges(nodes, edges, inputs=inputs, stateful=NEURONS)
    assert hopeless == []
    order = order_within_step(nodes, edges, found)
    rank = {name: index for index, name in enumerate(order)}
    assert all(rank[src] < rank[dst] for src, dst in edges if (src, dst) not in found)
    return set(found)


def test_delayed_edges_are_none_without_a_loop() -> None:
    assert delayed([("in", "w"), ("w", "A"), ("A", "out"), ("in", "A")]) == set()


def test_delayed_edges_leave_the_neuron_of_a_recurrent_layer() -> None:
    assert delayed([("in", "A"), ("A", "w"), ("w", "A"), ("A", "out")]) == {("A", "w")}


def test_delayed_edges_hold_a_loop_of_a_neuron_with_itself() -> None:
    assert delayed([("in", "A"), ("A", "A"), ("A", "out")]) == {("A", "A")}


def test_delayed_edges_close_a_loop_through_two_neurons_once_on_the_way_back() -> None:
    edges = [("in", "A"), ("A", "w"), ("w", "B"), ("B", "u"), ("u", "A"), ("B", "out")]
    assert delayed(edges) == {("B", "u")}
    assert delayed(edges[::-1]) == {("B", "u")}


def test_delayed_edges_break_nested_loops() -> None:
    edges = [
        ("in", "A"),
        ("A", "w"),
        ("w", "B"),
        ("B", "u"),
        ("u", "A"),
        ("B", "r"),
        ("r", "B"),
        ("B", "out"),
    ]
    assert delayed(edges) == {("B", "u"), ("B", "r")}


def test_delayed_edges_break_a_loop_that_shares_a_way_with_another_once() -> None:
    edges = [("in", "A"), ("A", "B"), ("B", "C"), ("C", "A"), ("C", "B")]
    assert delayed(edges) == {("C", "A"), ("C", "B")}


def test_delayed_edges_find_a_loop_that_no_input_reaches() -> None:
    assert delayed([("in", "out"), ("A", "w"), ("w", "A")]) == {("A", "w")}


def test_delayed_edges_are_as_few_as_the_loops_of_a_ring_need() -> None:
    ring = [("in", "A"), ("A", "B"), ("B", "A"), ("B", "C"), ("C", "B"), ("C", "out")]
    assert delayed(ring) == {("B", "A"), ("C", "B")}


def test_delayed_edges_report_a_loop_without_state() -> None:
    edges = [("in", "x"), ("x", "y"), ("y", "x"), ("y", "out")]
    found, hopeless = delayed_edges(["in", "x", "y", "out"], edges, inputs=["in"], stateful=NEURONS)
    assert found == {}
    assert hopeless == [["x", "y"]]


def test_delayed_edges_follow_a_chain_of_thousands() -> None:
    names = [f"n{index}" for index in range(5000)]
    edges = [*itertools.pairwise(names), (names[-1], names[0])]
    found, _ = delayed_edges(names, edges, inputs=[], stateful=frozenset(names))
    assert set(found) == {(names[-1], names[0])}


def test_order_within_step_keeps_the_order_of_the_file_for_ties() -> None:
    assert order_within_step(["c", "b", "a"], [("a", "b")], []) == ["c", "a", "b"]

"""The text form: golden texts, the round trip over random graphs, and errors with line and column."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmc.diagnostics import CompileError, Diagnostic, Loc, error, note, warning
from nmc.ir.graph import Edge, Graph, Node, Slice, replace_graph
from nmc.ir.neuron import Arithmetic
from nmc.ir.ops import Elementwise, Scale, SignalKind
from nmc.ir.program import Instruction, Program, Scalar
from nmc.ir.tensor import FixedPoint, Tensor
from nmc.ir.text import parse, show, tensors
from tests.nets import ARITHMETIC, chain, feed_forward, integer_feed_forward, lif, linear, spikes
from tests.strategies import continuous_graphs, integer_graphs, program_graphs, real_graphs

REAL_TEXT = """\
nmc-graph 1
step 0.001
latency 0
stretch 1
facts discrete

nodes
  input = input signal([4] kind=spike number=none) loc(file=model.nir node=input field=none)
  fc1 = linear weight=@fc1.weight:f64[3, 4]#b1b70fdec3f2 bias=[0.5, -0.25, 1e-09] accumulator=none \
loc(file=model.nir node=fc1 field=none)
  lif1 = lif [3] synapse=none membrane(decay=0.9 gain=none bias=none minimum=none initial=0.0) \
fire(threshold=1.0 comparison=above spike_from=new reset=to_value when=same_step value=0.0 refractory=0) \
arithmetic=none exponent=0 clock=none loc(file=model.nir node=lif1 field=none)
  output = output [3] loc(file=model.nir node=output field=none)

edges
  input -> fc1 delay=0
  fc1 -> lif1 delay=0
  lif1 -> output delay=0
  lif1 -> lif1 delay=1

notes
  code=NMC151 severity=note message="dt = 0.001 s, as the `norse` preset says" \
loc(file=model.nir node=none field=none) help="" also=[] excess=none
"""

INTEGER_TEXT = """\
nmc-graph 1
step none
latency 3
stretch 1
facts placed quantized

arithmetic a1
  v_bits=16
  i_bits=16
  decay_form=multiply
  decay_bits=8
  rounding=to_zero
  v_overflow=saturate
  i_overflow=wrap
  comparisons=[above]
  resets=[[to_value, same_step]]
  threshold_bits=10
  threshold_shift=2
  input_shift=0
  bias_bits=6
  bias_shift=3
  leak_after=false
  minimum=false
  refractory=0
  heterogeneous=[]
  v_decays=none
  i_decays=none
  clocked=false

nodes
  input = input signal([4] kind=spike number=none) loc(file=model.nir node=input field=none)
  fc1 = linear weight=@fc1.weight:s8e-6[3, 4]#cdb294b35a21 bias=none \
accumulator(number=s12e-6 rounding=floor overflow=proved_absent) loc(file=model.nir node=fc1 field=none)
  lif1 = lif [3] synapse=none membrane(decay=230:u9e-8 gain=none bias=none minimum=none initial=0:s12e-6) \
fire(threshold=16:u10e-4 comparison=above spike_from=new reset=to_value when=same_step value=0:s12e-6 \
refractory=0) arithmetic=a1 exponent=-6 clock=none loc(file=model.nir node=lif1 field=none)
  output = output [3] loc(file=model.nir node=output field=none)

edges
  input -> fc1 delay=0
  fc1 -> lif1 delay=0
  lif1 -> output delay=0

placement
  lif1[0:2] core=0
  lif1[2:3] core=1
"""


def real_graph() -> Graph:
    biased = replace(linear(3, 4), bias=Tensor([0.5, -0.25, 1e-9]))
    graph = chain(input=spikes(4), fc1=biased, lif1=lif(3))
    said = note("NMC151", "dt = 0.001 s, as the `norse` preset says", Loc("model.nir"))
    edges = (*graph.edges, Edge("lif1", "lif1", 1))
    return replace_graph(graph, edges=edges, step=1e-3, facts=frozenset({"discrete"}), notes=(said,))


def integer_graph() -> Graph:
    placement = (Slice("lif1", 0, 2, 0), Slice("lif1", 2, 3, 1))
    facts = frozenset({"quantized", "placed"})
    return replace_graph(integer_feed_forward(), latency=3, placement=placement, facts=facts)


def findings(text: str, graph: Graph) -> tuple[Diagnostic, ...]:
    with pytest.raises(CompileError) as raised:
        parse(text, tensors(graph), file="g.nmc")
    return raised.value.findings


# ---- show -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("graph", "text"), [(real_graph(), REAL_TEXT), (integer_graph(), INTEGER_TEXT)], ids=["real", "integer"]
)
def test_show_writes_every_attribute(graph: Graph, text: str) -> None:
    assert show(graph) == text


def test_show_defines_each_arithmetic_once() -> None:
    graph = integer_feed_forward()
    other = replace(ARITHMETIC, v_bits=24)
    neurons = [replace(graph["lif1"].op, arithmetic=each) for each in (ARITHMETIC, other, ARITHMETIC)]  # pyright: ignore[reportCallIssue]
    text = show(chain(input=spikes(3), a=neurons[0], b=neurons[1], c=neurons[2]))
    assert [line for line in text.splitlines() if line.startswith("arithmetic")] == [
        "arithmetic a1",
        "arithmetic a2",
    ]
    assert [line.split("arithmetic=")[1][:2] for line in text.splitlines() if "arithmetic=" in line] == [
        "a1",
        "a2",
        "a1",
    ]


def test_show_names_every_field_of_an_arithmetic() -> None:
    text = show(integer_graph())
    assert all(f"\n  {each.name}=" in text for each in fields(Arithmetic))


SMALL = {
    "0.1": Tensor(0.1),
    "-0.0": Tensor(-0.0),
    "5e-324": Tensor(5e-324),
    "0.1:f32": Tensor(np.float32(0.1)),
    "3": Tensor(3),
    "[[1.0, 2.0]]": Tensor([[1.0, 2.0]]),
    "[[[-3]], [[3]]]:s3e2": Tensor([[[-3]], [[3]]], FixedPoint(3, True, 2)),
    "[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]": Tensor(np.arange(8.0)),
}
LARGE = {
    "nine elements": Tensor(np.arange(9.0)),
    "none": Tensor(np.zeros((0, 3))),
    "not finite": Tensor([np.nan, np.inf]),
}


@pytest.mark.parametrize(("text", "tensor"), SMALL.items(), ids=list(SMALL))
def test_show_writes_small_tensors_whole(text: str, tensor: Tensor) -> None:
    graph = chain(input=spikes(2), scale=Scale((2,), tensor))
    assert f"factor={text} loc" in show(graph)
    assert tensors(graph) == {}
    assert parse(show(graph), {}) == graph


@pytest.mark.parametrize("tensor", LARGE.values(), ids=list(LARGE))
def test_show_names_other_tensors(tensor: Tensor) -> None:
    graph = chain(input=spikes(2), scale=Scale((2,), tensor))
    reference = f"@scale.factor:f64{list(tensor.shape)}#{tensor.digest()[:12]}"
    assert f"factor={reference} loc" in show(graph)
    assert tensors(graph) == {"scale.factor": tensor}
    assert parse(show(graph), tensors(graph)) == graph


def test_show_writes_programs_instruction_by_instruction() -> None:
    constants = (Tensor(np.arange(9.0)), Tensor(0.5))
    code = (Instruction(Scalar.ADD, (0, 1)), Instruction(Scalar.ABOVE, (4, 3)))
    program = Program(("",), ("v",), constants, code, 5, (4,))
    graph = chain(x=spikes(9), p=Elementwise((9,), program, (Tensor(0.0),), SignalKind.SPIKE))
    shown = next(line for line in show(graph).splitlines() if line.startswith("  p ="))
    assert shown == (
        '  p = elementwise [9] program(inputs=[""] states=[v] '
        f"constants=[@p.program.constants.0:f64[9]#{constants[0].digest()[:12]}, 0.5] "
        "code=[(op=add args=[0, 1]), (op=above args=[4, 3])] output=5 next=[4]) initial=[0.0] kind=spike "
        "loc(file=model.nir node=p field=none)"
    )
    assert parse(show(graph), tensors(graph)) == graph


def test_tensors_have_names_that_files_can_have_and_that_differ_without_case() -> None:
    names = ["net/fc.1", "net_fc.1", "NET_fc.1", "..", "größe", "x" * 300]
    nodes = [Node(name, linear(3, 4)) for name in names]
    graph = Graph(tuple(nodes), ())
    assert list(tensors(graph)) == [
        "net_fc.1.weight",
        "net_fc.1.weight~2",
        "NET_fc.1.weight~3",
        "_..weight",
        "gr__e.weight",
        "x" * 120 + ".weight",
    ]
    assert parse(show(graph), tensors(graph)) == graph


# ---- round trip -------------------------------------------------------------------------------------------


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(real_graphs(), integer_graphs(), continuous_graphs(), program_graphs()))
def test_parse_gives_back_what_show_was_given(graph: Graph) -> None:
    assert parse(show(graph), tensors(graph)) == graph


@given(real_graphs())
def test_parse_takes_plain_arrays(graph: Graph) -> None:
    arrays = {name: np.array(tensor.data) for name, tensor in tensors(graph).items()}
    assert parse(show(graph), arrays) == graph


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
)
def test_parse_gives_back_every_bit_of_a_real(double: float, single: float) -> None:
    graph = chain(input=spikes(2), a=Scale((2,), Tensor(double)), b=Scale((2,), Tensor(np.float32(single))))
    assert parse(show(graph), {}) == graph


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)


@given(
    st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=4, max_size=4, unique=True),
    TEXTS,
    TEXTS,
)
def test_parse_gives_back_any_names_and_texts(names: list[str], message: str, place: str) -> None:
    plain = feed_forward()
    kept = plain.nodes[:4]
    renamed = dict(zip((node.name for node in kept), names, strict=True))
    nodes = tuple(replace(node, name=renamed[node.name], loc=Loc(place, message, None)) for node in kept)
    edges = tuple(
        Edge(renamed[edge.src], renamed[edge.dst], port=message)
        for edge in plain.edges
        if edge.dst in renamed
    )
    notes = (
        note("NMC151", message, Loc(place)),
        error("NMC100", message, Loc("a", "b", place), help=place, also=(Loc(place), Loc("x", message))),
        warning("NMC108", "", Loc("", "none", "true")),
    )
    placement = (Slice(names[2], 0, 3, 0),)
    graph = Graph(nodes, edges, 0.1, 2, placement, frozenset({"a fact", message or "b"}), notes)
    assert parse(show(graph), tensors(graph)) == graph


def test_parse_takes_the_line_ends_of_other_systems() -> None:
    graph = real_graph()
    assert parse(show(graph).replace("\n", "\r\n"), tensors(graph)) == graph


# ---- errors -----------------------------------------------------------------------------------------------


def marked(text: str, old: str, new: str) -> tuple[str, str]:
    """The text with `new`, less its mark, for `old`; and the line and column of the mark."""
    assert old in text and new.count("|") == 1
    head, tail = text.replace(old, new, 1).split("|")
    return head + tail, f"{head.count(chr(10)) + 1}:{len(head) - head.rfind(chr(10))}"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("nmc-graph 1", "|nmc-graph 2", "the first line is not `nmc-graph 1`"),
        ("step 0.001", "step |fast", "`fast` is no float"),
        ("step 0.001", "step 0.001 |s", "`s` is too much"),
        ("step 0.001", "step 0.001\n  |0.002", "an indented line belongs to no section"),
        ("latency 0", "|step none", "`step` is there twice"),
        ("stretch 1", "stretch |slow", "`slow` is no int"),
        ("latency 0", "|latenc 0", "no section `latenc`"),
        ("latency 0", "\nlatency |(", "expected a value, found `(`"),
        ("\nedges", "\n|nodes", "`nodes` is there twice"),
        ("fc1 = linear", "fc1 = |linera", "no operation `linera`"),
        ("fc1 = linear", "fc1 |linear", "expected `=`, found `linear`"),
        ("bias=[0.5", "|bios=[0.5", "`linear` has no field `bios`"),
        ("accumulator=none", "|bias=none", "`bias` is there twice"),
        ("[0.5, -0.25, 1e-09]", "|[0.5, [-0.25]]", "inhomogeneous"),
        ("[0.5, -0.25, 1e-09]", "[0.5, |x]", "`x` is no number"),
        ("[0.5, -0.25, 1e-09]", "[0.5 |0.25]", "expected `]`, found `0.25`"),
        ("[0.5, -0.25, 1e-09]", "[0.5]:|i64", "`i64` needs integers"),
        ("[0.5, -0.25, 1e-09]", "|[300]:s8e0", "mantissas 300 to 300 do not fit 8 signed bits"),
        ("[0.5, -0.25, 1e-09]", "[3]:|s99e0", "99 bits; 1 to 63 are possible"),
        ("[0.5, -0.25, 1e-09]", "[3]:|q8e0", "`q8e0` is no number format"),
        ("[0.5, -0.25, 1e-09]", f"|[{2**70}]", "too large"),
        ("comparison=above", "comparison=|abvoe", "`abvoe` is no Comparison"),
        ("lif1 = lif", "lif1 = |li", "a neuron with these parts is a `lif`, not a `li`"),
        ("exponent=0", "exponent=|zero", "`zero` is no int"),
        ("arithmetic=none", "arithmetic=|a1", "no arithmetic `a1` before this line"),
        ("kind=spike", "kind |spike", "expected `=`, found `spike`"),
        ("number=none) loc", "number=none |loc", "`signal` has no field `loc`"),
        ("membrane(decay=0.9 ", "membrane|(", "`membrane` lacks `decay`"),
        ("input -> fc1", "input |= fc1", "expected `->`, found `=`"),
        ("  fc1 -> lif1 delay=0", "  |fc1 -> lif1", "`edge` lacks `delay`"),
        ("lif1 -> lif1 delay=1", "lif1 -> lif1 delay=|1.5", "`1.5` is no int"),
        ("lif1 -> lif1 delay=1", "lif1 -> lif1 port=a delay=1 |port=b", "`port` is there twice"),
        ('"dt = ', '|"dt \\q= ', "the string is malformed"),
        ("also=[]", "also=[|;]", "`;` means nothing here"),
        ("also=[] excess=none", "also=[|", "expected `(`, found `end of line`"),
    ],
)
def test_parse_names_line_and_column(old: str, new: str, message: str) -> None:
    text, place = marked(REAL_TEXT, old, new)
    (finding,) = findings(text, real_graph())
    assert message in finding.message
    assert (finding.code, str(finding.loc)) == ("NMC140", f"g.nmc:{place}")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("arithmetic a1\n  v_bits=16\n", "|arithmetic a1\n", "`arithmetic` lacks `v_bits`"),
        ("  i_bits=16", "  |v_bits=16", "`v_bits` is there twice"),
        ("resets=[[to_value, same_step]]", "resets=[|[to_value]]", "1 entries where 2 are needed"),
        ("arithmetic a1", "arithmetic a1 |a2", "`a2` is too much"),
        ("lif1[0:2]", "lif1[|0-2]", "`0-2` is no int"),
        ("  lif1[2:3] core=1", "  |lif1[2:3]", "`slice` lacks `core`"),
        ("resets", "|restes", "`arithmetic` has no field `restes`"),
    ],
)
def test_parse_names_line_and_column_in_arithmetics_and_slices(old: str, new: str, message: str) -> None:
    text, place = marked(INTEGER_TEXT, old, new)
    found = {str(finding.loc): finding for finding in findings(text, integer_graph())}
    assert message in found[f"g.nmc:{place}"].message


def test_parse_names_every_line_at_fault() -> None:
    text = REAL_TEXT.replace("fc1 = linear", "fc1 = linera").replace("exponent=0", "exponent=o")
    assert [str(finding.loc) for finding in findings(text, real_graph())] == ["g.nmc:9:9", "g.nmc:10:226"]


def test_parse_suggests_the_nearest_word() -> None:
    (finding,) = findings(REAL_TEXT.replace("membrane(decay", "membrane(decoy"), real_graph())
    assert finding.help == "did you mean `decay`?"


def test_parse_refuses_a_text_without_its_sections() -> None:
    (finding,) = findings("nmc-graph 1\nstep none\nlatency 0\nstretch 1\n", real_graph())
    assert finding.message == "the text has no `facts`"
    (finding,) = findings("", real_graph())
    assert finding.code == "NMC140"


def test_parse_refuses_tensors_that_are_not_those_of_the_text() -> None:
    graph = real_graph()
    wanted = tensors(graph)["fc1.weight"]
    others = {
        "there is no tensor `fc1.weight`": {},
        "f64[4, 3]#": {"fc1.weight": Tensor(wanted.data.reshape(4, 3))},
        "f32[3, 4]#": {"fc1.weight": Tensor(wanted.data.astype(np.float32))},
        "f64[3, 4]#": {"fc1.weight": Tensor(wanted.values + 1e-12)},
    }
    for message, held in others.items():
        with pytest.raises(CompileError) as raised:
            parse(REAL_TEXT, held)
        (finding,) = raised.value.findings
        assert finding.code == "NMC141"
        assert str(finding.loc) == "graph.nmc:9:24"
        assert message in finding.message


def test_parse_refuses_an_array_that_the_number_of_the_text_cannot_hold() -> None:
    with pytest.raises(CompileError) as raised:
        parse(INTEGER_TEXT, {"fc1.weight": np.full((3, 4), 300)})
    assert "mantissas 300 to 300 do not fit" in raised.value.findings[0].message

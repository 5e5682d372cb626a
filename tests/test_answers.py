"""Answers: text that a person reads, and a document that says the same."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from nmc import answers
from nmc.backends.backend import Setting
from nmc.diagnostics import Loc, error
from nmc.engines import Network, Tool, Verification
from nmc.errors import Entry
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.ops import Input, Output, Signal, SignalKind
from nmc.sim.compare import Divergence
from nmc.sim.trace import Energy, SimResult
from tests.toy import TOY

GRAPH = Graph(
    (Node("in", Input(Signal((3,), SignalKind.SPIKE))), Node("out", Output((3,)))), (Edge("in", "out"),)
)
RESULT = SimResult("machine", {"out": np.zeros((4, 2, 3), np.uint8)})


def test_as_json_puts_the_schema_first() -> None:
    assert list(json.loads(answers.as_json("verify", {"agree": True}))) == ["schema", "agree"]


def test_finding_has_code_place_message_and_help() -> None:
    found = error(
        "NMC012", "a delay of 80 steps", Loc("net.nir", "d1", "delay"), help="use 63", also=(Loc("x"),)
    )
    assert answers.finding(found) == {
        "code": "NMC012",
        "severity": "error",
        "message": "a delay of 80 steps",
        "file": "net.nir",
        "node": "d1",
        "field": "delay",
        "help": "use 63",
        "also": [{"file": "x", "node": None, "field": None}],
    }


@pytest.mark.parametrize(
    ("joules", "shown"),
    [
        (2.0, "energy: 2 J, 1 J"),
        (3e-3, "energy: 3 mJ, 1.5 mJ"),
        (0.0, "energy: 0 J, 0 J"),
        (1e-15, "1e-15 J"),
    ],
)
def test_simulated_shows_energy_with_a_prefix(joules: float, shown: str) -> None:
    result = replace(RESULT, energy=Energy(joules, "modelled from nothing"))
    answer = answers.simulated(result, Network(GRAPH), right=None, output=None)
    assert shown in answer.text
    assert "modelled from nothing" in answer.text
    assert answer.document["energy_joules"] == joules


def test_simulated_leaves_out_what_an_engine_does_not_know() -> None:
    answer = answers.simulated(RESULT, Network(GRAPH), right=(1, 2), output=None)
    assert answer.text == "machine: 4 steps of 2 samples\n\naccuracy: 50.00 % (1 of 2)"
    assert answer.document["seconds"] is None


def test_verified_groups_variables_by_how_many_populations_they_are_of() -> None:
    names = ("a.spikes", "a.v", "b.spikes", "b.v", "b.i", "out")
    done = Verification(
        ("golden", "machine"), None, {"machine": names}, {"machine": None}, {"machine": None}, 8, 1, ()
    )
    text = answers.verified(done).text
    assert text.startswith("golden = machine in all 8 steps of 1 sample\n")
    assert "out; spikes, v of 2 populations; i of 1 population" in text


def test_verified_names_the_engine_that_diverges() -> None:
    where = Divergence(3, 0, "lif1", 7, "v", 12.0, 13.0)
    done = Verification(
        ("golden", "machine"), where, {"machine": ()}, {"machine": 1e-6}, {"machine": None}, 8, 1, ()
    )
    answer = answers.verified(done)
    assert answer.text.startswith(f"golden and machine diverge: {where}\n")
    assert answer.document["divergence"] == {
        "engine": "machine",
        "step": 3,
        "sample": 0,
        "node": "lif1",
        "neuron": 7,
        "variable": "v",
        "expected": 12.0,
        "got": 13.0,
    }


def test_target_writes_whole_numbers_in_a_row_as_a_range() -> None:
    settings = (
        Setting("bits", "8", tuple(map(str, range(2, 9))), "bits"),
        Setting("gaps", "1", ("1", "3", "9"), "gaps"),
        Setting("free", "", (), "anything"),
    )
    text = answers.target(replace(TOY, settings=settings)).text
    assert "2..8" in text
    assert "1, 3, 9" in text
    assert "any " in text


def test_tools_says_how_to_install_what_is_missing() -> None:
    found = [
        Tool("a", ("x",), None, True),
        Tool("b", ("x", "y"), "not here", True),
        Tool("c", ("y",), "gone", False),
    ]
    text = answers.tools(found).text
    assert "b: not here\n  nmc tools install b" in text
    assert text.endswith("c: gone")


def test_explained_wraps_what_a_person_reads() -> None:
    answer = answers.explained("NMC001", Entry("a title", "word " * 60, "one line\nanother"))
    assert max(map(len, answer.text.splitlines())) <= 100
    assert answer.text.endswith("example:\n  one line\n  another")

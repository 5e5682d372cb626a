"""Writes docs/frontends/onnx.md: which exports are read as what, from the corpus and the refusals that the tests run.

Run from the checkout: python -m docs.frontends.make_onnx_table ../shared/corpus
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from nmc.diagnostics import CompileError
from nmc.frontend.onnx import load
from nmc.frontend.onnx.words import equation, kind
from nmc.ir.ops import Elementwise, Neuron

HEAD = """# ONNX

Made by `docs/frontends/make_onnx_table.py` from the corpus that `tests/frontend/onnx/test_corpus.py` compares
with the frameworks' own outputs: spikes at every step, states within 1e-5, whole test sets. The last column is what
`tests/frontend/onnx/test_loihi.py` compiles and compares.

| framework | version | exporter | form | neuron | opset | read as | Loihi |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""

GIVEN = """
## What a file may hold

One step with its states as inputs and outputs; all steps, unrolled, in a `Loop` or a `Scan`, or with layers over
steps and samples at once; or steps over one image that has no time. Of all steps a file may give each, the last, the
sum, the mean, the largest or the smallest: `nmc simulate` writes what the file gives, and the graph has each step.
`tests/frontend/onnx/test_exports.py` holds such networks in plain PyTorch and compares each with PyTorch.
"""

REFUSED = """
## Refused, with the way out

| what | code |
| --- | --- |
"""

REFUSALS = (
    ("a single step of a module that keeps its state to itself: the state is lost", "NMC057"),
    (
        "operators without a meaning here: sorting, reading of single samples, unknown custom domains",
        "NMC054",
    ),
    ("shapes of features that are not constants", "NMC055"),
    ("random operators whose values matter; dropout in training mode", "NMC056"),
    ("a named state that is not there", "NMC058"),
    ("networks that run backwards in time, and steps that do not repeat", "NMC059"),
    ("layers that mix time or samples with features", "NMC060"),
    ("batch normalization in training mode", "NMC064"),
    ("external data that is not beside the model", "NMC051"),
    ("opsets before 7", "NMC062"),
    (
        "bytes that are no ONNX model, damaged graphs, impossible sizes",
        "NMC050, NMC052, NMC053, NMC061, NMC063",
    ),
)
"""What `tests/frontend/onnx/test_refusals.py` tries, and the codes that it finds."""


def outcome(folder: Path) -> str:
    """What an export is read as."""
    try:
        graph = load(folder / "model.onnx")
    except CompileError as refused:
        return f"refused: {refused.findings[0].message}"
    parts = [equation(node.op) for node in graph.nodes if isinstance(node.op, Neuron)]
    parts += [
        f"{kind(node.op.program)}, as it is"
        for node in graph.nodes
        if isinstance(node.op, Elementwise) and node.op.initial
    ]
    return "; ".join(dict.fromkeys(parts)) or "activations, as they are"


def row(folder: Path, compiled: bool) -> str:
    """One export."""
    meta = json.loads((folder / "meta.json").read_text())
    opset = ", ".join(f"{domain} {version}" for domain, version in meta["onnx"]["opset"].items())
    neuron = ", ".join(dict.fromkeys(each.get("type", "plain") for each in meta["neurons"]))
    cells = [meta["framework"], meta["framework_version"], meta["exporter"], meta["form"], neuron, opset]
    return "| " + " | ".join([*cells, outcome(folder), "yes" if compiled else "no such neuron"]) + " |"


def page(corpus: Path) -> str:
    """The page for a corpus."""
    from tests.frontend.onnx.test_loihi import COMPILED

    folders = sorted(path.parent for path in corpus.glob("*/model.onnx"))
    rows = [row(folder, folder.name in COMPILED) for folder in folders]
    refusals = [f"| {what} | {code} |" for what, code in REFUSALS]
    return HEAD + "\n".join(rows) + "\n" + GIVEN + REFUSED + "\n".join(refusals) + "\n"


def main() -> None:
    """Write the page."""
    Path(__file__).with_name("onnx.md").write_text(page(Path(sys.argv[1])))


if __name__ == "__main__":
    main()

"""Writes docs/frontends/onnx.md: which exports are read, from the corpus that the tests run.

Run from the checkout: python docs/frontends/make_onnx_table.py ../shared/corpus
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from nmc.diagnostics import CompileError
from nmc.frontend.onnx import load

HEAD = """# ONNX

Made by `docs/frontends/make_onnx_table.py` from the corpus that `tests/frontend/onnx/test_corpus.py` compares
with the frameworks' own outputs: spikes at every step, states within 1e-5, whole test sets.

| framework | version | exporter | form | neuron | opset | outcome |
| --- | --- | --- | --- | --- | --- | --- |
"""

REFUSED = """
## Refused, with the way out

| what | code |
| --- | --- |
| a single step of a module that keeps its state to itself: the state is lost | NMC057 |
| operators without a meaning here: softmax, sorting, reading of single samples, unknown custom domains | NMC054 |
| shapes of features that are not constants | NMC055 |
| random operators whose values matter; dropout in training mode | NMC056 |
| batch normalization in training mode | NMC064 |
| external data that is not beside the model | NMC051 |
| networks that run backwards in time | NMC059 |
| bytes that are no ONNX model, damaged graphs | NMC050, NMC052, NMC053, NMC061 |
"""


def row(folder: Path) -> str:
    """One export."""
    meta = json.loads((folder / "meta.json").read_text())
    try:
        graph = load(folder / "model.onnx")
    except CompileError as refused:
        outcome = f"refused: {refused.findings[0].message}"
    else:
        lifted = [note.message.removeprefix("lifted: ") for note in graph.notes if note.code == "NMC072"]
        kept = sum(note.code == "NMC073" for note in graph.notes)
        parts = list(dict.fromkeys(lifted)) + ([f"{kept} kept as a program"] if kept else [])
        outcome = "; ".join(parts) or "runs as it is"
    opset = ", ".join(f"{domain} {version}" for domain, version in meta["onnx"]["opset"].items())
    cells = [meta["framework"], meta["framework_version"], meta["exporter"], meta["form"]]
    neuron = ", ".join(dict.fromkeys(each.get("type", "plain") for each in meta["neurons"]))
    return "| " + " | ".join([*cells, neuron, opset, outcome]) + " |"


def main() -> None:
    """Write the page."""
    folders = sorted(path.parent for path in Path(sys.argv[1]).glob("*/model.onnx"))
    text = HEAD + "\n".join(row(folder) for folder in folders) + "\n" + REFUSED
    Path(__file__).with_name("onnx.md").write_text(text)


if __name__ == "__main__":
    main()

"""The table of exports in the documentation is what the reader does today."""

from __future__ import annotations

import re
from pathlib import Path

from docs.frontends.make_onnx_table import REFUSALS, page

ROOT = Path(__file__).parents[3]


def test_table_of_exports_is_current(shared: Path) -> None:
    assert (ROOT / "docs/frontends/onnx.md").read_text() == page(shared / "corpus"), (
        "run `python -m docs.frontends.make_onnx_table ../shared/corpus`"
    )


def test_every_refusal_of_the_table_is_tried_by_a_test() -> None:
    tried = (Path(__file__).parent / "test_refusals.py").read_text()
    for _, codes in REFUSALS:
        for code in re.findall(r"NMC\d{3}", codes):
            assert code in tried, code

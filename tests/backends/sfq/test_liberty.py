"""The Liberty file has a cell for each, with its junctions as area."""

from __future__ import annotations

import re

from nmc.backends.sfq import liberty
from nmc.backends.sfq.cells import standard


def test_area_is_the_number_of_junctions() -> None:
    text = liberty.write(list(standard().values())).decode()
    found = dict(re.findall(r"cell \((\w+)\) \{\n    area : (\d+);", text))
    assert found == {name: str(cell.jj) for name, cell in standard().items()}
    assert text.count("{") == text.count("}")

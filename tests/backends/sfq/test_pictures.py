"""Pictures are SVG with every cell and every pulse."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from nmc import driver
from nmc.backends.sfq import files
from nmc.backends.sfq.pictures import pictures

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
SVG = "{http://www.w3.org/2000/svg}"


def test_pictures_of_exclusive_or_show_its_cells_and_its_pulses() -> None:
    found = driver.compile(EXAMPLES / "xor" / "xor.nir", target="sfq").artifact.files
    made = {name: ET.fromstring(text) for name, text in pictures(found).items()}
    netlist = files.read_netlist(found[files.NETLIST])
    texts = [each.text for each in made["netlist"].iter(f"{SVG}text")]
    assert texts.count("MERGE") == netlist.cells()["MERGE"]
    assert "out_y_0" in texts
    trains = [
        each.get("d") or "" for each in made["pulses"].iter(f"{SVG}path") if each.get("class") == "pulse"
    ]
    assert trains[-1].count("M") == 2  # exclusive or of four patterns is one twice

"""`nmc report`: one file that holds everything, and that a browser shows on a phone and by keyboard."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmc import driver
from nmc.artifact import Artifact
from nmc.backends import registry
from nmc.diagnostics import CompileError
from nmc.dossier import dossier
from nmc.report import charts
from tests.toy_files import INPUTS, write_model

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=10000",
    "--enable-logging=stderr",
)
HARNESS = """<!DOCTYPE html><meta charset="utf-8"><body>
<iframe id="page" width="{width}" height="800" srcdoc="{page}"></iframe>
<pre id="seen"></pre><script>
document.getElementById("page").addEventListener("load", (event) => {{
  const inner = event.target.contentDocument, root = inner.documentElement, seen = {{}};
  seen.width = root.scrollWidth;
  seen.sections = [...inner.querySelectorAll("h2")].map((head) => head.textContent);
  seen.outside = inner.querySelectorAll("[src]:not([src^='data:']), link[href]:not([rel=icon])").length;
  const chart = inner.querySelector("svg[data-zoom]"), window_ = chart.querySelector("svg.zoom");
  const press = (key) => chart.dispatchEvent(new inner.defaultView.KeyboardEvent("keydown", {{key, bubbles: true}}));
  seen.boxes = [window_.getAttribute("viewBox")];
  for (const key of ["+", "ArrowRight", "-", "0"]) {{ press(key); seen.boxes.push(window_.getAttribute("viewBox")); }}
  chart.focus();
  seen.focused = inner.activeElement === chart;
  seen.images = [...inner.querySelectorAll("svg[role=img]")].every((each) => each.getAttribute("aria-label"));
  document.getElementById("seen").textContent = JSON.stringify(seen);
}});
</script></body>"""


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BACKENDS", {"toy": "tests.toy:TOY"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = driver.read(write_model(tmp_path / "net.nir"))
    driver.write(driver.compile(model, target="toy").artifact, tmp_path / "out")
    return tmp_path / "out"


def seen(page: bytes, tmp_path: Path, *, width: int, more: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a browser finds in the page at a width, and that it does not complain."""
    if BROWSER is None:
        pytest.skip("no Chromium here to look at the page")
    harness = tmp_path / f"harness{width}.html"
    harness.write_text(HARNESS.format(width=width, page=html.escape(page.decode(), quote=True)))
    command = [
        BROWSER,
        *FLAGS,
        *more,
        f"--user-data-dir={tmp_path / 'profile'}",
        "--dump-dom",
        harness.as_uri(),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    complaints = [line for line in ran.stderr.splitlines() if "CONSOLE" in line]
    assert complaints == []
    (found,) = re.findall(r'<pre id="seen">(.*?)</pre>', ran.stdout, re.DOTALL)
    result: dict[str, Any] = json.loads(html.unescape(found))
    return result


@pytest.mark.parametrize("dark", [False, True])
def test_report_fits_a_phone_and_works_by_keyboard(folder: Path, tmp_path: Path, dark: bool) -> None:
    more = ("--blink-settings=preferredColorScheme=0",) if dark else ()
    found = seen(dossier(folder), tmp_path, width=390, more=more)
    assert found["width"] <= 390
    assert found["outside"] == 0
    assert found["images"] and found["focused"]
    whole, closer, right, wider, again = found["boxes"]
    assert whole == again
    assert len({whole, closer, right}) == 3 and wider == whole
    assert found["sections"] == [
        "Layers",
        "Activity",
        "Chip",
        "Time and energy",
        "Diagnostics",
        "How to reproduce",
    ]


def test_report_fits_a_desk(folder: Path, tmp_path: Path) -> None:
    assert seen(dossier(folder), tmp_path, width=1280)["width"] <= 1280


def test_report_is_one_file_equal_byte_for_byte(folder: Path) -> None:
    page = dossier(folder)
    assert page == dossier(folder)
    assert b"http://" not in page and b"https://" not in page.replace(b"https://doi", b"")
    assert b"golden = machine" in page


def test_report_shows_the_users_data_and_the_commands(folder: Path) -> None:
    x = (np.random.default_rng(0).random((9, 2, INPUTS)) < 0.5).astype(np.uint8)
    page = dossier(folder, {"input": x}, given="mine.npz").decode()
    assert "9 steps of 2 samples of mine.npz" in page
    for command in (
        "nmc inspect",
        "nmc simulate",
        "nmc verify",
        "nmc report",
        "nmc compile net.nir --target toy",
    ):
        assert command in page


def test_report_escapes_the_names_of_a_users_model(folder: Path, tmp_path: Path) -> None:
    assert "<script>alert" not in charts.raster(np.ones((3, 2)), "<script>alert(1)</script>")
    assert "<b>" not in charts.bars([("<b>", 1.0)], "t", "%")
    assert 'x"y' not in charts.floorplan([('a"b', 0.5, 0.5)], 'x"y')


def test_report_refuses_a_folder_that_was_tampered_with(folder: Path) -> None:
    (folder / "graph.nmc").write_text("nothing")
    with pytest.raises(CompileError) as refused:
        dossier(folder)
    assert refused.value.findings[0].code == "NMC147"


def test_charts_draw_every_spike_and_nothing_else() -> None:
    spikes = (np.random.default_rng(0).random((20, 7)) < 0.3).astype(np.uint8)
    assert charts.raster(spikes, "t").count("M") == spikes.sum() + 1  # and the axis
    assert "no spikes" in charts.raster(np.zeros((4, 3)), "t")
    assert "every " in charts.raster(np.ones((300, 300)), "t")


def test_artifact_keeps_what_each_layer_loses(folder: Path) -> None:
    artifact: Artifact = driver.open_network(folder).artifact  # pyright: ignore
    losses = json.loads(artifact.files["quantization.json"])
    assert [each["node"] for each in losses] == ["lif1", "lif2"]

"""Suite files: what they say, and everything that is wrong with one at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmc.diagnostics import CompileError
from nmc.regress import suite as files
from nmc.regress.suite import Suite, Tolerance
from nmc.sim.arrays import Decode

WHOLE = """
[suite]
name = "lab"
baselines = "kept"

[tolerance]
cycles = 0.1
accuracy = 0.01

[[case]]
name = "net"
model = "net.nir"
targets = ["fpga", "loihi"]
stimulus = "data.npz"
labels = "y"
decode = "last"
samples = 3
steps = 7
stretch = 2
preset = "norse"
set = { weight_bits = 6, fpga = { lanes = 4 } }
witnesses = { fpga = ["verilator"] }
tolerance = { cycles = 0.2 }
"""


def findings(folder: Path, text: str) -> list[tuple[str, str, str]]:
    path = folder / "bad.toml"
    path.write_text(text)
    with pytest.raises(CompileError) as refused:
        files.read(path)
    return [(finding.code, finding.message, finding.help) for finding in refused.value.findings]


def test_suite_has_a_case_for_each_network_and_target(folder: Path) -> None:
    (folder / "lab.toml").write_text(WHOLE)
    suite = files.read(folder / "lab.toml")
    assert (suite.name, suite.baselines) == ("lab", folder.resolve() / "kept")
    fpga, loihi = suite.cases
    assert (fpga.name, loihi.name) == ("net@fpga", "net@loihi")
    assert (fpga.settings, loihi.settings) == ({"weight_bits": "6", "lanes": "4"}, {"weight_bits": "6"})
    assert (fpga.witnesses, loihi.witnesses) == (("verilator",), ())
    assert (fpga.samples, fpga.steps, fpga.stretch, fpga.preset) == (3, 7, 2, "norse")
    assert fpga.decode is Decode.LAST
    assert fpga.tolerance == Tolerance(cycles=0.2, accuracy=0.01)


def test_suite_takes_every_target_where_none_is_named(suite: Suite, folder: Path) -> None:
    (folder / "all.toml").write_text('[[case]]\nname = "net"\nmodel = "net.nir"\n')
    targets = {case.target for case in files.read(folder / "all.toml").cases}
    assert targets >= {case.target for case in suite.cases}


def test_suite_tells_all_that_is_wrong_at_once(folder: Path) -> None:
    found = findings(
        folder,
        '[[case]]\nname = "a"\nmodel = "no.nir"\ntargets = ["loihy", "loihi"]\nsamples = 0\nlabel = "y"\n'
        '[[case]]\nname = 3\nmodel = "net.nir"\ntargets = ["loihi"]\nwitnesses = ["lavva"]\n'
        "[tolerance]\ncycles = -1\n",
    )
    messages = [message for _, message, _ in found]
    assert {code for code, _, _ in found} == {"NMC941"}
    assert "`cycles` is -1" in messages
    assert "there is no target `loihy`" in messages
    assert "`model` is `no.nir`, and there is no such file" in messages
    assert "`samples` is 0" in messages
    assert ("NMC941", "there is no key `label`", "did you mean `labels`?") in found
    assert "`name` is 3" in messages
    assert ("NMC941", "`loihi` has no witness `lavva`", "did you mean `lava`?") in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no `[[case]]`"),
        ("case = 3", "there is no `[[case]]`"),
        ("[[case]]\nname = 'a'\n", "there is no `model`"),
        (
            "[[case]]\nmodel = 'net.nir'\nname='a'\n[[case]]\nmodel='net.nir'\nname='a'\n",
            "two cases are called",
        ),
        ("[suit]\n", "there is no key `suit`"),
        ("tolerance = 3", "`tolerance` is 3"),
    ],
)
def test_suite_names_what_is_wrong(folder: Path, text: str, message: str) -> None:
    assert any(message in found for _, found, _ in findings(folder, text))


def test_suite_that_is_no_toml_is_refused(folder: Path) -> None:
    ((code, message, _),) = findings(folder, "[[case]\n")
    assert code == "NMC940"
    assert "line 1" in message


def test_only_takes_cases_and_networks_by_name(suite: Suite) -> None:
    assert [case.name for case in suite.only(["net@fpga"]).cases] == ["net@fpga"]
    assert suite.only(["net"]) == suite
    with pytest.raises(CompileError) as refused:
        suite.only(["nett"])
    assert refused.value.findings[0].help == "did you mean `net`?"

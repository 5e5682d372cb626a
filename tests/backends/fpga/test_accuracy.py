"""Whole test sets on the RTL: every output of every sample is golden's, in the machine's cycles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nmc import driver
from nmc.backends.backend import Request
from nmc.backends.fpga import files, machine, verilator
from nmc.sim.trace import SimResult
from tests.backends.fpga.test_verilator import needs

DIGITS = Path(__file__).parents[3] / "examples/digits"


def on_rtl(
    model: Path, inputs: dict[str, np.ndarray], folder: Path, **chosen: str
) -> tuple[SimResult, SimResult]:
    """What golden and Verilator give on the compiled model; all samples in one run of the simulator."""
    needs(verilator.VERILATOR)
    done = driver.compile(model, target="fpga", request=Request(settings=chosen))
    driver.write(done.artifact, folder / "out")
    found = driver.simulate(folder / "out", inputs)
    design = files.read(done.artifact.files)
    verilator.build(verilator.VERILATOR, done.artifact.files, folder / "rtl")
    ran = verilator.run(verilator.VERILATOR, design, folder / "rtl", inputs)
    verilator.check_cycles(machine.run(design, inputs), ran)
    return found, machine.result("verilator", design, ran, inputs, ())


def accuracy(result: SimResult, labels: np.ndarray) -> float:
    (output,) = result.outputs.values()
    return 100 * float((output.sum(axis=0).argmax(axis=-1) == labels).mean())


@pytest.mark.slow
@pytest.mark.parametrize("bits", ["8", "4"])
@pytest.mark.parametrize(
    ("model", "data", "real"), [("digits", "test", 98.61), ("digits_conv", "test_conv", 98.06)]
)
def test_digits_on_the_rtl_are_those_of_golden(
    model: str, data: str, real: float, bits: str, tmp_path: Path
) -> None:
    """`real` is the accuracy in floating point that examples/digits/README.md gives."""
    given = np.load(DIGITS / f"{data}.npz")
    golden, rtl = on_rtl(
        DIGITS / f"{model}.nir", {"input": given["x"]}, tmp_path, weight_bits=bits, lanes="16"
    )
    np.testing.assert_array_equal(rtl.outputs["output"], golden.outputs["output"])
    assert accuracy(rtl, given["y"]) == accuracy(golden, given["y"])
    if bits == "8":
        assert accuracy(rtl, given["y"]) >= real - 1.0


@pytest.mark.slow
def test_mnist_at_6_bits_on_the_rtl_is_that_of_golden_and_loses_less_than_a_point(
    shared: Path, tmp_path: Path
) -> None:
    given = np.load(shared / "mnist/test.npz")
    golden, rtl = on_rtl(
        shared / "mnist/model.nir", {"input": given["x"]}, tmp_path, weight_bits="6", lanes="16"
    )
    for name, values in golden.outputs.items():
        np.testing.assert_array_equal(rtl.outputs[name], values)
    assert accuracy(rtl, given["y"]) >= 96.35 - 1.0

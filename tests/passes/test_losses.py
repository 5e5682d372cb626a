"""What trained networks lose in integers, as `docs/quantization.md` says: whole test sets, nothing trained again."""

from __future__ import annotations

import pytest

from tests.trained import Case, cases, example, losses

MOST = {8: 0.5, 4: 1.5, 3: 5.0}
"""Percentage points that may be lost, by bits."""

ALLOWED = {
    # Of 300 or 360 samples, one is a third of a point: these lose two or three at 8 bits.
    ("loihi", 8): {
        "nir_delay_dcls_a": 1.0,
        "onnx_delay_conv1d_unroll_dyn": 1.0,
        "onnx_delay_shiftreg_step_ts": 1.0,
        "snn07_leaky_zero_step_ts": 0.9,
    },
    ("fpga", 8): {
        "nir_delay_dcls_a": 0.7,
        "onnx_delay_conv1d_unroll_dyn": 0.7,
        "onnx_delay_shiftreg_step_ts": 0.7,
        "nir_snn_mlp": 0.6,
        "snn07_leaky_zero_step_ts": 0.6,
    },
    ("fpga", 4): {"snn07_leaky_zero_step_ts": 1.7},
    # Its biases act on the current, where a spike has no exponent, and its states leave the weights few units.
    ("loihi", 3): {"snn_synaptic_step_ts": 11.0},
}


def lost(case: Case, target: str) -> dict[int, float]:
    """The points beyond what may be lost, by bits."""
    beyond: dict[int, float] = {}
    for bits, most in MOST.items():
        found = losses(case, target, bits)
        allowed = max(most, ALLOWED.get((target, bits), {}).get(case.name, 0.0))
        if found is not None and found > allowed + 1e-9:
            beyond[bits] = found
    return beyond


@pytest.mark.parametrize("target", ["loihi", "fpga"])
def test_digits_lose_no_more_than_they_may(target: str) -> None:
    assert lost(example("digits", "digits.nir", "test.npz"), target) == {}


@pytest.mark.slow
@pytest.mark.parametrize("target", ["loihi", "fpga"])
def test_trained_networks_lose_no_more_than_they_may(target: str) -> None:
    beyond = {case.name: found for case in cases() if (found := lost(case, target))}
    assert beyond == {}

"""The integer rules against Lava's own recordings: spikes and every state at every step, exactly.

Networks of LIF neurons run in golden as integer graphs (`tests/sim/lava.py` imports them). Those of further
neurons run in a loop here, step by step, over the rules of `nmc.ir.neuron_lava`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmc.ir.fixed import shift_floor
from nmc.ir.neuron import current_integer, step_integer
from nmc.ir.neuron_lava import (
    adaptive_step,
    delta_message,
    delta_step,
    graded_message,
    izhikevich_resonator_step,
    resets_now,
    resonate_and_fire_step,
    sigma_delta_step,
    ternary_fire,
)
from nmc.sim import golden
from tests.conftest import SHARED
from tests.sim.lava import ARITHMETIC, SHIFT, Case, graph_of, read_case, read_names, weights_of

IN_GRAPHS = {"source", "lif", "dense", "sparse", "delay", "delaysparse", "conv"}
FOLDER = SHARED / "golden" / "loihi"
NAMES = read_names(FOLDER) if FOLDER.is_dir() else []


@pytest.fixture
def recordings(shared: Path) -> Path:
    return shared / "golden" / "loihi"


def test_recordings_are_all_there(recordings: Path) -> None:
    assert len(json.loads((recordings / "manifest.json").read_text())["cases"]) == 32


@pytest.mark.parametrize("name", NAMES)
def test_rules_equal_lava_in_every_state_and_step(recordings: Path, name: str) -> None:
    case = read_case(recordings, name)
    got = run_golden(case) if case.kinds() <= IN_GRAPHS else Loop(case).run()
    assert set(got) == set(case.recorded)
    for key, expected in case.recorded.items():
        np.testing.assert_array_equal(got[key], expected, err_msg=key)


# ---- as integer graphs ------------------------------------------------------------------------------------


def run_golden(case: Case) -> dict[str, np.ndarray]:
    """What golden gives, as Lava records it: images channel last."""
    populations = [name for name, p in case.nodes.items() if p["kind"] == "lif"]
    inputs = {
        name: channel_first(np.moveaxis(p["data"], -1, 0))[:, None]
        for name, p in case.nodes.items()
        if p["kind"] == "source"
    }
    record = [f"{name}.{variable}" for name in populations for variable in "vi"]
    result = golden.simulate(graph_of(case), inputs, record=record)
    got: dict[str, np.ndarray] = {}
    for name in populations:
        arrays = {"s_out": result.outputs[f"{name}_out"], "u": result.trace[f"{name}.i"]}
        arrays["v"] = result.trace[f"{name}.v"]
        for key, array in arrays.items():
            got[f"{name}/{key}"] = channel_last(array[:, 0])
    return got


def channel_first(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, -1, 1) if array.ndim == 4 else array


def channel_last(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, 1, -1) if array.ndim == 4 else array


# ---- further neurons, step by step ------------------------------------------------------------------------


class Loop:
    """Lava's schedule: connections send what they gathered in the step before; then neurons, then connections."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.got: dict[str, list[Any]] = {key: [] for key in case.recorded}
        self.state: dict[str, dict[str, list[int]]] = {}
        self.sent: dict[str, np.ndarray] = {}
        self.buffer: dict[str, np.ndarray] = {}

    def run(self) -> dict[str, np.ndarray]:
        for name, p in self.case.nodes.items():
            if p["kind"] == "dense":
                self.buffer[name] = np.zeros(len(p["weights"]), np.int64)
        for step in range(1, self.case.steps + 1):
            arrived = dict(self.buffer)
            for name, p in self.case.nodes.items():
                if p["kind"] == "source":
                    self.sent[name] = p["data"][..., step - 1].astype(np.int64)
                elif p["kind"] != "dense":
                    ports = self.ports(name, arrived)
                    self.sent[name] = np.array(self.neurons(name, p, ports, step), np.int64)
            for name, p in self.case.nodes.items():
                if p["kind"] == "dense":
                    self.buffer[name] = self.gather(name, p)
        return {key: np.array(values) for key, values in self.got.items()}

    def ports(self, name: str, arrived: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What enters each port; a source or neuron that is wired straight to a neuron is not delayed."""
        entering: dict[str, np.ndarray] = {}
        for src, dst, *port in self.case.edges:
            if dst == name:
                signal = arrived[src] if src in arrived else self.sent[src]
                entering[port[0] if port else "a_in"] = signal
        return entering

    def gather(self, name: str, p: dict[str, Any]) -> np.ndarray:
        source = next(src for src, dst, *_ in self.case.edges if dst == name)
        message = self.sent[source]
        if not p.get("num_message_bits", 0):
            message = (message != 0).astype(np.int64)
        total = weights_of(p) @ message
        exponent = p.get("weight_exp", 0)
        return (
            total << exponent if exponent >= 0 else np.array([shift_floor(int(x), -exponent) for x in total])
        )

    def neurons(self, name: str, p: dict[str, Any], ports: dict[str, np.ndarray], step: int) -> list[int]:
        """One step of a population: records its states and gives what it sends."""
        size = int(np.prod(p["shape"]))
        states, initial = {
            "lif": (("u", "v"), {}),
            "lif_reset": (("u", "v"), {}),
            "tlif": (("u", "v"), {}),
            "atrlif": (("i", "v", "theta", "r"), {"theta": p.get("theta_0", 0) << SHIFT}),
            "delta": (("act", "residue", "error"), {}),
            "sigma": (("sigma",), {}),
            "sigmadelta": (("sigma", "act", "residue", "error"), {}),
            "rf": (("real", "imag"), {}),
            "rf_iz": (("real", "imag"), {}),
            "gradedvec": ((), {}),
        }[p["kind"]]
        state = self.state.setdefault(name, {key: [initial.get(key, 0)] * size for key in states})
        sent: list[int] = []
        for k in range(size):
            old = [state[key][k] for key in states]
            *new, message = one_step(p, k, old, {port: int(a.ravel()[k]) for port, a in ports.items()}, step)
            for key, value in zip(states, new, strict=True):
                state[key][k] = value
            sent.append(message)
        for key in (*states, "s_out"):
            if f"{name}/{key}" in self.got:
                self.got[f"{name}/{key}"].append(list(sent if key == "s_out" else state[key]))
        return sent


def one_step(p: dict[str, Any], k: int, old: list[int], x: dict[str, int], step: int) -> tuple[int, ...]:
    """New states of neuron k of a population, and what it sends."""
    kind = p["kind"]
    up = p.get("spike_exp", 0) + p.get("state_exp", 0)
    match kind:
        case "lif" | "lif_reset" | "tlif":
            return lif(p, k, old, x["a_in"], step)
        case "atrlif":
            # `delta_i`, … are given as fractions; Lava multiplies by what is left of 4096.
            keep_i, keep_v = 4095 - 4096 * p["delta_i"], int(4096 - 4096 * p["delta_v"])
            keep_theta, keep_r = int(4096 - 4096 * p["delta_theta"]), int(4096 - 4096 * p["delta_r"])
            bias = p["bias_mant"] << p["bias_exp"]
            thetas = (p["theta_0"] << SHIFT, p["theta_step"] << SHIFT)
            return adaptive_step(*old, x["a_in"] << SHIFT, keep_i, keep_v, keep_theta, keep_r, bias, *thetas)
        case "delta":
            *new, sent = delta_step(*old, x["a_in"] << up, p["vth"] << up, p["cum_error"])
            return (*new, delta_message(sent, p["state_exp"]))
        case "sigma":
            return old[0] + x["a_in"], old[0] + x["a_in"]
        case "sigmadelta":
            bias, rectified = int(p["bias"][k]) << up, p["act_mode"] == "RELU"
            *new, sent = sigma_delta_step(*old, x["a_in"], bias, p["vth"] << up, rectified, p["cum_error"])
            return (*new, delta_message(sent, p["state_exp"]))
        case "rf" | "rf_iz":
            angle, bits, up = 2 * np.pi / p["period"], p["decay_bits"], p["state_exp"]
            # rf/process.py cuts the decays to integers.
            cosine, sine = (int((1 - p["alpha"]) * f(angle) * (1 << bits)) for f in (np.cos, np.sin))
            rule = resonate_and_fire_step if kind == "rf" else izhikevich_resonator_step
            inputs = (x["a_real_in"] << up, x["a_imag_in"] << up)
            return rule(*old, *inputs, cosine, sine, bits, p["vth"] << up)
        case "gradedvec":
            return (graded_message(x["a_in"], p["vth"], False),)
        case _:
            raise AssertionError(kind)


def lif(p: dict[str, Any], k: int, old: list[int], x: int, step: int) -> tuple[int, ...]:
    """LIF, LIFReset and TernaryLIF: the same current and membrane, with their own reset and spike."""
    u, v = old
    if p["kind"] == "lif_reset" and resets_now(step, p["reset_interval"], p["reset_offset"]):
        u = v = 0
    a = ARITHMETIC
    rule = (a.decay_bits, int(a.decay_form), int(a.rounding))
    u = current_integer(u, x << SHIFT, 4095 - p["du"], *rule, a.i_bits, int(a.i_overflow))
    drive = u + (int(np.broadcast_to(p["bias_mant"], p["shape"])[k]) << p["bias_exp"])
    ternary = p["kind"] == "tlif"
    reset = 0 if ternary else 1
    threshold = 0 if ternary else p["vth"] << SHIFT
    v, _, spike = step_integer(
        v,
        0,
        drive,
        4096 - p["dv"],
        threshold,
        0,
        0,
        0,
        *rule,
        a.v_bits,
        int(a.v_overflow),
        False,
        0,
        0,
        reset,
        0,
        False,
    )
    if ternary:
        v, spike = ternary_fire(v, p["vth_lo"] << SHIFT, p["vth_hi"] << SHIFT)
    return u, v, spike

"""The witness for time and energy: SANA-FE with its own Loihi architecture, in its own process.

SANA-FE (package `sanafe`, GPL-3) counts what a mapped network does and prices it with figures for Loihi that its
authors calibrated. It gets our network, our mapping and our spikes: its neurons integrate by themselves, so that
it decides which of them are active, but fire exactly when ours do. It knows no Loihi 2.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.backends.loihi import files
from nmc.backends.loihi.program import Conv, Dense, Network, Population, Source, Sparse
from nmc.backends.loihi.synapses import conv_synapses

Spikes = Mapping[str, npt.NDArray[np.generic]]

NEVER = 1e30
"""A threshold that no membrane reaches, so that a neuron fires only when it is made to."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run costs by SANA-FE; arrays are (samples, steps)."""

    seconds: npt.NDArray[np.float64]
    joules: npt.NDArray[np.float64]
    messages: npt.NDArray[np.float64]
    synaptic_events: npt.NDArray[np.float64]
    active_neurons: npt.NDArray[np.float64]


def ready() -> str | None:
    """Why SANA-FE cannot run here, or None."""
    if importlib.util.find_spec("sanafe") is None:
        return "the package `sanafe` is not installed: pip install sanafe"
    return None


def estimate(jobs: Sequence[tuple[Network, Spikes]], *, timeout: float = 600.0) -> list[Estimate]:
    """Time and energy of each network with given spikes, by name of every source and population.

    Spikes are (steps, samples, *shape), not zero where something was sent. Raises RuntimeError if SANA-FE cannot
    run or fails, subprocess.TimeoutExpired after `timeout` seconds.
    """
    missing = ready()
    if missing is not None:
        raise RuntimeError(missing)
    with tempfile.TemporaryDirectory(prefix="nmc-sanafe-") as folder:
        root = Path(folder)
        for index, (network, spikes) in enumerate(jobs):
            place = root / str(index)
            for name, content in files.write(network).items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_bytes(content)
            ends = list(network.ends)
            sent = {str(n): np.packbits(spikes[name] != 0) for n, name in enumerate(ends)}
            steps, samples = spikes[ends[0]].shape[:2]
            np.savez(place / "spikes.npz", allow_pickle=False, **sent, extent=np.array([steps, samples]))
        command = [sys.executable, "-m", "nmc.backends.loihi.sanafe", folder, str(len(jobs))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        if done.returncode:
            raise RuntimeError(f"sanafe failed: {done.stderr.strip()[-2000:]}")
        return [_read(root / str(index) / "estimate.json") for index in range(len(jobs))]


def _read(path: Path) -> Estimate:
    table = json.loads(path.read_text())
    return Estimate(**{name: np.array(values, np.float64) for name, values in table.items()})


# ---- in SANA-FE's process ----------------------------------------------------------------------------------

# Any from here on: sanafe has no type information.


def _main(folder: str, count: str) -> None:
    import sanafe

    architecture: Any = sanafe.load_loihi()  # pyright: ignore
    chip: Any = sanafe.SpikingChip(architecture)  # pyright: ignore
    for index in range(int(count)):
        # A chip takes two seconds to make and cannot be made empty again: each job has a fork of the first.
        child = os.fork()
        if child == 0:
            try:
                _job(sanafe, architecture, chip, Path(folder) / str(index))
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            sys.exit(1)


def _job(sanafe: Any, architecture: Any, chip: Any, place: Path) -> None:
    network = files.read({str(p.relative_to(place)): p.read_bytes() for p in place.rglob("*.*")})
    with np.load(place / "spikes.npz") as table:
        steps, samples = (int(number) for number in table["extent"])
        spikes = {
            name: np.unpackbits(table[str(n)], count=steps * samples * math.prod(end.shape)).reshape(
                steps, samples, -1
            )
            for n, (name, end) in enumerate(network.ends.items())
        }
    chip.load(
        _build(sanafe, architecture, network), overwrite=False
    )  # it is empty, and clearing takes a second
    (place / "estimate.json").write_text(
        json.dumps(_simulate(chip, network, spikes, steps=steps, samples=samples))
    )


def _simulate(
    chip: Any, network: Network, spikes: Spikes, *, steps: int, samples: int
) -> dict[str, list[list[float]]]:
    names = ("seconds", "joules", "messages", "synaptic_events", "active_neurons")
    table: dict[str, list[list[float]]] = {name: [] for name in names}
    bias = {p.name: _per_neuron(p, _bias(p)) for p in network.populations}
    for sample in range(samples):
        rows: dict[str, list[float]] = {name: [] for name in names}
        if sample:
            chip.reset()
        for source in network.sources:
            for neuron, train in zip(
                chip.mapped_neuron_groups[source.name], spikes[source.name][:, sample].T, strict=True
            ):
                neuron.set_attributes(model_attributes={"spikes": [bool(spike) for spike in train]})
        fired = {p.name: np.zeros(p.size, np.uint8) for p in network.populations}
        for step in range(steps):
            for name, before in fired.items():
                now = spikes[name][step, sample]
                for index in np.flatnonzero(now != before):
                    push = 2 * NEVER if now[index] else float(bias[name][index])
                    chip.mapped_neuron_groups[name][int(index)].set_attributes(
                        model_attributes={"bias": push}
                    )
                fired[name] = now
            result = chip.sim(1)
            rows["seconds"].append(result["sim_time"])
            rows["joules"].append(result["energy"]["total"])
            rows["messages"].append(result["packets_sent"])
            rows["synaptic_events"].append(result["spikes"])
            rows["active_neurons"].append(result["neurons_updated"])
        for name, before in fired.items():
            for index in np.flatnonzero(before):
                neuron = chip.mapped_neuron_groups[name][int(index)]
                neuron.set_attributes(model_attributes={"bias": float(bias[name][index])})
        for name in names:
            table[name].append(rows[name])
    return table


def _bias(population: Population) -> npt.NDArray[np.float64]:
    """In units of the threshold's mantissa, as everything here."""
    return np.ldexp(population.bias_mantissa.values, population.bias_exponent.data.astype(np.int64) - 6)


def _per_neuron(population: Population, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.broadcast_to(values, population.shape).ravel()


def _build(sanafe: Any, architecture: Any, network: Network) -> Any:
    net: Any = sanafe.Network()
    groups: dict[str, Any] = {}
    common = {"default_dendrite_hw_name": "loihi_dendrites", "soma_hw_name": "loihi_lif"}
    for name, end in network.ends.items():
        groups[name] = net.create_neuron_group(name, math.prod(end.shape), {}, **common)
    _configure(architecture, network, groups)
    for connection in network.connections:
        unit = type(connection).__name__.lower()
        pre, post = groups[connection.pre], groups[connection.post]
        for neuron in post:
            neuron.set_attributes(default_synapse_hw_name=f"loihi_{unit}_synapse")
        if isinstance(connection, Dense):
            weight = np.ldexp(connection.weight.values, connection.exponent)
            pre.connect_neurons_dense(post, {"w": weight.T.ravel().tolist()})
            continue
        rows, columns, weight = _single(connection, network.ends[connection.pre])
        pairs = list(zip(columns.tolist(), rows.tolist(), strict=True))
        pre.connect_neurons_sparse(post, {"w": weight.tolist()}, pairs)
    return net


def _single(
    connection: Sparse | Conv, pre: Source | Population
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Synapses one by one: (post, pre, weight)."""
    if isinstance(connection, Sparse):
        rows = connection.post_index.data.astype(np.int64)
        columns, weight = connection.pre_index.data.astype(np.int64), connection.weight.values
    else:
        rows, columns, weight = conv_synapses(connection, pre.shape)
    return rows, columns, np.ldexp(weight.astype(np.float64), connection.exponent)


def _configure(architecture: Any, network: Network, groups: dict[str, Any]) -> None:
    cores: list[Any] = list(architecture.cores())
    inputs = [0] * len(cores)
    populations = {population.name: population for population in network.populations}
    for part in network.cores:
        group = groups[part.node]
        for index in range(part.start, part.stop):
            neuron = group[index]
            if part.node in populations:
                neuron.set_attributes(model_attributes=_model(populations[part.node], index))
            else:
                neuron.set_attributes(soma_hw_name=f"loihi_inputs[{inputs[part.core]}]")
                inputs[part.core] += 1
            neuron.map_to_core(cores[part.core])


def _model(population: Population, index: int) -> dict[str, object]:
    def own(values: npt.NDArray[np.float64]) -> float:
        return float(_per_neuron(population, values)[index])

    return {
        "threshold": NEVER,
        "reset_mode": "hard",
        "reset": 0.0,
        "leak_decay": 1 - own(population.voltage_decay.values) / 4096,
        "input_decay": 1 - (own(population.current_decay.values) + 1) / 4096,
        "bias": own(_bias(population)),
    }


if __name__ == "__main__":
    _main(*sys.argv[1:])

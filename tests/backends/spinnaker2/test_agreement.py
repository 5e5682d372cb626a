"""Golden, the machine and every PE's ELF give the same spikes, states and sums, on random networks and real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nmc import driver
from nmc.backends.backend import Request
from nmc.backends.spinnaker2 import emulator, files
from nmc.backends.spinnaker2.spec import SPINNAKER2_CHIP
from nmc.diagnostics import CompileError
from tests.backends.loihi import networks
from tests.backends.spinnaker2.running import compiled, run
from tests.passes import nets

EXAMPLES = Path(__file__).parents[3] / "examples"
FEW, MANY, TICKS = 2, 25, 200

pytestmark = pytest.mark.skipif(emulator.missing() is not None, reason=str(emulator.missing()))


def agree(kind: str, seed: int, **settings: str) -> None:
    graph = networks.model(kind, seed)
    try:
        done = compiled(graph, **settings)
    except CompileError as refused:
        assert refused.findings[0].code == "NMC253"  # biases that cannot wait for their first input
        done = compiled(graph, bias="source", **settings)
    ran = run(done, networks.spikes(done.graph, seed, steps=TICKS, samples=1))
    assert ran.divergences == (None, None)
    assert ran.elf.counts["instructions off at most"] <= emulator.TOLERANCE


@pytest.mark.parametrize("kind", networks.KINDS)
@pytest.mark.parametrize("seed", range(FEW))
def test_random_network_runs_from_its_elves_as_on_golden(kind: str, seed: int) -> None:
    agree(kind, seed)


@pytest.mark.parametrize("kind", networks.KINDS)
def test_random_network_with_narrow_weights_runs_from_its_elves_as_on_golden(kind: str) -> None:
    agree(kind, FEW, weight_bits="4")


@pytest.mark.parametrize("kind", networks.KINDS)
def test_random_network_in_floats_runs_from_its_elves_as_on_golden(kind: str) -> None:
    agree(
        kind, 1, arithmetic="float"
    )  # a seed without populations of many spikes at once, which need integers


@pytest.mark.slow
@pytest.mark.parametrize("kind", networks.KINDS)
@pytest.mark.parametrize("seed", range(FEW, FEW + MANY))
def test_many_random_networks_run_from_their_elves_as_on_golden(kind: str, seed: int) -> None:
    agree(kind, seed, weight_bits=("8", "4")[seed % 2])


@pytest.mark.parametrize("model", ["digits/digits.nir", "digits/digits_conv.nir", "temporal/temporal.nir"])
def test_example_runs_from_its_elves_as_on_golden(model: str, tmp_path: Path) -> None:
    done = driver.compile(EXAMPLES / model, target="spinnaker2")
    driver.write(done.artifact, tmp_path / "out")
    answer = driver.verify(tmp_path / "out", engines=["unicorn"])
    assert answer.agree and answer.engines == ("golden", "machine", "unicorn")


def test_braille_network_gives_the_spikes_that_the_chip_itself_gave(shared: Path) -> None:
    chips = shared / "golden" / "chips"
    request = Request(preset="py-spinnaker2")
    done = driver.compile(chips / "braille_noDelay_bias_zero.nir", target="spinnaker2", request=request)
    with np.load(chips / "braille_sample0.npz") as recorded:
        x, spikes = recorded["x"], recorded["noDelay_bias_zero__s2"]
    ran = run(done, {"input": x.reshape(256, 1, 12).astype(np.uint8)})
    assert ran.divergences == (None, None)
    assert int((ran.elf.trace["lif1.lif.spikes"][:, 0] != spikes.reshape(256, 38)).sum()) == 0
    assert spikes.sum() > 100


def test_dead_pes_change_the_placement_and_no_spike() -> None:
    graph = networks.model("recurrent", 0)
    plain = compiled(graph)
    used = sorted({each.core for each in plain.graph.placement})
    moved = compiled(graph, dead=",".join(SPINNAKER2_CHIP.name_of(pe) for pe in used))
    assert not set(used) & {each.core for each in moved.graph.placement}
    inputs = networks.spikes(plain.graph, 0, steps=50, samples=1)
    assert run(moved, inputs).divergences == (None, None)
    assert {k: v.tolist() for k, v in run(moved, inputs).elf.outputs.items()} == {
        k: v.tolist() for k, v in run(plain, inputs).elf.outputs.items()
    }


def test_synapses_that_overflow_a_pe_are_summed_elsewhere_and_sent_in_the_same_tick(tmp_path: Path) -> None:
    chip = tmp_path / "small.toml"
    chip.write_text("sram_bytes = 16384\n")
    random = np.random.default_rng(0)
    graph = nets.chain(
        ("fc1", nets.linear(random, 6, 6000)),
        ("lif1", nets.lif((6,))),
        ("fc2", nets.linear(random, 5, 6)),
        ("lif2", nets.lif((5,))),
        shape=(6000,),
    )
    done = compiled(graph, chip=str(chip))
    kinds = [pe.kind for pe in files.read(done.artifact.files).pes]
    assert sum(kind["NEURON"] == 0 for kind in kinds) >= 2 and any(kind["HAS_SUMS"] for kind in kinds)
    ran = run(done, networks.spikes(done.graph, 0, steps=40, samples=1))
    assert ran.divergences == (None, None) and ran.spikes > 50

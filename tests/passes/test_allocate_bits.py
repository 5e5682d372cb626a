"""Budgets: read, held, and shared out so that less is lost than at one width for all."""

from __future__ import annotations

import numpy as np
import pytest

from nmc import driver
from nmc.backends.backend import Request
from nmc.diagnostics import CompileError, UsageError
from nmc.ir.graph import Graph
from nmc.passes.allocate_bits import allocate_bits, distance, measure, quantize_within, rates, uniform_cost
from nmc.passes.budget import Budget, Resource, parse_budget
from nmc.passes.choose_neurons import Unsupported, choose_neurons
from nmc.passes.choose_scales import BEST, Calibration, Recipe, RoundingRule, Scales
from nmc.passes.connect import connect
from nmc.passes.energy import access, add, layer_costs, measured_costs
from nmc.passes.normalize import normalize
from nmc.passes.quantize import quantize
from tests.passes.nets import chain, lif, linear, spikes
from tests.targets import TARGET

QUICK = Recipe(Calibration.MSE, Scales.LAYER, RoundingRule.NEAREST)


def model() -> Graph:
    rng = np.random.default_rng(0)
    return chain(
        ("a", linear(rng, 20, 16)),
        ("l", lif((20,))),
        ("b", linear(rng, 20, 20)),
        ("k", lif((20,))),
        ("c", linear(rng, 5, 20)),
        ("m", lif((5,))),
        shape=(16,),
    )


def real() -> Graph:
    return choose_neurons(normalize(connect(model())), target=TARGET, unsupported=Unsupported.CUSTOM)


DATA = {"x": spikes(24, 24, (16,))}


def integers(widths: dict[str, int]) -> Graph:
    return quantize(
        real(), target=TARGET, weight_bits=8, message_bits=8, calibration=DATA, recipe=QUICK, widths=widths
    )


def test_parse_budget_reads_resources_and_refuses_all_else() -> None:
    assert parse_budget("bits=4000") == Budget(Resource.BITS, 4000)
    assert parse_budget("cores=2") == Budget(Resource.CORES, 2)
    for wrong in ("bit=4", "bits", "bits=", "bits=-3", "bytes=0", "cores=many"):
        with pytest.raises(UsageError, match="NMC220"):
            parse_budget(wrong)


def test_quantize_takes_a_width_for_each_layer() -> None:
    coarse = integers({"l": 3, "k": 6})
    assert [coarse[name].op.weight.number.bits for name in ("a", "b", "c")] == [3, 6, 8]  # type: ignore[union-attr]


@pytest.mark.parametrize("bits", [2, 3, 4, 6])
def test_allocation_in_the_total_of_a_uniform_width_loses_no_more(bits: int) -> None:
    measured = measure(real(), integers, TARGET, DATA)
    total = uniform_cost(measured, Budget(Resource.BITS, 1), bits, 24)
    found = allocate_bits(
        real(), integers, budget=Budget(Resource.BITS, total), target=TARGET, calibration=DATA
    )
    assert found.taken <= total
    assert found.uniform is not None and found.loss <= found.uniform
    assert found.bound <= found.predicted + 1e-12
    first = {"x": DATA["x"][: found.steps]}
    assert distance(rates(real(), DATA), rates(integers(dict(found.widths)), first)) == found.loss


def test_allocation_gives_more_bits_to_the_layer_that_needs_them() -> None:
    measured = measure(real(), integers, TARGET, DATA)
    at_four = [measured.taken[name, 4] for name in measured.names]
    budget = Budget(Resource.BYTES, sum(each.weights + each.states for each in at_four) // 8 + 60)
    found = allocate_bits(real(), integers, budget=budget, target=TARGET, calibration=DATA)
    assert len(set(found.widths.values())) > 1


def test_budgets_without_data_or_room_are_refused() -> None:
    def within(budget: Budget, data: dict[str, np.ndarray]) -> Graph:
        return quantize_within(
            real(),
            budget=budget,
            target=TARGET,
            weight_bits=8,
            message_bits=8,
            calibration=data,
            recipe=QUICK,
        )

    with pytest.raises(CompileError, match="NMC221"):
        within(Budget(Resource.BITS, 10**6), {})
    with pytest.raises(CompileError, match="takes at least 4340 bits, and the budget is 100"):
        within(Budget(Resource.BITS, 100), DATA)
    noted = within(Budget(Resource.BITS, 10**6), DATA)
    assert [note.code for note in noted.notes if note.code == "NMC223"] == ["NMC223"]


def test_compile_on_loihi_holds_a_budget_of_cores() -> None:
    request = Request(calibration=DATA, budget=Budget(Resource.CORES, 1))
    done = driver.compile(model(), target="loihi", request=request)
    (cores,) = [each for each in done.resources if each.name == "cores"]
    assert cores.used <= 1
    assert "NMC223" in {note.code for note in done.notes}


# ---- costs ------------------------------------------------------------------------------------------------


def test_bit_budget_is_steps_times_bits_of_weights_times_bits_of_spikes() -> None:
    coarse = integers({"l": 3, "k": 3, "m": 3})
    by_name = {cost.name: cost for cost in layer_costs(coarse, {}, 24)}
    nonzero = int(np.count_nonzero(coarse["a"].op.weight.data))  # type: ignore[union-attr]
    assert by_name["l"].synapses == nonzero
    assert by_name["l"].bit_budget == 24 * 3 * 1 * nonzero


def test_synaptic_operations_are_the_synapses_that_spikes_meet() -> None:
    coarse = integers({})
    cost = next(each for each in measured_costs(coarse, DATA) if each.name == "l")
    met = (DATA["x"][:, :16] @ (coarse["a"].op.weight.data != 0).sum(axis=0)).sum() / 16  # type: ignore[union-attr]
    assert cost.synaptic_operations == pytest.approx(met, rel=0.05), "inputs are active alike"
    assert 0 < cost.joules < 1e-3 and cost.effort == cost.synaptic_operations * 8


def test_energies_are_those_of_the_source_at_its_widths() -> None:
    assert (add(8), add(32)) == pytest.approx((0.03e-12, 0.1e-12))
    assert access(64, 8 * 8192) == 10e-12 and access(32, 8 * 8192 + 1) == 10e-12
    assert access(8, 1 << 23) == pytest.approx(12.5e-12)


def test_best_is_what_targets_do_by_default() -> None:
    from nmc.backends import quantization, registry

    defaults = {each.name: each.default for each in registry.load("loihi").settings}
    assert quantization.recipe(defaults) == BEST

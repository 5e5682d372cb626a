"""`nmc fit`: every target at once, on networks that fit, that are too large, and that no size would make fit."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from nmc.backends import registry
from nmc.backends.backend import Request
from nmc.driver import Model
from nmc.exploration.fit import fit
from nmc.ir.graph import Edge, Graph, Node
from nmc.ir.ops import Linear, MatMul, Output
from nmc.ir.tensor import Tensor
from tests.nets import chain, lif, spikes
from tests.targets import TARGET, figure


def model(graph: Graph) -> Model:
    return Model(graph, "net.nir", "0" * 64)


def dense(pre: int, post: int) -> Graph:
    weight = np.random.default_rng(0).normal(size=(post, pre))
    return chain(x=spikes(pre), fc=Linear(Tensor(weight)), lif=lif(post))


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BACKENDS", {"toy": "tests.toy:TOY"})


def test_fit_names_the_fullest_resource_of_a_model_that_fits() -> None:
    (found,) = fit(model(dense(8, 40)))
    assert found.fits
    assert found.binding is not None
    assert (found.binding.limit, found.binding.needed, found.binding.available) == ("cores", 2, 16)
    assert found.by == 2 / 16
    assert found.remedies == ()


def test_fit_names_the_limit_that_a_large_model_exceeds_and_by_how_much() -> None:
    (found,) = fit(model(dense(8, 32 * 20)))
    assert not found.fits
    assert found.binding is not None
    assert (found.binding.limit, found.binding.needed, found.binding.available) == ("cores", 20, 16)
    assert [finding.code for finding in found.findings] == ["NMC301"]


def test_fit_finds_the_mildest_setting_that_makes_a_model_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    few = MappingProxyType({**TARGET.limits, "synaptic_words_per_core": figure(128)})
    monkeypatch.setattr("tests.toy.TARGET", replace(TARGET, limits=few))
    # 120 weights take 15 words at 8 bits, 12 at 6: 8 or 10 neurons a core, of which there are 16
    too_many_words = model(dense(120, 150))
    (found,) = fit(too_many_words)
    assert not found.fits
    (remedy,) = found.remedies
    assert (remedy.setting, remedy.value) == ("weight_bits", "6")
    (narrower,) = fit(too_many_words, request=Request(settings={"weight_bits": "6"}))
    assert narrower.fits
    assert narrower.binding == remedy.binding


def test_fit_has_no_limit_and_no_remedy_where_size_is_not_what_stands_in_the_way() -> None:
    product = Graph(
        (
            Node("x", spikes(2, 2)),
            Node("product", MatMul((2, 2), (2, 2))),
            Node("lif", lif(2, 2)),
            Node("y", Output((2, 2))),
        ),
        (
            Edge("x", "product", 0, "a"),
            Edge("x", "product", 0, "b"),
            Edge("product", "lif"),
            Edge("lif", "y"),
        ),
    )
    (found,) = fit(model(product))
    assert not found.fits
    assert found.binding is None
    assert found.by is None
    assert found.findings
    assert found.remedies == ()


def test_fit_compiles_for_the_targets_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BACKENDS", {"toy": "tests.toy:TOY", "absent": "tests.toy:NONE"})
    assert [each.target for each in fit(model(dense(8, 8)), targets=("toy",))] == ["toy"]

"""Mt-KaHyPar as the partitioner."""

from dataclasses import replace

import pytest

from nmc.backends.spinnaker2.mapping import kahypar
from nmc.backends.spinnaker2.mapping.build import mapping_of
from nmc.backends.spinnaker2.mapping.partition import Partitioner
from nmc.backends.spinnaker2.mapping.place import place
from nmc.backends.spinnaker2.spec import SPINNAKER2_CHIP
from nmc.diagnostics import CompileError
from tests.backends.spinnaker2.mapping.networks import recurrent, ring, shuffled

CHIP = replace(SPINNAKER2_CHIP, sram_bytes=24_000)


def test_its_parts_fit_and_have_fewer_packets_than_slices() -> None:
    pytest.importorskip("mtkahypar")
    graph = recurrent(*shuffled(*ring(1500, 20), 1500), 1500)
    theirs, slices = (
        mapping_of(place(graph, chip=CHIP, partitioner=how), chip=CHIP)
        for how in (Partitioner.MT_KAHYPAR, Partitioner.SLICES)
    )
    assert theirs.traffic.km1 < 0.5 * slices.traffic.km1


def test_its_absence_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kahypar, "find_spec", lambda name: None)
    with pytest.raises(CompileError, match="NMC426"):
        place(recurrent(*ring(1500, 20), 1500), chip=CHIP, partitioner=Partitioner.MT_KAHYPAR)

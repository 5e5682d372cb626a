from nmc.ir.neuron import Reset
from nmc.passes.presets import PRESETS, RESETS


def test_presets_are_found_by_their_own_names() -> None:
    assert all(preset.name == name for name, preset in PRESETS.items())


def test_presets_have_the_names_that_scripts_rely_on() -> None:
    assert {"nir", "snntorch", "norse", "spyx", "py-spinnaker2", "loihi"} <= set(PRESETS)


def test_presets_have_a_title_a_source_and_a_positive_step() -> None:
    assert all(preset.title and preset.source and preset.dt > 0 for preset in PRESETS.values())


def test_resets_are_those_of_a_spike() -> None:
    assert set(RESETS.values()) == set(Reset) - {Reset.NONE}

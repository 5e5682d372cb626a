"""The settings of quantization, which every target whose neurons are integers has, and the recipe that they ask for."""

from __future__ import annotations

from collections.abc import Mapping

from nmc.backends.backend import Setting
from nmc.passes.choose_scales import BEST, Calibration, Recipe, RoundingRule, Scales

SETTINGS = (
    Setting(
        "calibration",
        BEST.calibration.value,
        tuple(each.value for each in Calibration),
        "what scales come from: the largest weight, the 99.9th percentile, squared errors, or spikes on data",
    ),
    Setting(
        "scales",
        BEST.scales.value,
        tuple(each.value for each in Scales),
        "one scale a channel where neurons have their own thresholds, one a layer, or a power of two",
    ),
    Setting(
        "rounding",
        BEST.rounding.value,
        tuple(each.value for each in RoundingRule),
        "of weights: so that sums over the data's inputs come out right, or each to the nearest",
    ),
)


def recipe(settings: Mapping[str, str]) -> Recipe:
    """The recipe of complete settings."""
    return Recipe(
        Calibration(settings["calibration"]), Scales(settings["scales"]), RoundingRule(settings["rounding"])
    )

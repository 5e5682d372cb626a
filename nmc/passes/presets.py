"""How frameworks and platforms read a NIR file: what the file leaves open, as data.

NIR gives differential equations; it has no step, no reset by subtraction, no order of current and membrane. Each
preset is one reading. Those with a recording as their source reproduce every spike of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from nmc.ir.neuron import Comparison, CurrentUsed, Reset, ResetWhen


class Integrator(Enum):
    """The decay of a state with time constant tau over a step dt."""

    EULER = "1 - dt/tau"
    EXPONENTIAL = "exp(-dt/tau)"


class Gain(Enum):
    """What a state with decay d gets of its input (times r or w_in)."""

    EULER = "dt/tau"
    HELD = "1 - d"
    """Exact for an input that is constant over the step."""
    JUMP = "d"
    """The input is added first and decays in the same step."""
    UNDO_JUMP = "dt/(tau d)"
    """1 in files whose r is tau d / dt, as Rockpool writes it."""


class BiasInto(Enum):
    """Where the constant of a weight layer acts."""

    SYNAPSE = "the synaptic current, as an input"
    MEMBRANE = "the membrane, as the value that the current would settle at"


class WeightRule(Enum):
    """What becomes of weights before anything is computed."""

    EXACT = "as in the file"
    INT8_TRUNCATED = "times 127 / max|w| over all weights of a population, cut to whole numbers, and back"


@dataclass(frozen=True, slots=True)
class Preset:
    """One reading. `dt` is the step in the file's unit of time where nobody names another."""

    name: str
    title: str
    source: str
    dt: float = 1e-4
    in_steps: bool = False
    """The unit of time in the file is the step, not the second."""
    integrator: Integrator = Integrator.EULER
    membrane_gain: Gain = Gain.EULER
    synapse_gain: Gain = Gain.EULER
    current: CurrentUsed = CurrentUsed.NEW
    comparison: Comparison = Comparison.ABOVE
    reset: Reset = Reset.TO_VALUE
    subtract_when: ResetWhen = ResetWhen.SAME_STEP
    """When a reset by subtraction acts on neurons without a synaptic current."""
    subtract_when_cuba: ResetWhen = ResetWhen.SAME_STEP
    """The same for neurons with one."""
    clamp_if: bool = False
    """Integrate-and-fire neurons do not fall below -threshold."""
    connection_delay: int = 0
    """Steps that every connection into a neuron takes. A loop then needs no other delay."""
    delay_before_weights: bool = True
    """The step of a loop is taken before its weights, so that their bias acts in step 0; else after them."""
    bias_into: BiasInto = BiasInto.SYNAPSE
    weights: WeightRule = WeightRule.EXACT


_BRAILLE = "recording of the NIR paper's Braille network, 256 steps x 38 neurons, no spike differs"

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            Preset("nir", "forward Euler of NIR's equations", "NIR 1.0.8, docs/source/primitives.md"),
            Preset(
                "snntorch",
                "snnTorch's import of NIR (Leaky and Synaptic with reset_delay=False)",
                _BRAILLE,
                subtract_when=ResetWhen.SAME_STEP_ONCE,
                subtract_when_cuba=ResetWhen.SAME_STEP_ONCE,
            ),
            Preset(
                "norse",
                "Norse's import of NIR; its recurrent layers add no recurrent bias in step 0",
                _BRAILLE,
                delay_before_weights=False,
            ),
            Preset(
                "spyx",
                "Spyx: spikes from the membrane of the step before, reset by subtraction",
                _BRAILLE + "; spyx/nn.py: LIF subtracts after the leak, CuBaLIF before it",
                reset=Reset.SUBTRACT,
                subtract_when=ResetWhen.NEXT_AFTER_LEAK,
                connection_delay=1,
                delay_before_weights=False,
            ),
            Preset(
                "py-spinnaker2",
                "SpiNNaker2 through py-spinnaker2: truncated weights, one step per connection",
                _BRAILLE + ", of the chip itself",
                connection_delay=1,
                delay_before_weights=False,
                bias_into=BiasInto.MEMBRANE,
                weights=WeightRule.INT8_TRUNCATED,
            ),
            Preset(
                "loihi",
                "Loihi through Lava, in reals: one step per connection",
                "recording of Lava's floating-point LIF for the NIR paper, v within 1e-6",
                connection_delay=1,
                delay_before_weights=False,
            ),
            Preset(
                "sinabs",
                "Sinabs: exact exponential decay, time in steps, v >= threshold",
                "sinabs 3.1.3, layers/functional/lif.py, nir.py",
                dt=1.0,
                in_steps=True,
                integrator=Integrator.EXPONENTIAL,
                membrane_gain=Gain.HELD,
                synapse_gain=Gain.HELD,
                comparison=Comparison.AT_LEAST,
                clamp_if=True,
            ),
            Preset(
                "spikingjelly",
                "SpikingJelly: forward Euler, v >= threshold",
                "spikingjelly 2.0, activation_based/nir_exchange",
                comparison=Comparison.AT_LEAST,
            ),
            Preset(
                "rockpool",
                "Rockpool: exponential decay, several spikes a step, each subtracting the threshold",
                "rockpool 3.1, nn/modules/torch/lif_torch.py, nir.py; recording of the NIR paper's single neuron",
                integrator=Integrator.EXPONENTIAL,
                membrane_gain=Gain.UNDO_JUMP,
                synapse_gain=Gain.JUMP,
                comparison=Comparison.AT_LEAST,
                reset=Reset.MULTI_SPIKE,
            ),
        )
    }
)
"""Every preset by its name."""

RESETS: Mapping[str, Reset] = MappingProxyType(
    {"zero": Reset.TO_VALUE, "subtract": Reset.SUBTRACT, "multi-spike": Reset.MULTI_SPIKE}
)
"""What the user may ask for instead of a preset's reset; `zero` is the file's v_reset, which is 0 as a rule."""

"""Loihi as data: what its neurons compute, what it holds, and what things cost; each figure with its source."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from nmc.ir.fixed import Overflow, Rounding
from nmc.ir.neuron import Arithmetic, Comparison, DecayForm, Reset, ResetWhen
from nmc.ir.ops import Family
from nmc.target import Basis, Figure, TargetSpec, WeightFormat

# ---- sources ----------------------------------------------------------------------------------------------

DAVIES = (
    "Davies et al., Loihi: a neuromorphic manycore processor with on-chip learning, IEEE Micro 38(1), 2018"
)
BRIAN2LOIHI = "Michaelis et al., Brian2Loihi, Frontiers in Neuroinformatics 16, 2022"
LAVA = "lava-nc 0.10.0"
SANAFE = "SANA-FE 2.2.9, loihi.yaml (Boyle et al., IEEE TCAD, 2025, doi 10.1109/TCAD.2025.3537971)"

# ---- neurons ----------------------------------------------------------------------------------------------

STOCK = Arithmetic(
    v_bits=24,  # uv_bitwidth; lava-nc 0.10.0, proc/lif/models.py
    i_bits=24,
    decay_form=DecayForm.MULTIPLY,
    decay_bits=12,  # decay_shift, ibid.
    rounding=Rounding.TO_ZERO,  # sign * (|x| >> 12), ibid.
    v_overflow=Overflow.SATURATE_SYMMETRIC,  # clip to +-(2**23 - 1), ibid.
    i_overflow=Overflow.WRAP_ONCE,  # one fold at 2**23, ibid.
    comparisons=(Comparison.ABOVE,),
    resets=((Reset.TO_VALUE, ResetWhen.SAME_STEP),),
    threshold_bits=17,  # docstring of PyLifModelBitAcc, ibid.
    threshold_shift=6,  # vth_shift, ibid.
    input_shift=6,  # act_shift, ibid.
    bias_bits=13,  # docstring of PyLifModelBitAcc, ibid.
    bias_shift=7,  # 3 bits of exponent, ibid.
    heterogeneous=("bias",),  # du, dv and vth are one number a process: proc/lif/process.py
    v_decays=(1, 4096),  # 4096 - dv with dv of 12 bits
    i_decays=(0, 4095),  # 4096 - (du + 1) with du of 12 bits
)
"""Lava's LIF, fixed point."""

PROGRAMMED = replace(
    STOCK,
    comparisons=tuple(Comparison),
    resets=tuple(
        (reset, when)
        for reset in Reset
        for when in ResetWhen
        if when is not ResetWhen.SAME_STEP_ONCE or reset is Reset.SUBTRACT
    ),
    minimum=True,
    clocked=True,
    refractory=63,  # 6 bits, as Loihi's own refractory delay; Davies 2018 (see DAVIES)
    heterogeneous=("bias", "decay", "synapse_decay", "threshold"),
    v_decays=(0, 4096),
    i_decays=(0, 4096),
)
"""`ProgrammedLIF` of the emitted script: Lava's LIF with other spikes and resets, on Lava's CPU backend only."""


def _documented(value: float, unit: str, source: str) -> Figure:
    return Figure(value, unit, source, Basis.DOCUMENTED)


def _measured(value: float, unit: str) -> Figure:
    return Figure(value, unit, SANAFE, Basis.MEASURED)


def _assumed(value: float, unit: str, source: str) -> Figure:
    return Figure(value, unit, source, Basis.ASSUMED)


# ---- what a chip holds ------------------------------------------------------------------------------------

LIMITS = MappingProxyType(
    {
        "cores": _documented(128, "cores", f"{DAVIES}"),
        "neurons_per_core": _documented(1024, "neurons", f"{DAVIES}"),
        # 128 KiB a core are 16384 words of 64 bits, of which 4 are not for synapses.
        "synaptic_words_per_core": _documented(16380, "words", f"{DAVIES}"),
        "synaptic_word_bits": _documented(64, "bits", f"{DAVIES}"),
        "input_axons_per_core": _documented(
            4096, "axons", "NxSDK documentation, as nengo-loihi 1.0 checks it"
        ),
        "output_axons_per_core": _documented(
            4096, "axons", "NxSDK documentation, as nengo-loihi 1.0 checks it"
        ),
        # The mesh of the cost model; the chip's is the same up to where its three x86 cores sit.
        "mesh_columns": _documented(8, "tiles", SANAFE),
        "mesh_rows": _documented(4, "tiles", SANAFE),
        "cores_per_tile": _documented(4, "cores", SANAFE),
        "link_buffer": _assumed(16, "messages", SANAFE),
    }
)

# ---- what things cost, Loihi 1 ----------------------------------------------------------------------------

COSTS = MappingProxyType(
    {
        "access_energy": _measured(51.2e-12, "J a neuron and step"),
        "access_time": _measured(6.0e-9, "s a neuron and step"),
        "update_energy": _measured(21.6e-12, "J an active neuron and step"),
        "update_time": _measured(3.7e-9, "s an active neuron and step"),
        "spike_energy": _measured(69.3e-12, "J a spike"),
        "spike_time": _measured(30.0e-9, "s a spike"),
        "message_out_energy": _measured(111.0e-12, "J a message"),
        "message_out_time": _measured(5.1e-9, "s a message"),
        "message_in_time": _measured(16.0e-9, "s a message"),
        "dense_energy": _measured(35.5e-12, "J a synaptic event"),
        "dense_time": _measured(3.8e-9, "s a synaptic event"),
        "sparse_energy": _measured(33.6e-12, "J a synaptic event"),
        "sparse_time": _measured(4.7e-9, "s a synaptic event"),
        "conv_energy": _measured(24.0e-12, "J a synaptic event"),
        "conv_time": _measured(3.1e-9, "s a synaptic event"),
        "hop_x_energy": _measured(3.0e-12, "J a hop east or west"),
        "hop_x_time": _measured(4.1e-9, "s a hop east or west"),
        "hop_y_energy": _measured(4.2e-12, "J a hop north or south"),
        "hop_y_time": _measured(6.5e-9, "s a hop north or south"),
        "barrier_time_from_1_tile": _measured(0.6e-6, "s a step"),
        "barrier_time_from_2_tiles": _measured(1.0e-6, "s a step"),
        "barrier_time_from_4_tiles": _measured(1.4e-6, "s a step"),
        "barrier_time_from_29_tiles": _measured(1.8e-6, "s a step"),
    }
)

BASIS = f"modelled for Loihi 1 with the figures of {SANAFE}"
"""What an energy or a time of this target rests on. No figure per operation is public for Loihi 2."""

LOIHI = TargetSpec(
    name="loihi",
    title="Intel Loihi through Lava 0.10.0, fixed point; cores and costs are those of Loihi 1",
    source=f"{LAVA}; {DAVIES}",
    neurons=MappingProxyType({Family.CUBALIF: STOCK}),
    programmable=MappingProxyType({Family.CUBALIF: PROGRAMMED, Family.CUBALI: PROGRAMMED}),
    weights=WeightFormat(
        bits=tuple(range(2, 9)),  # num_weight_bits, sign included; lava-nc 0.10.0, utils/weightutils.py
        shift=1,  # weights of mixed sign are even, ibid.
        exponents=(-8, 7),  # see BRIAN2LOIHI
        unscaled=("Conv",),  # Lava's fixed-point Conv ignores weight_exp: proc/conv/models.py
    ),
    connections=("Linear", "Sparse", "Conv"),
    connection_delay=1,  # Lava sends in step t + 1 what a connection summed in step t: proc/dense/models.py
    max_delay=_documented(62, "steps", f"{DAVIES}; {LAVA} holds 63"),
    message_bits=24,  # graded messages are Loihi 2's; Lava's Conv takes 24 bits: proc/conv/models.py
    limits=LIMITS,
    costs=COSTS,
)

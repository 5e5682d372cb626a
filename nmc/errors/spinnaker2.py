"""Findings of the SpiNNaker2 backend."""

from collections.abc import Mapping

from nmc.errors.entry import Entry, Section

ENTRIES: Mapping[str, Entry] = {
    "NMC420": Entry(
        "a many-core that cannot be read",
        "`--set chip=` takes the name of a many-core that nmc knows or a TOML file with the fields of `spec.Chip`: "
        "`chips`, `quads`, `pes_per_quad`, `sram_bytes`, `router_entries`, `clock_hz`, `dead` and others. What the "
        "file leaves out is as on SpiNNaker2.",
        "`chips = [[0, 0], [2, 0]]` leaves a gap that packets cannot pass: use neighbours in the mesh.",
    ),
    "NMC421": Entry(
        "no such PE",
        "Dead PEs are named by x and y of their quad and their number in it, `x.y.p`, as SpiNNMachine does; where "
        "there are several chips, x and y of the chip come first: `x.y:x.y.p`.",
        '`dead = ["4.3.0"]`: SpiNNaker2 has no quad at (4, 3).',
    ),
    "NMC422": Entry(
        "a neuron that fits no PE",
        "Neurons, rings of sums and synapses of a part must fit the SRAM of a PE, beside program and stack. Synapses "
        "of lists and matrices spread over several PEs if need be; kernels of a convolution do not, and a single row "
        "must fit.",
        "A convolution of 4,000 channels in: its kernels for one channel out are more than 128 kB. Use groups.",
    ),
    "NMC423": Entry(
        "more PEs than there are",
        "The network was cut into as few parts as memory allows, and they are more than the many-core has PEs that "
        "work. The help says which change is smallest that makes it fit.",
        "A layer of 20,000 x 2,000 weights is 40 MB: take several chips, `chips = [2, 1]` in a TOML file.",
    ),
    "NMC424": Entry(
        "a routing table that is too long",
        "A router holds 16,384 entries. Tables are compressed, and where that is not enough neighbouring neurons of a "
        "part share a route; with one entry for each part it is still too long.",
        "More than 16,384 parts whose packets all pass one chip: use fewer, larger parts.",
    ),
    "NMC425": Entry(
        "no keys left",
        "Every source of packets has a block of keys of its own, a power of two; together they must fit the bits of a "
        "key.",
        "`key_bits = 8` in a TOML file, and more than 256 neurons: SpiNNaker2 has 32.",
    ),
    "NMC426": Entry(
        "the partitioner is not installed",
        "`--set partitioner=mtkahypar` asks for Mt-KaHyPar, an optional package. nmc's own partitioner needs nothing.",
        "`pip install mtkahypar`, or leave the setting out.",
    ),
    "NMC435": Entry(
        "sums that no ring holds",
        "The sums of a step stand in 16 or 32 bits, whichever the actual weights prove to be enough. Here some input "
        "could make a sum of 32 bits overflow.",
        "2,000 graded inputs of 16 bits with weights of 8 bits sum to 33 bits: use `--set message_bits=8`.",
    ),
    "NMC436": Entry(
        "no compiler for the firmware",
        "The programs of PEs are C; clang, as the package `ziglang` brings it, compiles them, and the emulator "
        "`unicorn` measures what they cost. Both come with the extra `spinnaker2`.",
        "pip install 'nmc[spinnaker2]'",
    ),
    "NMC437": Entry(
        "firmware that was not built",
        "The compiler refused the firmware, or its code is larger than the 4,096 bytes of a PE that are kept for it. "
        "The message has the compiler's own words.",
        "Another version of `ziglang` than the extra asks for: pip install 'nmc[spinnaker2]'.",
    ),
    "NMC438": Entry(
        "an artifact that is no program",
        "`network.json` or a file that it names is missing or is not what this version of nmc writes.",
        "A folder that another version wrote: compile the model again.",
    ),
    "NMC439": Entry(
        "single precision does not hold it",
        "Neurons in floats take sums of whole weights, which single precision holds exactly up to 2**24; values "
        "between populations and graded inputs have no whole numbers.",
        "`--set arithmetic=integer` quantizes states as well.",
    ),
    "NMC440": Entry(
        "weights as whole numbers",
        "With neurons in floats, the weights into a population become whole multiples of one number, and thresholds, "
        "biases and states are scaled along with them. The note says which number, and how far a weight moved.",
        "The preset `py-spinnaker2` cuts weights to int8 itself: then none moves.",
    ),
}

SECTION = Section(420, 449, ENTRIES)

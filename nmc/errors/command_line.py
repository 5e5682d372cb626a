"""Findings of the command line and of tools."""

from collections.abc import Mapping

from nmc.errors.entry import Entry, Section

ENTRIES: Mapping[str, Entry] = {
    "NMC900": Entry(
        "there is no such target",
        "`--target` names a chip or fabric that nmc compiles for. `nmc targets` lists them.",
        "`nmc compile net.nir --target loihy -o out`: write `--target loihi`.",
    ),
    "NMC901": Entry(
        "there is no such pass",
        "`--dump-after` and `--stop-after` name one of the passes that the target runs. Which these "
        "are, and in which order, `nmc passes --target NAME` shows.",
        "`--stop-after quantise`: the pass is called `quantize`.",
    ),
    "NMC902": Entry(
        "the target has no such setting, or not with this value",
        "Each target has settings of its own, given as `--set name=value`. `nmc targets NAME` lists "
        "them with their defaults and choices.",
        "`--set weight_bit=4`: the setting is called `weight_bits`.",
    ),
    "NMC903": Entry(
        "there is no such engine or tool",
        "An artifact runs on `golden`, on `machine`, and on the witnesses of its target, which `nmc "
        "tools` lists.",
        "`nmc simulate out --engine lavva --input in.npz`: write `--engine lava`.",
    ),
    "NMC904": Entry(
        "there is no such variable to record",
        "`--record` takes NODE.VAR: a population of the network, and `spikes`, `v` (the membrane) "
        "or, where there is a synaptic current, `i`; or the output of an ONNX step model that is a state. "
        "A population that only integrates has no "
        "spikes. `nmc inspect` shows the names; in an artifact they are those of the lowered graph.",
        "`--record fc1.v`: `fc1` is a layer of weights; record `lif1.v`.",
    ),
    "NMC905": Entry(
        "the option does not apply",
        "`--dt`, `--preset` and `--reset` say what a model file leaves open, `--state`, `--time-axis` and "
        "`--steps-in-file` what an ONNX file does; an artifact has settled that. `machine` and the witnesses "
        "run an artifact, not a model.",
        "`nmc simulate out --dt 1e-3 --input in.npz`: compile again with `--dt 1e-3`.",
    ),
    "NMC906": Entry(
        "there is no such code",
        "`nmc explain` knows the codes that findings begin with. Without a code it lists them all.",
        "`nmc explain 12`: write `nmc explain NMC012`.",
    ),
    "NMC907": Entry(
        "a witness cannot run here",
        "A witness is a simulator that is not part of nmc and has to be installed: `nmc tools` says "
        "which are here and what installs the others. The message quotes the witness where it ran "
        "and failed.",
        "`nmc verify out --engine lava`, without Lava: run `nmc tools install lava` once.",
    ),
    "NMC908": Entry(
        "an artifact has no graph",
        "Every artifact holds the graph that was lowered for its target, `graph.nmc`; golden runs "
        "it. The folder was not written by `nmc compile`, or not by this version.",
        "A manifest that does not list `graph.nmc`: compile the model again.",
    ),
    "NMC909": Entry(
        "the file system refuses",
        "A file cannot be read or written: it is not there, may not be touched, or the disk is full.",
        "`--output /out.npz` without the right to write there: choose another place.",
    ),
    "NMC910": Entry(
        "a tool was not installed",
        "The message says why. What pip cannot fetch, it says in its own words; what nmc cannot "
        "install, you install yourself.",
        "`nmc tools install lava` without a network: run it again with one. It is needed only once.",
    ),
    "NMC911": Entry(
        "the file is no file of named arrays",
        'Inputs are read from `.npz` files: `numpy.savez("in.npz", x=spikes, y=labels)` writes one. '
        "Python objects are not read from them.",
        "A `.npy` file holds one array without a name: write an `.npz`.",
    ),
    "NMC912": Entry(
        "there is no array for the labels",
        "`--labels NAME` names the array of IN.npz that holds one class for each sample.",
        "`--labels label`, where the file holds `x` and `y`: write `--labels y`.",
    ),
    "NMC913": Entry(
        "an array has no such axis",
        "`--batch-axis K` says which axis of the arrays counts the samples, from 0, or from the end "
        "with a minus sign. Without it, axis 0 is time and axis 1 the samples.",
        "`--batch-axis 3` for an array of three axes: they are 0, 1 and 2.",
    ),
    "NMC920": Entry(
        "a population never spiked",
        "`nmc verify` compares what happens, and here nothing did: neurons that stay silent are "
        "compared in their membranes only. Random spikes, which it uses without `--input`, may be "
        "too few for a network, and a model that was read with a wrong step hardly spikes at all.",
        "Give `nmc verify` data of your own, `--input test.npz`; compile a file of Sinabs with `--preset sinabs`.",
    ),
    "NMC921": Entry(
        "a witness was left out",
        "Without `--engine`, `nmc verify` runs every witness that is ready here, and says which are "
        "not or took too long. With `--engine NAME`, a witness that cannot run is an error.",
        "`nmc tools install lava`, and verify again.",
    ),
}
SECTION = Section(900, 939, ENTRIES)

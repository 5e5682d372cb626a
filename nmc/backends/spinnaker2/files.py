"""The program as files, and read back: a description in JSON, images, ELFs, routing tables, the firmware's source."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nmc.backends.spinnaker2 import build
from nmc.backends.spinnaker2.image import Image, image
from nmc.backends.spinnaker2.mapping.mapping import Table
from nmc.backends.spinnaker2.program import (
    SWITCHES,
    Array,
    Entrance,
    Exit,
    Group,
    Kind,
    Network,
)
from nmc.backends.spinnaker2.spec import LINKS, Chip
from nmc.diagnostics import CompileError, Loc, error
from nmc.ir.ops import Signal, SignalKind
from nmc.ir.tensor import FixedPoint

FORMAT = "nmc.spinnaker2/1"
NETWORK_FILE, NEURONS_FILE = "network.json", "neurons.bin"
FIRMWARE, IMAGES, ROUTING, RECORDED = "firmware", "images", "routing", "replay"
REPLAY = "replay.py"


@dataclass(frozen=True, slots=True)
class Placed:
    """A PE as the files have it: what runs on it, whose neurons it has, its image."""

    pe: int
    kind: Kind
    part: int
    population: str
    neurons: Array
    key: int
    sends: bool
    bytes: int
    """The address behind all that is used of its memory, the stack left out."""
    states: tuple[int, int]
    """Where its sums begin, and where its neurons end that follow them."""
    image: bytes


@dataclass(frozen=True, slots=True)
class Program:
    """What the machine and the emulator run."""

    chip: Chip
    inputs: tuple[Entrance, ...]
    populations: tuple[Group, ...]
    outputs: tuple[Exit, ...]
    pes: tuple[Placed, ...]
    tables: tuple[Table, ...]
    elves: Mapping[str, bytes]
    costs: Mapping[str, Array]
    """Of each kind: (2, counts): instructions and cycles, see `core.py`."""
    tick_cycles: int

    def group(self, name: str) -> Group:
        """A population by its name."""
        return next(each for each in self.populations if each.name == name)


# ---- write ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Built:
    """What was made of a network besides its data: programs, images, and what they cost."""

    elves: Mapping[str, bytes]
    images: tuple[Image, ...]
    costs: Mapping[str, Array]
    tick_cycles: int


def images_of(network: Network) -> tuple[Image, ...]:
    """The image of every PE."""
    return tuple(image(pe) for pe in network.pes)


def write(network: Network, built: Built) -> dict[str, bytes]:
    """The files by name. Equal programs give equal bytes."""
    found = {f"{FIRMWARE}/{name}": content for name, content in build.sources().items()}
    for kind in {pe.kind.name: pe.kind for pe in network.pes}.values():
        found[f"{FIRMWARE}/{kind.name}/kind.h"] = kind.header.encode()
        found[f"{FIRMWARE}/{kind.name}/pe.elf"] = built.elves[kind.name]
    for pe, each in zip(network.pes, built.images, strict=True):
        found[image_name(network.chip, pe.pe)] = each.content
    ids = [each.neurons for each in (*network.pes, *network.inputs)]
    found[NEURONS_FILE] = np.concatenate(ids).astype("<i4").tobytes() if ids else b""
    for table in network.tables:
        name = table_name(network.chip, table.chip)
        found[f"{name}.bin"] = table_bytes(table)
        found[f"{name}.txt"] = table_text(network.chip, table).encode()
    found[NETWORK_FILE] = describe(network, built)
    return found


def describe(network: Network, built: Built) -> bytes:
    """The description of a program that the other files are parts of."""
    return (json.dumps(_document(network, built), indent=1) + "\n").encode()


def image_name(chip: Chip, pe: int) -> str:
    """The file of a PE's image."""
    return f"{IMAGES}/{chip.name_of(pe).replace(':', '-')}.bin"


def replay_name(chip: Chip, pe: int) -> str:
    """The file of what a PE received and sent in a recorded run."""
    return f"{RECORDED}/{chip.name_of(pe).replace(':', '-')}.bin"


def table_name(chip: Chip, index: int) -> str:
    """The files of a chip's routing table, without their endings."""
    x, y = chip.chips[index]
    return f"{ROUTING}/chip-{x}-{y}"


def table_bytes(table: Table) -> bytes:
    """A routing table: for each entry key, mask (32 bits) and route (64-bit words), little endian."""
    words = table.route.shape[1]
    rows = np.zeros((table.entries, 2 + 2 * words), "<u4")
    rows[:, 0], rows[:, 1] = table.key, table.mask
    rows[:, 2:] = np.ascontiguousarray(table.route).astype("<u8").view("<u4").reshape(table.entries, -1)
    return rows.tobytes()


def table_text(chip: Chip, table: Table) -> str:
    """A routing table for people."""
    bits = np.unpackbits(table.route.astype("<u8").view(np.uint8), axis=1, bitorder="little")
    lines = [f"# chip {chip.chips[table.chip]}: {table.entries} entries; the first that matches counts\n"]
    for key, mask, route in zip(table.key.tolist(), table.mask.tolist(), bits, strict=True):
        ways = [f"link {link}" for link in range(len(LINKS)) if route[link]]
        for pe in np.flatnonzero(route[len(LINKS) :][: chip.pes_per_chip]):
            ways.append(f"PE {chip.name_of(table.chip * chip.pes_per_chip + int(pe))}")
        lines.append(f"{key:08x} {mask:08x} {', '.join(ways)}\n")
    return "".join(lines)


def _document(network: Network, built: Built) -> dict[str, Any]:
    at = 0
    spans: list[tuple[int, int]] = []
    for each in (*network.pes, *network.inputs):
        spans.append((at, len(each.neurons)))
        at += len(each.neurons)
    kinds = {pe.kind.name: pe.kind for pe in network.pes}
    return {
        "format": FORMAT,
        "chip": _chip(network.chip),
        "tick": {"cycles": built.tick_cycles, "seconds": built.tick_cycles / network.chip.clock_hz},
        "inputs": [
            {
                "name": each.name, "shape": each.signal.shape, "kind": each.signal.kind.value,
                "number": None if each.signal.number is None else asdict(each.signal.number),
                "key": each.key, "sends": each.sends, "neurons": spans[len(network.pes) + k],
            }
            for k, each in enumerate(network.inputs)
        ],
        "populations": [{"name": each.name, "shape": each.shape} for each in network.populations],
        "outputs": [asdict(each) for each in network.outputs],
        "kinds": [
            {
                "name": name, "elf": f"{FIRMWARE}/{name}/pe.elf", "build": build.command(name),
                "switches": dict(zip(SWITCHES, kind.values, strict=True)),
                "instructions": built.costs[name][0].tolist(), "cycles": built.costs[name][1].tolist(),
            }
            for name, kind in kinds.items()
        ],
        "pes": [
            {
                "pe": pe.pe, "place": network.chip.name_of(pe.pe), "population": pe.population, "part": pe.part,
                "kind": pe.kind.name, "image": image_name(network.chip, pe.pe), "neurons": spans[k],
                "replay": replay_name(network.chip, pe.pe), "key": pe.key, "sends": pe.sends,
                "bytes": built.images[k].used,
                "memory": {each.name: [each.start, each.size] for each in built.images[k].regions},
            }
            for k, pe in enumerate(network.pes)
        ],
        "routing": [
            {"chip": table.chip, "entries": table.entries, "file": f"{table_name(network.chip, table.chip)}.bin"}
            for table in network.tables
        ],
    }  # fmt: skip


def _chip(chip: Chip) -> dict[str, Any]:
    return asdict(chip) | {"dead": sorted(chip.dead)}


# ---- read -------------------------------------------------------------------------------------------------


def read(found: Mapping[str, bytes]) -> Program:
    """The program in an artifact's files. Raises CompileError (NMC438) if they are none."""
    if NETWORK_FILE not in found:
        message = f"the artifact has no `{NETWORK_FILE}`"
        raise CompileError(error("NMC438", message, Loc("<artifact>"), help="compile the model again"))
    try:
        return _read(found)
    except (KeyError, ValueError, TypeError, IndexError) as broken:
        message = f"the artifact's `{NETWORK_FILE}` is not a program: {broken!r}"
        raise CompileError(
            error("NMC438", message, Loc(NETWORK_FILE), help="compile the model again")
        ) from broken


def _read(found: Mapping[str, bytes]) -> Program:
    document = json.loads(found[NETWORK_FILE])
    if document["format"] != FORMAT:
        raise ValueError(document["format"])
    chip = _chip_of(document["chip"])
    ids = np.frombuffer(found[NEURONS_FILE], "<i4").astype(np.int64)

    def neurons(span: list[int]) -> Array:
        return ids[span[0] : span[0] + span[1]]

    kinds = {
        each["name"]: Kind(tuple(each["switches"][name] for name in SWITCHES)) for each in document["kinds"]
    }
    return Program(
        chip,
        tuple(
            Entrance(each["name"], _signal(each), neurons(each["neurons"]), each["key"], each["sends"])
            for each in document["inputs"]
        ),
        tuple(Group(each["name"], tuple(each["shape"])) for each in document["populations"]),
        tuple(Exit(each["name"], each["of"], each["delay"]) for each in document["outputs"]),
        tuple(
            Placed(
                each["pe"],
                kinds[each["kind"]],
                each["part"],
                each["population"],
                neurons(each["neurons"]),
                each["key"],
                each["sends"],
                max(start + size for start, size in each["memory"].values()),
                (each["memory"]["ring"][0], sum(each["memory"]["neurons"])),
                found[each["image"]],
            )
            for each in document["pes"]
        ),
        tuple(_table(each["chip"], found[each["file"]], each["entries"]) for each in document["routing"]),
        {each["name"]: found[each["elf"]] for each in document["kinds"]},
        {each["name"]: np.array([each["instructions"], each["cycles"]]) for each in document["kinds"]},
        document["tick"]["cycles"],
    )


def _chip_of(fields: dict[str, Any]) -> Chip:
    return Chip(
        name=fields["name"],
        chips=_places(fields["chips"]),
        quads=_places(fields["quads"]),
        pes_per_quad=fields["pes_per_quad"],
        sram_bytes=fields["sram_bytes"],
        router_entries=fields["router_entries"],
        clock_hz=fields["clock_hz"],
        link_capacity=fields["link_capacity"],
        ports=_places(fields["ports"]),
        host=(fields["host"][0], fields["host"][1]),
        key_bits=fields["key_bits"],
        dead=frozenset(fields["dead"]),
    )


def _places(pairs: list[list[int]]) -> tuple[tuple[int, int], ...]:
    return tuple((x, y) for x, y in pairs)


def _signal(fields: dict[str, Any]) -> Signal:
    number = None if fields["number"] is None else FixedPoint(**fields["number"])
    return Signal(tuple(fields["shape"]), SignalKind(fields["kind"]), number)


def _table(chip: int, content: bytes, entries: int) -> Table:
    rows = np.frombuffer(content, "<u4").reshape(entries, -1)
    route = np.ascontiguousarray(rows[:, 2:]).view("<u8")
    return Table(chip, rows[:, 0].copy(), rows[:, 1].copy(), route.copy())

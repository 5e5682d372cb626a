"""SpiNNaker2 as data: its chips, quads and PEs, what each holds, and what things cost; each figure with its source."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from nmc.target import Basis, Figure

# ---- sources ----------------------------------------------------------------------------------------------

DATASHEET = "SpiNNaker2 datasheet v0.03"
SPINNMACHINE = "SpiNNMachine 7.4.1, version/version_spin2.py"
SPINNMACHINE_48 = "SpiNNMachine 7.4.1, version/version_248.py"
M4F_22FDX = "a Cortex-M4F test chip in 22FDX, 6.88 uW/MHz, times the cycles of this project's own kernels"
KERNELS = "this project's own firmware, counted in an emulator"
THIS_MODEL = "an assumption of this project's model of the network"

# ---- the chip ---------------------------------------------------------------------------------------------

Position = tuple[int, int]

LINKS: tuple[Position, ...] = ((1, 0), (1, 1), (0, 1), (-1, 0), (-1, -1), (0, -1))
"""Where each of a chip's six links leads: east, north-east, north, west, south-west, south, as on SpiNNaker."""

QUADS: tuple[Position, ...] = tuple(
    (x, y) for y in range(1, 7) for x in range(1, 8) if (x, y) not in {(4, 3), (4, 4), (7, 3), (7, 4)}
)
"""The 38 quads of a chip by place on its grid. SpiNNMachine 7.4.1, version_spin2.py, QUAD_MAP."""

BOARD_48: tuple[Position, ...] = tuple(
    (x, y) for x in range(8) for y in range(8) if max(0, x - 4) <= y <= min(7, x + 3)
)
"""The chips of a board of 48. SpiNNMachine 7.4.1, version_248.py, CHIPS_PER_BOARD."""

PORTS: tuple[Position, ...] = ((7, 3), (7, 6), (4, 6), (1, 3), (1, 1), (4, 1))
"""Where on a chip's grid each link enters and leaves. No source says: the edge on its own side."""


@dataclass(frozen=True, slots=True)
class Chip:
    """A many-core: `chips` that are all alike, by place in the mesh of their links.

    A PE's index is `(chip * len(quads) + quad) * pes_per_quad + pe`. `quads` are places on the chip's grid, whose
    XY network also has a router at places without a quad; links to other chips enter and leave it at `ports`, the
    host's packets at `host` on the first chip. `link_capacity` is packets a second on one link of the grid or
    between chips. A PE of `dead` is given no work; packets still pass its quad.
    """

    name: str = "spinnaker2"
    chips: tuple[Position, ...] = ((0, 0),)
    quads: tuple[Position, ...] = QUADS
    pes_per_quad: int = 4
    sram_bytes: int = 131_072
    router_entries: int = 16_384
    clock_hz: float = 150e6
    link_capacity: float = 150e6
    ports: tuple[Position, ...] = PORTS
    host: Position = (4, 3)
    key_bits: int = 32
    dead: frozenset[int] = frozenset()

    @property
    def pes_per_chip(self) -> int:
        """How many PEs a chip has, dead ones included."""
        return len(self.quads) * self.pes_per_quad

    @property
    def pes(self) -> int:
        """How many PEs there are, dead ones included."""
        return len(self.chips) * self.pes_per_chip

    @property
    def alive(self) -> tuple[int, ...]:
        """The PEs that work, ascending."""
        return tuple(pe for pe in range(self.pes) if pe not in self.dead)

    def index(self, chip: int, quad: int, pe: int) -> int:
        """The index of a PE, from the index of its chip and of its quad in them."""
        return (chip * len(self.quads) + quad) * self.pes_per_quad + pe

    def place(self, index: int) -> tuple[int, int, int]:
        """(chip, quad, pe) of a PE's index."""
        rest, pe = divmod(index, self.pes_per_quad)
        return *divmod(rest, len(self.quads)), pe

    def name_of(self, index: int) -> str:
        """A PE as people write it, `x.y.p` of quad and PE as SpiNNMachine has it, before it `x.y:` of the chip."""
        chip, quad, pe = self.place(index)
        (x, y), (quad_x, quad_y) = self.chips[chip], self.quads[quad]
        return (f"{x}.{y}:" if len(self.chips) > 1 else "") + f"{quad_x}.{quad_y}.{pe}"


SPINNAKER2_CHIP = Chip()
SPINNAKER2_BOARD = Chip(name="spinnaker2-48", chips=BOARD_48)

CHIPS = MappingProxyType({each.name: each for each in (SPINNAKER2_CHIP, SPINNAKER2_BOARD)})
"""The many-cores that are known by name; others come from a file, see `chip.py`."""


def _documented(value: float, unit: str, source: str) -> Figure:
    return Figure(value, unit, source, Basis.DOCUMENTED)


def _assumed(value: float, unit: str, source: str) -> Figure:
    return Figure(value, unit, source, Basis.ASSUMED)


LIMITS = MappingProxyType(
    {
        "pes": _documented(152, "PEs a chip", f"{DATASHEET}; {SPINNMACHINE}"),
        "quads": _documented(38, "quads a chip", f"{DATASHEET}; {SPINNMACHINE}"),
        "sram": _documented(131_072, "bytes a PE", DATASHEET),
        "dram": _documented(1_073_741_824, "bytes a chip, LPDDR4", SPINNMACHINE),
        "router_entries": _documented(16_384, "entries a chip", f"{DATASHEET}; {SPINNMACHINE}"),
        "links": _documented(6, "links a chip", DATASHEET),
        "key_bits": _documented(32, "bits a key", DATASHEET),
        "board": _documented(48, "chips a board", SPINNMACHINE_48),
        "clock": _documented(150e6, "Hz, or 300e6", SPINNMACHINE),
        "link_capacity": _assumed(150e6, "packets a second and link, one a cycle", THIS_MODEL),
        "atoms_per_pe": _documented(
            250, "neurons, in py-spinnaker2's programs; no limit here", "py-spinnaker2"
        ),
    }
)
"""What a chip holds, as `Chip` has it by default."""

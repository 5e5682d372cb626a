"""What the streams of a design become at its edge: AXI4-Stream, address events, or bytes on a serial line."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from nmc.backends.fpga.program import Design, Io

PORTS = 32
"""Inputs, and outputs, that a header byte of the serial line can name: five bits (nmc_link.sv)."""

BAUD = 1_000_000
"""Bits a second of the serial line: a whole number of cycles on both boards, and what their USB bridges can."""

QUEUE, CREDIT = 512, 128
"""Bytes that wait in front of nmc_link, one block RAM of either part, and for how many taken it gives a credit."""


@dataclass(frozen=True, slots=True)
class Board:
    """A board of a part: its clock, and its pins for the serial line by the names of `top_uart`'s ports."""

    name: str
    clock_hz: int
    pins: tuple[tuple[str, str], ...]
    source: str


BOARDS = MappingProxyType(
    {
        "ecp5-85": Board(
            "the ULX3S (ECP5-85)",
            25_000_000,
            (("clk", "G2"), ("rx", "M1"), ("tx", "L4")),
            "ULX3S, doc/constraints/ulx3s_v20.lpf: clk_25mhz, ftdi_txd, ftdi_rxd",
        ),
        "ice40-up5k": Board(
            "the iCEBreaker (iCE40 up5k)",
            12_000_000,
            (("clk", "35"), ("rx", "6"), ("tx", "9")),
            "iCEBreaker, icebreaker.pcf: CLK, RX, TX",
        ),
    }
)
"""The board for which each part has constraints."""


@dataclass(frozen=True, slots=True)
class Link:
    """The sizes of a design's messages: bits of {value, id} in and out, bytes of an event."""

    in_bits: int
    out_bits: int
    queue: int = QUEUE
    credit: int = CREDIT

    @property
    def event_bytes(self) -> int:
        """Bytes of {value, id} in a message, the same for all inputs and outputs."""
        return -(-max(self.in_bits, self.out_bits) // 8)


def link_of(design: Design) -> Link:
    """The messages of a design."""
    return Link(
        max(design.word_bits(each.name) for each in design.sources) - 1,
        max(design.word_bits(each.leg.src) for each in design.sinks) - 1,
    )


def top_name(io: Io) -> str:
    """The module at the edge of a design, and the name of its file without `.sv`."""
    return "top" if io is Io.STREAM else f"top_{io.value}"


def bench_name(io: Io) -> str:
    """The test bench of that module."""
    return "tb" if io is Io.STREAM else f"tb_{io.value}"


AXI_LITE = (
    ("input ", "", "awvalid"), ("output", "", "awready"), ("input ", "[31:0] ", "awaddr"),
    ("input ", "", "wvalid"), ("output", "", "wready"), ("input ", "[31:0] ", "wdata"), ("input ", "[3:0] ", "wstrb"),
    ("output", "", "bvalid"), ("input ", "", "bready"), ("output", "[1:0] ", "bresp"),
    ("input ", "", "arvalid"), ("output", "", "arready"), ("input ", "[31:0] ", "araddr"),
    ("output", "", "rvalid"), ("input ", "", "rready"), ("output", "[31:0] ", "rdata"), ("output", "[1:0] ", "rresp"),
)  # fmt: skip
"""The ports of an AXI4-Lite slave: direction, width, name."""


def constraints(design: Design) -> tuple[str, str]:
    """The name and the text of the file that says where ports are on the chip and how fast the clock is."""
    board = BOARDS[design.part]
    if design.part == "ice40-up5k":
        if design.io is not Io.UART:
            return "pins.pcf", "# Give every port its pin here: set_io PORT PIN\n"
        lines = "".join(f"set_io {port} {pin}\n" for port, pin in board.pins)
        return "pins.pcf", f"# {board.source}\n{lines}"
    if design.io is not Io.UART:
        clock = "aclk" if design.io is Io.AXI else "clk"
        return (
            "pins.lpf",
            f"# Clock of the board, 100 MHz; give every port its SITE here.\n"
            f'FREQUENCY PORT "{clock}" 100.0 MHZ;\n',
        )
    lines = "".join(
        f'LOCATE COMP "{port}" SITE "{pin}";\nIOBUF PORT "{port}" IO_TYPE=LVCMOS33;\n'
        for port, pin in board.pins
    )
    return (
        "pins.lpf",
        f"# {board.source}\n{lines}" + f'FREQUENCY PORT "clk" {board.clock_hz / 1e6} MHZ;\n',
    )


def bytes_of(bits: int) -> int:
    """Whole bytes of a word."""
    return -(-bits // 8)


def example_session(design: Design) -> str:
    """What a host says in `make sim-uart`: hello, one step with an event of neuron 0 at each input, then it listens."""
    sent = [6 << 5]
    for port in range(len(design.sources)):
        sent += [1 << 5 | port, *([0] * link_of(design).event_bytes), 2 << 5 | port]
    return "".join(f"w {byte:02x}\n" for byte in sent) + "r\n" * (1 + len(design.sinks))

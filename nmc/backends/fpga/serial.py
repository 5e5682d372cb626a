"""A serial port without a board: the emitted folder's own serial test bench in a simulator, byte by byte."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from nmc.backends.fpga import verilator
from nmc.backends.fpga.verilator import Simulator


class SimulatedPort:
    """Reads and writes bytes as a serial port does. Time passes in the simulation only while bytes do."""

    def __init__(self, folder: Path, simulator: Simulator = verilator.VERILATOR) -> None:
        """Build and start the bench of a folder compiled with `io=uart`. Raises RuntimeError if it cannot."""
        found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        contents = {name: path.read_bytes() for name, path in found.items() if not name.startswith("build/")}
        verilator.build(simulator, contents, folder, bench="tb_uart")
        self._process = subprocess.Popen(
            [f"./build/{simulator.name}/tb_uart", "+commands=/dev/stdin"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def write(self, data: bytes) -> int:
        """Send bytes, one after the other."""
        self._say("".join(f"w {byte:02x}\n" for byte in data))
        return len(data)

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer if none comes for a long time of the simulation."""
        assert self._process.stdout is not None
        found = bytearray()
        while len(found) < size:
            self._say("r\n")
            line = self._process.stdout.readline().strip()
            if line == "-":
                break
            if len(line) != 2:
                raise RuntimeError(f"the simulation says `{line}`")
            found.append(int(line, 16))
        return bytes(found)

    def close(self) -> None:
        """End the simulation."""
        self._process.communicate(timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _say(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text)
        self._process.stdin.flush()


__all__ = ["SimulatedPort"]

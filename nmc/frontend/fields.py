"""The fields of one node or layer of a file, checked: present, numbers, finite, of the right rank and range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.diagnostics import Diagnostic, Loc, error, warning

Reals = npt.NDArray[Any]
"""Any: float64, or float32 where the file has float32."""

IGNORED = frozenset({"input_type", "output_type", "name", "version"})
"""Fields that say nothing which the others do not say."""


@dataclass(slots=True)
class Fields:
    """Reads the fields of one node or layer and collects what is wrong with them.

    A reader returns None, or an empty shape, after a finding; the caller goes on to find more. `assumed` are the
    optional fields that were absent.
    """

    loc: Loc
    raw: Mapping[str, Any]
    findings: list[Diagnostic]
    read: set[str] = field(default_factory=set[str])
    assumed: list[str] = field(default_factory=list[str])

    def reals(
        self, name: str, *, rank: int | None = None, default: float | None = None, positive: bool = False
    ) -> Reals | None:
        """An array of finite reals. Absent: `default`, or a finding."""
        array = self._numbers(name, default)
        if array is None:
            return None
        array = array if array.dtype == np.float32 else array.astype(np.float64)
        if rank is not None and array.ndim != rank:
            self.add("NMC006", f"has {array.ndim} axes ({_sizes(array)}); {rank} are needed", name)
            return None
        if array.size == 0:
            self.add("NMC006", f"is empty ({_sizes(array)})", name)
            return None
        if not self._all(np.isfinite(array), array, name, "NMC007", "is {}, which is not a finite number"):
            return None
        if positive and not self._all(array > 0, array, name, "NMC008", "is {}; it must be above 0"):
            return None
        return array

    def optional(self, name: str, *, rank: int | None = None) -> Reals | None:
        """As `reals`, but absent is None and no finding."""
        self.read.add(name)
        return self.reals(name, rank=rank) if name in self.raw else None

    def counts(self, name: str, axes: int, *, least: int, default: int | None = None) -> tuple[int, ...]:
        """`axes` integers of at least `least`; one number stands for all axes. Empty after a finding."""
        array = self._numbers(name, default)
        if array is None:
            return ()
        if array.size not in {1, axes}:
            self.add("NMC006", f"holds {array.size} numbers; 1 or {axes} are needed", name)
            return ()
        if not np.all(array == np.round(array)) or np.any(array < least) or np.any(array > 2**31):
            self.add("NMC008", f"is {array.tolist()}; whole numbers of at least {least} are needed", name)
            return ()
        whole = tuple(int(each) for each in array.ravel())
        return whole if len(whole) == axes else whole * axes

    def axis(self, name: str, default: int) -> int | None:
        """An axis, which may count from the end; None after a finding."""
        array = self._numbers(name, default)
        if array is None:
            return None
        if array.size != 1 or array.ravel()[0] != round(float(array.ravel()[0])):
            self.add("NMC006", "is not one whole number", name)
            return None
        return int(array.ravel()[0])

    def shape(self, name: str) -> tuple[int, ...] | None:
        """A shape, or None if the field is absent or holds none (sinabs writes zeros)."""
        self.read.add(name)
        value = self.raw.get(name)
        if value is None or isinstance(value, str) or value.dtype.kind not in "iuf" or value.size == 0:
            return None
        whole = value.ravel()
        if np.any(whole < 1) or np.any(whole != np.round(whole)) or np.any(whole > 2**31):
            return None
        return tuple(int(each) for each in whole)

    def text(self, name: str) -> str | None:
        """A string in lower case, or None if the field is something else."""
        self.read.add(name)
        value = self.raw.get(name)
        return value.lower() if isinstance(value, str) else None

    def add(self, code: str, message: str, name: str) -> None:
        """A finding about a field."""
        self.findings.append(error(code, f"`{name}` {message}", self.at(name)))

    def at(self, name: str) -> Loc:
        """The place of a field."""
        return Loc(self.loc.file, self.loc.node, name)

    def unread(self) -> list[Diagnostic]:
        """A warning for each field that nothing has read: it may change the meaning."""
        left = [name for name in self.raw if name not in self.read and name not in IGNORED]
        return [
            warning("NMC026", f"`{name}` is not a field that nmc knows; it is ignored", self.at(name))
            for name in left
        ]

    def _numbers(self, name: str, default: float | None) -> npt.NDArray[Any] | None:
        self.read.add(name)
        value = self.raw.get(name)
        if value is None:
            if default is None:
                self.add("NMC005", "is missing", name)
                return None
            self.assumed.append(name)
            return np.asarray(default)
        if isinstance(value, str) or value.dtype.kind not in "biuf":
            self.add("NMC006", "is not numbers", name)
            return None
        return value

    def _all(self, good: npt.NDArray[np.bool_], array: Reals, name: str, code: str, message: str) -> bool:
        if good.all():
            return True
        first = np.argwhere(~good)[0].tolist()
        count = int(good.size - np.count_nonzero(good))
        where = f"[{', '.join(map(str, first))}]" if first else ""
        more = f", and {count - 1} more" if count > 1 else ""
        self.findings.append(
            error(code, f"`{name}{where}` {message.format(array[tuple(first)])}{more}", self.at(name))
        )
        return False


def _sizes(array: npt.NDArray[Any]) -> str:
    return "x".join(map(str, array.shape)) or "a scalar"

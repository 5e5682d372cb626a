"""Which targets there are: one line each. A backend's code is imported only when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from nmc.diagnostics import Loc, UsageError, error, nearest

if TYPE_CHECKING:
    from nmc.backends.backend import Backend

BACKENDS: Mapping[str, str] = MappingProxyType(
    {
        "loihi": "nmc.backends.loihi.backend:LOIHI",
        "fpga": "nmc.backends.fpga.backend:FPGA",
        "sfq": "nmc.backends.sfq.backend:SFQ",
        "spinnaker2": "nmc.backends.spinnaker2.backend:SPINNAKER2",
    }
)
"""Target -> `module:attribute` of its `Backend`."""


def names() -> tuple[str, ...]:
    """The targets, in the order in which people are shown them."""
    return tuple(BACKENDS)


def load(name: str) -> Backend:
    """Import the backend of a target. Raises UsageError, with the nearest name, for one that is unknown."""
    if name not in BACKENDS:
        place = Loc("<command line>")
        raise UsageError(error("NMC900", f"there is no target `{name}`", place, help=nearest(name, BACKENDS)))
    module, attribute = BACKENDS[name].split(":")
    backend: Backend = getattr(importlib.import_module(module), attribute)
    return backend

"""Every target at once: whether a model fits, or which limit binds first, by how much, and what would make it fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from nmc import driver
from nmc.backends import registry
from nmc.backends.backend import Backend, Request
from nmc.diagnostics import CompileError, Diagnostic, Excess
from nmc.driver import Model


@dataclass(frozen=True, slots=True)
class Remedy:
    """A setting that makes a model fit, and what is used of its tightest limit then: found by compiling."""

    setting: str
    value: str
    binding: Excess | None


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a model fits a target.

    `binding` is the limit that is reached first: the fullest resource of a model that fits, the largest excess of
    one that does not; None where what stands in the way is not a matter of size. `findings` say why it does not.
    """

    target: str
    fits: bool
    binding: Excess | None
    findings: tuple[Diagnostic, ...] = ()
    remedies: tuple[Remedy, ...] = ()

    @property
    def by(self) -> float | None:
        """What is needed of the binding limit, as a multiple of what there is: above one, it does not fit."""
        return None if self.binding is None else share(self.binding)


def share(limit: Excess) -> float:
    """What is needed, as a multiple of what there is."""
    return limit.needed / limit.available if limit.available else float("inf")


def fit(
    model: Model,
    *,
    targets: Sequence[str] = (),
    request: Request = driver.NOTHING_ASKED,
    doing: Callable[[str], None] = lambda what: None,
) -> tuple[Fit, ...]:
    """Compile `model` for each of `targets`, all that there are if none is named, and say how it went.

    Where a limit is exceeded, the `relief` of each setting of the target is tried, one setting after the other, and
    the first value of each with which the model fits is a remedy. `request` has no settings of a target.
    """
    return tuple(_fit(model, name, request, doing) for name in targets or registry.names())


def _fit(model: Model, target: str, request: Request, doing: Callable[[str], None]) -> Fit:
    doing(target)
    found = _try(model, target, request)
    if found.fits or found.binding is None:
        return found
    backend = registry.load(target)
    return replace(found, remedies=tuple(_remedies(model, backend, request, doing)))


def _try(model: Model, target: str, request: Request) -> Fit:
    try:
        done = driver.compile(model, target=target, request=request)
    except CompileError as refused:
        excesses = [each.excess for each in refused.findings if each.excess is not None]
        # where something else stands in the way as well, no size would make it fit
        sized = len(excesses) == len(refused.findings)
        worst = max(excesses, key=share) if sized else None
        return Fit(target, False, worst, refused.findings)
    limits = [Excess(each.name, each.used, each.limit) for each in done.resources if each.limit]
    return Fit(target, True, max(limits, key=share, default=None))


def _remedies(
    model: Model, backend: Backend, request: Request, doing: Callable[[str], None]
) -> Iterator[Remedy]:
    for setting in backend.settings:
        for value in setting.relief:
            if value == setting.default:
                continue
            doing(f"{backend.target.name}: {setting.name}={value}")
            tried = _try(model, backend.target.name, replace(request, settings={setting.name: value}))
            if tried.fits:
                yield Remedy(setting.name, value, tried.binding)
                break

"""Why a file is not read: one exception for every refusal, turned into a finding with the node's place."""

from __future__ import annotations

from nmc.diagnostics import CompileError, Loc, error

TRACED = 1_000_000_000
"""More than the operators of any file."""


class Refusal(Exception):  # noqa: N818 - the field's word for it
    """A part of a file that has no meaning here, under the reading that was tried.

    `progress` orders the refusals of several readings: the reading that came furthest is reported.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        node: str | None = None,
        help: str = "",  # noqa: A002 - the field's name
        progress: int = 0,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.node = node
        self.help = help
        self.progress = progress

    def at(self, node: str, progress: int) -> Refusal:
        """The same refusal at a node, unless it has a node already."""
        if self.node is None:
            self.node = node
        self.progress = max(self.progress, progress)
        return self

    def after(self, *, traced: bool) -> Refusal:
        """The same refusal, before all others if the whole file had a meaning under the reading that was tried."""
        self.progress += TRACED if traced else 0
        return self

    def finding(self, file: str) -> CompileError:
        """The refusal as a finding in a file."""
        return CompileError(error(self.code, self.message, Loc(file, self.node), help=self.help))

"""A bit of a counter: our own toggle cell, or one of latches and mergers that every library has."""

from __future__ import annotations

from nmc.backends.sfq.cells import FEMTO, Library
from nmc.backends.sfq.draft import Draft

HOLD = 2 * FEMTO
"""What the latch of the upper state is given beyond its window, fs."""


class Toggle:
    """How a bit is made, and its times in fs.

    From library cells a token stands in one of two latches. A pulse moves it on: out of the first silently into the
    second, out of the second as a carry back into the first. The pulse goes to both clocks, to that of the first
    behind JTLs, so that the token does not fall through both (a hold race). A clear flushes the second latch, which
    may give a carry, and puts a token into the first.
    """

    def __init__(self, library: Library, *, own: bool) -> None:
        self.own = own
        self.ripples = not own
        cell = {name: library[name] for name in ("TFF", "SPLIT", "MERGE", "DFF", "JTL")}
        if own:
            self.carry = cell["TFF"].delay("t", "c") or 0
            self.window = max(cell["TFF"].window("t", "t"), cell["MERGE"].apart)
            self.jtls = 0
            return
        split, merge = cell["SPLIT"].delay("a", "q0") or 0, cell["MERGE"].delay("a", "q") or 0
        latch, step = cell["DFF"].delay("clk", "q") or 0, cell["JTL"].delay("a", "q") or 0
        upper = split + merge  # from the pulse to the second latch's clock
        needed = upper + cell["DFF"].window("clk", "a") + HOLD - split - latch
        self.jtls = max(0, -(-needed // step))
        lower = split + self.jtls * step
        self.carry = upper + latch + split
        back = self.carry + merge  # the token is in the first latch again
        self.window = max(back - lower + HOLD, cell["MERGE"].apart)

    def add(self, draft: Draft, pulse: int, clear: int, *, name: str) -> int:
        """A bit that `pulse` toggles and `clear` clears; its carry."""
        if self.own:
            return draft.add("TFF", pulse, clear, name=name)[0]
        first, second = draft.add("SPLIT", pulse, name=name)
        flush, token = draft.add("SPLIT", clear, name=name)
        for _ in range(self.jtls):
            (first,) = draft.add("JTL", first, name=name)
        (clock,) = draft.add("MERGE", second, flush, name=name)
        back = draft.later()
        (entering,) = draft.add("MERGE", back, token, name=name)
        (moved,) = draft.add("DFF", entering, first, name=name)
        (fallen,) = draft.add("DFF", moved, clock, name=name)
        again, carry = draft.add("SPLIT", fallen, name=name)
        draft.join(again, back)
        return carry

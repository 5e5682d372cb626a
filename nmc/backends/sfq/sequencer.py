"""The slots of a frame made on the chip: a ring of latches that one clock moves a token along."""

from __future__ import annotations

from nmc.backends.sfq.draft import Draft


def sequencer(draft: Draft, waiting: list[list[int]], *, once: int, margin: int) -> int:
    """Drive the nets of each slot by a ring; the net of its clock.

    The first `once` slots come before the ring and are passed once. The token begins where no pulse came before: an
    inverter is clocked, and set right after, by every pulse of the clock, so that it answers to the first one only.
    """
    clock = draft.input("clk")
    stages = len(waiting)
    split = draft.delays["SPLIT"][0][0] or 0
    first, second, *clocks = draft.split(clock, stages + 2, name="seq_clk")
    inverter = draft.library["NOT"]
    apart = inverter.window("clk", "a") + split + margin
    held = draft.delay(second, apart, name="seq_start")
    (token,) = draft.add("NOT", held, first, name="seq_start")
    # A token comes to the next latch behind that one's clock, which may be one splitter later than its own.
    hold = split + draft.library["DFF"].window("clk", "a") + margin
    way = draft.library["NOT"].delay("clk", "q") or 0
    back = draft.later()
    for k, (tick, nets) in enumerate(zip(clocks, waiting, strict=True)):
        token = draft.delay(token, hold - way, name="seq")
        if k == once:
            (token,) = draft.add("MERGE", token, back, name="seq")
        (token,) = draft.add("DFF", token, tick, name="seq")
        way = draft.library["DFF"].delay("clk", "q") or 0
        if nets:
            out, token = draft.add("SPLIT", token, name="seq")
            way += split
            draft.feed(out, nets, name=f"seq_{k}")
    draft.join(draft.delay(token, hold - way, name="seq"), back)
    return clock

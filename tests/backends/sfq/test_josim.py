"""JoSIM, where there is one, has ngspice's pulses."""

from __future__ import annotations

import pytest

from nmc.backends.sfq import josim, ngspice
from tests.backends.sfq.test_ngspice import line


@pytest.mark.skipif(
    josim.ready() is not None or ngspice.ready() is not None, reason="needs josim-cli and ngspice"
)
def test_josim_and_ngspice_agree_on_a_line_of_jtls() -> None:
    ours, theirs = ngspice.run(line(6)), josim.run(line(6))
    for net, times in ours.items():
        assert theirs[net] == pytest.approx(times, abs=0.2)

"""lava-dl's network exchange (`.net`, HDF5): what Lava's `netx` builds on Loihi, read and written.

The file holds Loihi's integers: /layer/<i>/{type, shape, weight, bias, delay, neuron/{iDecay, vDecay, vThMant}}.
They become a graph in steps whose reals are exactly those integers, in units of one weight: decays are
(4096 - x) / 4096, thresholds `vThMant`, weights and biases as they are. So any target can quantize it, and
Loihi's grid (state = weight * 2**6, decays / 2**12) holds every number of it without rounding: du = iDecay - 1,
dv = vDecay, vth = vThMant, bias_exp = 6, as lava-dl's netx/hdf5.py sets them.

Shapes are (channel, y, x): lava-dl's README says (x, y, z), its code means the reverse.
"""

from nmc.frontend.lavadl.reader import read
from nmc.frontend.lavadl.writer import write

__all__ = ["read", "write"]

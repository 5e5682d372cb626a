"""NIR, the Neuromorphic Intermediate Representation, as files really are: old, nested, transposed, damaged."""

from nmc.frontend.nir.reader import read

__all__ = ["read"]

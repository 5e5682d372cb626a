"""Loihi, programmed through Lava 0.10.0 and held to its fixed-point models bit by bit."""

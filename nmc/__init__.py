"""nmc: compile trained spiking neural networks to neuromorphic hardware, exactly."""

__version__ = "0.1.0"

"""ONNX files: any spiking network, by what it means."""

from nmc.frontend.onnx.load import load

__all__ = ["load"]

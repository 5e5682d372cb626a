"""ONNX files: any spiking network, by what it means."""

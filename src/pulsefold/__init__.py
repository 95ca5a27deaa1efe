"""pulsefold: from a trained, quantized ONNX network to a proven circuit and a bitstream."""

__version__ = "0.1.0"

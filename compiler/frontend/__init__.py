"""From an ONNX file to the integer graph."""

from pulsefold.compiler.frontend.importer import import_model

__all__ = ["import_model"]

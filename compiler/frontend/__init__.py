"""From an ONNX file to the integer graph."""

from pulsefold.compiler.frontend.importer import import_model
from pulsefold.compiler.frontend.inspection import Inspection, NodeReport, inspect_model

__all__ = ["Inspection", "NodeReport", "import_model", "inspect_model"]

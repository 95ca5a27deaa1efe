"""Post-training quantization: from a float ONNX model and calibration data to a quantized ONNX model.

The order of events: ``read`` (with ``upgrade`` and ``constants``), ``simplify`` (with ``affine``),
``placement``, ``observe``, ``ranges``, ``refine`` (with ``weights`` and ``hessian``), ``emit`` (with
``formats``). The integer graph is not touched: the importer reads what is written here like any other model.
"""

from pulsefold.compiler.quantize.quantize import Quantized, quantize_model
from pulsefold.compiler.quantize.ranges import METHODS
from pulsefold.compiler.quantize.recipe import FORMATS, ROUNDINGS, Format, Recipe

__all__ = ["FORMATS", "METHODS", "ROUNDINGS", "Format", "Quantized", "Recipe", "quantize_model"]

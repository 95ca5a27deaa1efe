"""The formats of a quantized network: QDQ, QONNX, and plain float arithmetic for ONNX Runtime."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from pulsefold.compiler.quantize.emit import QONNX_DOMAIN, Writer
from pulsefold.compiler.quantize.graph import tensor
from pulsefold.compiler.quantize.quantizer import Quantizer
from pulsefold.compiler.quantize.weights import LayerWeights

__all__ = ["Plain", "Qdq", "Qonnx"]


class Qdq(Writer):
    """QuantizeLinear and DequantizeLinear: opset 13, and 21 for 4-bit integers."""

    def activation(self, raw: str, result: str, quantizer: Quantizer) -> None:
        scale = self.number(f"{result}_scale", quantizer.scale)
        zero = self.integers(f"{result}_zero", np.asarray(quantizer.zero), quantizer.bits, quantizer.signed)
        levels = self.add("QuantizeLinear", [raw, scale, zero], self.fresh(f"{result}_quantized"))
        self.add("DequantizeLinear", [levels, scale, zero], result)

    def weights(self, name: str, layer: LayerWeights) -> str:
        quantizer = layer.quantizer
        zero = 1 << (quantizer.bits - 1) if self.unsigned else 0
        signed = not self.unsigned
        scale = self.number(f"{name}_weight_scale", quantizer.scale)
        zeros = np.full(np.shape(quantizer.scale), zero)
        parts = [
            self.integers(
                f"{name}_weight_quantized", layer.levels.astype(np.int64) + zero, quantizer.bits, signed
            ),
            scale,
            self.integers(f"{name}_weight_zero", zeros, quantizer.bits, signed),
        ]
        axis = {"axis": layer.axis} if np.ndim(quantizer.scale) else {}
        return self.add("DequantizeLinear", parts, self.fresh(f"{name}_weight"), **axis)

    def bias(self, name: str, levels: np.ndarray, scale: np.ndarray) -> str:
        limit = np.iinfo(np.int32)
        whole = self.fresh(f"{name}_bias_quantized")
        self.tensors.append(tensor(whole, np.clip(levels, limit.min, limit.max).astype(np.int32)))
        parts = [whole, self.number(f"{name}_bias_scale", scale)]
        return self.add("DequantizeLinear", parts, self.fresh(f"{name}_bias"), axis=0)

    def integers(self, stem: str, values: np.ndarray, bits: int, signed: bool) -> str:
        """Enter a constant of 4- or 8-bit integers."""
        name = self.fresh(stem)
        if bits == 8:
            self.tensors.append(tensor(name, np.asarray(values, np.int8 if signed else np.uint8)))
            return name
        # Two to a byte, the first in the lower half.
        flat = np.asarray(values, np.int64).ravel() & 15
        flat = np.append(flat, 0) if flat.size % 2 else flat
        packed = (flat[0::2] | flat[1::2] << 4).astype(np.uint8)
        kind = TensorProto.INT4 if signed else TensorProto.UINT4
        self.tensors.append(helper.make_tensor(name, kind, np.shape(values), packed.tobytes(), raw=True))
        return name


class Qonnx(Writer):
    """Quant and BipolarQuant of qonnx.custom_op.general, version 1: any width."""

    domains = ((QONNX_DOMAIN, 1),)

    def activation(self, raw: str, result: str, quantizer: Quantizer) -> None:
        self.quant(raw, result, quantizer, np.asarray(quantizer.scale))

    def weights(self, name: str, layer: LayerWeights) -> str:
        values = self.number(f"{name}_weight_values", layer.values)
        result = self.fresh(f"{name}_weight")
        if layer.quantizer.bits == 1:
            return self.add("BipolarQuant", [values, self.number(f"{result}_scale", layer.scales)], result)
        quantizer = layer.quantizer
        if self.unsigned:
            quantizer = Quantizer(
                bits=quantizer.bits, signed=False, scale=quantizer.scale, zero=1 << (quantizer.bits - 1)
            )
        return self.quant(values, result, quantizer, layer.scales)

    def bias(self, name: str, levels: np.ndarray, scale: np.ndarray) -> str:
        values = self.number(f"{name}_bias_values", levels * scale.astype(np.float64))
        whole = Quantizer(bits=32, signed=True, scale=scale)
        return self.quant(values, self.fresh(f"{name}_bias"), whole, scale)

    def quant(self, raw: str, result: str, quantizer: Quantizer, scale: np.ndarray) -> str:
        """One Quant node."""
        parts = [
            raw,
            self.number(f"{result}_scale", scale),
            self.number(f"{result}_zero", quantizer.zero),
            self.number(f"{result}_bits", quantizer.bits),
        ]
        how = {"signed": int(quantizer.signed), "narrow": int(quantizer.narrow), "rounding_mode": "ROUND"}
        return self.add("Quant", parts, result, **how)


class Plain(Writer):
    """The same arithmetic in Div, Round, Clip and Mul: ONNX Runtime knows nothing of QONNX."""

    def activation(self, raw: str, result: str, quantizer: Quantizer) -> None:
        scale = self.number(f"{result}_scale", quantizer.scale)
        low = self.number(f"{result}_low", quantizer.low - quantizer.zero)
        high = self.number(f"{result}_high", quantizer.high - quantizer.zero)
        y = self.add("Div", [raw, scale], self.fresh(f"{result}_scaled"))
        y = self.add("Round", [y], self.fresh(f"{result}_rounded"))
        y = self.add("Clip", [y, low, high], self.fresh(f"{result}_clipped"))
        self.add("Mul", [y, scale], result)

    def weights(self, name: str, layer: LayerWeights) -> str:
        return self.number(f"{name}_weight", layer.values)

    def bias(self, name: str, levels: np.ndarray, scale: np.ndarray) -> str:
        return self.number(f"{name}_bias", levels * scale.astype(np.float64))

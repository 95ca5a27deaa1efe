"""A sketch with Quant and BipolarQuant nodes."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from networks.quantizing import Quantizing
from networks.sketch import Step

__all__ = ["qonnx"]

_DOMAIN = "qonnx.custom_op.general"
_MODES = ("ROUND", "ROUND", "ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN")


class _Qonnx(Quantizing):
    """Streams are real values on a grid."""

    def model(self) -> onnx.ModelProto:
        writer, sketch = self.writer, self.sketch
        inputs, names, kept = [], {}, {}
        for name in sketch.inputs:
            inputs.append((name, int(TensorProto.FLOAT), sketch.shape[name]))
            kept[name] = self.draw_quant(name)
            names[name] = self.quant(name, kept[name])
        for step in sketch.steps:
            value = writer.lower(step, [names[n] for n in step.inputs], self.weights(step))
            kept[step.output] = kept[step.inputs[0]] if step.same else self.draw_quant(step.output)
            names[step.output] = self.quant(value, kept[step.output]) if step.quantized else value
        outputs = [
            (writer.node("Identity", [names[stream]], f"y{i}"), int(TensorProto.FLOAT), sketch.shape[stream])
            for i, stream in enumerate(sketch.outputs)
        ]
        return writer.model(inputs, list(dict.fromkeys(outputs)))

    def draw_quant(self, stream: str) -> dict[str, object]:
        """Scale, zero point, bits and attributes of a quantizer for the range of a stream."""
        low, high = self.ranges[stream]
        bits = int(self.rng.choice([1, 2, 3, 4, 8]))
        signed = low < 0 and bits > 1
        peak = max(-low, high) if signed else high
        levels = 2 ** (bits - 1) if signed else 2**bits - 1
        scale = max(peak, 1e-3) / levels * float(self.rng.uniform(0.6, 1.1))
        if self.dyadic:
            scale = 2.0 ** np.round(np.log2(scale))
        return {
            "bipolar": bits == 1 and low < 0,
            "scale": np.float32(scale),
            "bits": bits,
            "signed": int(signed),
            "narrow": int(signed and self.rng.random() < 0.3),
            "rounding_mode": str(self.rng.choice(_MODES)),
        }

    def quant(self, value: str, kept: dict[str, object]) -> str:
        scale = self.writer.const(kept["scale"])
        if kept["bipolar"]:
            return self.writer.node("BipolarQuant", [value, scale], domain=_DOMAIN)
        rest = [scale, self.writer.const(0.0), self.writer.const(kept["bits"])]
        attributes = {k: kept[k] for k in ("signed", "narrow", "rounding_mode")}
        return self.writer.node("Quant", [value, *rest], domain=_DOMAIN, **attributes)

    def weights(self, step: Step) -> dict[str, str]:
        names = {role: self.writer.const(self.short(v)) for role, v in step.weights.items() if role != "w"}
        if "w" in step.weights:
            w = step.weights["w"]
            bits = int(self.rng.choice([1, 2, 3, 4, 8]))
            scale = np.float32(np.abs(w).max() / 2 ** (bits - 1))
            if self.dyadic:
                scale = np.float32(2.0 ** np.round(np.log2(scale)))
            kept = {"bipolar": bits == 1, "scale": scale, "bits": bits, "signed": 1, "narrow": 1}
            names["w"] = self.quant(self.writer.const(w), kept | {"rounding_mode": "ROUND"})
        return names

    def short(self, values: np.ndarray) -> np.ndarray:
        """Biases as short binary fractions where everything is to be one."""
        return np.round(values * 64) / 64 if self.dyadic else values


def qonnx(*arguments: object, **options: object) -> onnx.ModelProto:
    """The model; arguments as for :class:`networks.quantizing.Quantizing`."""
    return _Qonnx(*arguments, **options).model()

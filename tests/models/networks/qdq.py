"""A sketch with QuantizeLinear and DequantizeLinear around its operations."""

from __future__ import annotations

import onnx
from onnx import TensorProto

from networks.quantizing import Quantizing
from networks.sketch import Step

__all__ = ["qdq"]


class _Qdq(Quantizing):
    """Streams are real values on a grid; int8 or uint8 inputs and outputs where drawn."""

    def model(self) -> onnx.ModelProto:
        writer, sketch = self.writer, self.sketch
        inputs, names = [], {}
        for name in sketch.inputs:
            self.grids[name] = self.grid(name)
            shape = sketch.shape[name]
            last = "channels_last" in self.features and len(shape) == 3 and self.rng.random() < 0.3
            integer = "integer_input" in self.features and self.rng.random() < 0.3
            value = name
            given = (*shape[1:], shape[0]) if last else shape
            inputs.append((name, self.grids[name].kind if integer else int(TensorProto.FLOAT), given))
            if integer:
                value = self.dequantized(value, self.grids[name])
            if last:
                value = writer.node("Transpose", [value], perm=[0, 3, 1, 2])
            names[name] = value if integer else self.requantized(value, self.grids[name])
        for step in sketch.steps:
            value = writer.lower(step, [names[n] for n in step.inputs], self.weights(step))
            first = self.grids[step.inputs[0]]
            self.grids[step.output] = first if step.same else self.grid(step.output)
            names[step.output] = self.requantized(value, self.grids[step.output]) if step.quantized else value
        outputs = []
        for i, stream in enumerate(sketch.outputs):
            value = names[stream]
            if "softmax" in self.features and self.rng.random() < 0.2:
                value = writer.node("Softmax", [value], axis=1)
            elif "integer_output" in self.features and self.rng.random() < 0.3 and not self.step(stream).same:
                last = next(n for n in writer.nodes if n.output[0] == value)
                outputs.append((last.input[0], self.grids[stream].kind, sketch.shape[stream]))
                continue
            value = writer.node("Identity", [value], f"y{i}")
            outputs.append((value, int(TensorProto.FLOAT), sketch.shape[stream]))
        return writer.model(inputs, list(dict.fromkeys(outputs)))

    def step(self, stream: str) -> Step:
        return next(step for step in self.sketch.steps if step.output == stream)


def qdq(*arguments: object, **options: object) -> onnx.ModelProto:
    """The model; arguments as for :class:`networks.quantizing.Quantizing`."""
    return _Qdq(*arguments, **options).model()

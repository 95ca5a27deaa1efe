"""A sketch in operators on integers: QLinear*, ConvInteger and MatMulInteger."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from networks.quantizing import Quantizing
from networks.scales import Grid, integers, make_tensor
from networks.sketch import Step

__all__ = ["qoperator"]

_MICROSOFT = "com.microsoft"

#: Operators that move bytes as they are.
_MOVES = {"MaxPool", "Slice", "Flatten", "Shuffle", "Transpose", "DepthToSpace", "SpaceToDepth", "Resize"}


class _QOperator(Quantizing):
    """Every stream is integers; its value is the name of those."""

    def model(self) -> onnx.ModelProto:
        writer, sketch = self.writer, self.sketch
        # No engine has products of signed activations and unsigned weights, or of half bytes.
        if self.kind == TensorProto.INT8 or self.weight_kind == TensorProto.INT4:
            self.weight_kind = int(TensorProto.INT8)
        inputs, names = [], {}
        for name in sketch.inputs:
            self.grids[name] = self.grid(name)
            integer = "integer_input" in self.features and self.rng.random() < 0.3
            inputs.append(
                (name, self.grids[name].kind if integer else int(TensorProto.FLOAT), sketch.shape[name])
            )
            names[name] = name if integer else self.quantized(name, self.grids[name])
        for step in sketch.steps:
            first = self.grids[step.inputs[0]]
            self.grids[step.output] = first if step.same else self.grid(step.output)
            names[step.output] = self.lower(step, [names[n] for n in step.inputs])
        outputs = []
        for i, stream in enumerate(sketch.outputs):
            value, kind = names[stream], self.grids[stream].kind
            if "integer_output" not in self.features or self.rng.random() < 0.7:
                value, kind = (
                    writer.node("DequantizeLinear", [value, *self.scale(self.grids[stream])], f"y{i}"),
                    1,
                )
            outputs.append((value, kind, sketch.shape[stream]))
        return writer.model(inputs, list(dict.fromkeys(outputs)))

    def lower(self, step: Step, x: list[str]) -> str:
        y = self.grids[step.output]
        scales = [self.scale(self.grids[n]) for n in step.inputs]
        byte = step.kind in _MOVES and step.same
        if step.kind == "MaxPool" and self.writer.opset < 12:
            byte = False
        if step.kind == "Resize" and (self.writer.opset < 11 or step.attributes["mode"] != "nearest"):
            byte = False
        if byte:
            return self.writer.lower(step, x, {})
        match step.kind:
            case "Conv" | "MatMul":
                return self.product(step, x[0], y)
            case "Add" | "Mul" if len(x) > 1:
                return self.custom(
                    f"QLinear{step.kind}", [x[0], *scales[0], x[1], *scales[1], *self.scale(y)]
                )
            case "Concat":
                parts = [name for value, pair in zip(x, scales, strict=True) for name in (value, *pair)]
                return self.custom("QLinearConcat", [*self.scale(y), *parts], axis=1)
            case "Sigmoid":
                return self.custom("QLinearSigmoid", [x[0], *scales[0], *self.scale(y)])
            case "LeakyRelu":
                return self.custom("QLinearLeakyRelu", [x[0], *scales[0], *self.scale(y)], **step.attributes)
            case "AveragePool":
                return self.custom(
                    "QLinearAveragePool", [x[0], *scales[0], *self.scale(y)], **step.attributes
                )
            case "GlobalAveragePool":
                return self.custom(
                    "QLinearGlobalAveragePool", [x[0], *scales[0], *self.scale(y)], channels_last=0
                )
            case _:
                reals = [
                    self.writer.node("DequantizeLinear", [value, *pair])
                    for value, pair in zip(x, scales, strict=True)
                ]
                return self.quantized(self.writer.lower(step, reals, self.weights(step)), y)

    def product(self, step: Step, x: str, y: Grid) -> str:
        """QLinearConv or QLinearMatMul, or the Integer operator and its steps in floating point."""
        source = self.grids[step.inputs[0]]
        grid = self.weight_grid(step, step.weights["w"])
        w = self.writer.tensor(make_tensor(integers(step.weights["w"], grid), grid.kind))
        attributes = {k: v for k, v in step.attributes.items() if v not in ((), "")}
        scale = source.scale * grid.scale
        bias = step.weights.get("b")
        plain = grid.axis is None or not np.any(grid.zero)
        if plain and self.rng.random() < 0.3:
            zeros = [self.scale(source)[1], self.writer.tensor(make_tensor(grid.zero.ravel()[0], grid.kind))]
            value = self.writer.node(f"{step.kind}Integer", [x, w, *zeros], **attributes)
            value = self.writer.node("Cast", [value], to=TensorProto.FLOAT)
            column = (-1, 1, 1) if step.kind == "Conv" else (-1,)
            factors = scale.astype(np.float32).reshape(column if scale.ndim else ())
            value = self.writer.node("Mul", [value, self.writer.const(factors)])
            if bias is not None:
                value = self.writer.node("Add", [value, self.writer.const(bias.reshape(column))])
            return self.quantized(value, y)
        rest = [*self.scale(source), w, *self.scale(grid), *self.scale(y)]
        if step.kind == "Conv":
            if bias is not None:
                q = np.clip(np.rint(bias / scale), -(2**31), 2**31 - 1).astype(np.int64)
                rest.append(self.writer.tensor(make_tensor(q, int(TensorProto.INT32))))
            return self.writer.node("QLinearConv", [x, *rest], **attributes)
        value = self.writer.node("QLinearMatMul", [x, *rest])
        return value

    def custom(self, kind: str, inputs: list[str], **attributes: object) -> str:
        return self.writer.node(kind, inputs, domain=_MICROSOFT, **attributes)


def qoperator(*arguments: object, **options: object) -> onnx.ModelProto:
    """The model; arguments as for :class:`networks.quantizing.Quantizing`."""
    return _QOperator(*arguments, **options).model()

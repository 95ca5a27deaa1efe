"""Steps of a sketch as ONNX nodes of any operator set version from 7 on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from networks.sketch import Sketch, Step

__all__ = ["Writer"]


class Writer:
    """A model under construction.

    Parameters
    ----------
    opset
        Version of the default operator set.
    constants
        Whether constants are Constant nodes instead of initializers.
    batch
        Size or name of the batch axis.
    """

    def __init__(
        self, sketch: Sketch, *, opset: int, constants: bool = False, batch: int | str = "N"
    ) -> None:
        self.sketch = sketch
        self.opset = opset
        self.batch = batch
        self.domains: dict[str, int] = {"": opset}
        self._constants = constants
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._count = 0

    def const(self, value: Any, dtype: Any = np.float32) -> str:
        return self.tensor(numpy_helper.from_array(np.asarray(value, dtype), ""))

    def tensor(self, tensor: onnx.TensorProto) -> str:
        self._count += 1
        name = f"c{self._count}"
        tensor.name = name
        if self._constants:
            self.nodes.append(helper.make_node("Constant", [], [name], name=f"constant{name}", value=tensor))
        else:
            self.initializers.append(tensor)
        return name

    def node(
        self, kind: str, inputs: Sequence[str], output: str = "", *, domain: str = "", **attributes: Any
    ) -> str:
        self._count += 1
        output = output or f"t{self._count}"
        self.domains.setdefault(domain, 1)
        self.nodes.append(
            helper.make_node(
                kind, list(inputs), [output], name=f"{kind}_{self._count}", domain=domain, **attributes
            )
        )
        return output

    def model(
        self,
        inputs: Sequence[tuple[str, int, tuple[int, ...]]],
        outputs: Sequence[tuple[str, int, tuple[int, ...]]],
    ) -> onnx.ModelProto:
        """The model, from names, element types and shapes of inputs and outputs."""
        graph = helper.make_graph(
            self.nodes,
            "random",
            [helper.make_tensor_value_info(n, kind, [self.batch, *shape]) for n, kind, shape in inputs],
            [helper.make_tensor_value_info(n, kind, [self.batch, *shape]) for n, kind, shape in outputs],
            self.initializers,
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in self.domains.items()]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10 if self.opset >= 21 else 8)

    def lower(self, step: Step, x: Sequence[str], weights: dict[str, str]) -> str:
        """The nodes of a step in floating point (or on integers, where it only moves them)."""
        a, kind = step.attributes, step.kind
        match kind:
            case "Conv" | "ConvTranspose":
                attributes = {k: v for k, v in a.items() if v not in ((), "")}
                if kind == "ConvTranspose" and not any(a["output_padding"]):
                    del attributes["output_padding"]
                rest = [weights["b"]] if "b" in weights else []
                return self.node(kind, [x[0], weights["w"], *rest], **attributes)
            case "Gemm":
                bias = weights.get("b") or self.const(np.zeros(self.sketch.shape[step.output]))
                return self.node("Gemm", [x[0], weights["w"], bias])
            case "MatMul":
                y = self.node("MatMul", [x[0], weights["w"]])
                return self.node("Add", [y, weights["b"]]) if "b" in weights else y
            case "BatchNormalization":
                names = [weights[k] for k in ("gamma", "beta", "mean", "var")]
                return self.node(kind, [x[0], *names], epsilon=1e-5)
            case "MaxPool" | "AveragePool":
                attributes = dict(a)
                if self.opset < 10:
                    del attributes["ceil_mode"]
                return self.node(kind, x, **attributes)
            case "Clip":
                if self.opset < 11:
                    return self.node("Clip", x, min=a["low"], max=a["high"])
                return self.node("Clip", [x[0], self.const(a["low"]), self.const(a["high"])])
            case "HardSwish":
                if self.opset >= 14:
                    return self.node("HardSwish", x)
                y = self.node("HardSigmoid", x, alpha=1 / 6, beta=0.5)
                return self.node("Mul", [x[0], y])
            case "Add" | "Sub" | "Mul" if "table" in weights:
                return self.node(kind, [x[0], weights["table"]])
            case "PRelu":
                return self.node("PRelu", [x[0], weights["slope"]])
            case "Concat":
                return self.node("Concat", x, axis=1)
            case "Slice":
                return self._slice(x[0], **a)
            case "Pad":
                return self._pad(x[0], **a)
            case "Resize":
                return self._resize(x[0], len(self.sketch.shape[step.output]), **a)
            case "Shuffle":
                return self._shuffle(x[0], self.sketch.shape[step.output], **a)
            case "DepthToSpace" if self.opset < 11:
                # Before version 11 there is one mode.
                return self.node(kind, x, blocksize=a["blocksize"])
            case _:
                return self.node(kind, x, **a)

    def _slice(self, x: str, *, axis: int, start: int, end: int) -> str:
        if self.opset < 10:
            return self.node("Slice", [x], axes=[axis], starts=[start], ends=[end])
        rest = [self.const([v], np.int64) for v in (start, end, axis)]
        return self.node("Slice", [x, *rest])

    def _pad(self, x: str, *, mode: str, pads: tuple[int, ...]) -> str:
        amounts = [0, 0, *pads[:2], 0, 0, *pads[2:]]
        if self.opset < 11:
            return self.node("Pad", [x], mode=mode, pads=amounts)
        return self.node("Pad", [x, self.const(amounts, np.int64)], mode=mode)

    def _resize(self, x: str, rank: int, *, mode: str, factors: tuple[int, int], half_pixel: bool) -> str:
        scales = self.const([1.0] * (rank - 1) + [*map(float, factors)])
        if self.opset < 9:
            return self.node("Upsample", [x], mode=mode, scales=[1.0, 1.0, *map(float, factors)])
        if self.opset < 10:
            return self.node("Upsample", [x, scales], mode=mode)
        if self.opset < 11:
            return self.node("Resize", [x, scales], mode=mode)
        attributes = {"coordinate_transformation_mode": "half_pixel" if half_pixel else "asymmetric"}
        if mode == "nearest":
            attributes["nearest_mode"] = "floor" if not half_pixel else "round_prefer_floor"
        return self.node(
            "Resize", [x, "" if self.opset >= 13 else self.const([]), scales], mode=mode, **attributes
        )

    def _shuffle(self, x: str, shape: tuple[int, ...], *, groups: int) -> str:
        c, h, w = shape
        y = self.node("Reshape", [x, self.const([-1, groups, c // groups, h, w], np.int64)])
        y = self.node("Transpose", [y], perm=[0, 2, 1, 3, 4])
        return self.node("Reshape", [y, self.const([-1, c, h, w], np.int64)])

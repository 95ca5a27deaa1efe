"""What the styles share: grids of streams and weights, and the nodes that quantize."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from networks.ranges import ranges
from networks.scales import Grid, grid_for, integers, make_tensor
from networks.sketch import Sketch, Step
from networks.writer import Writer

__all__ = ["Quantizing"]

#: Output axis of the weights.
_AXIS = {"Conv": 0, "ConvTranspose": 1, "MatMul": 1, "Gemm": 1}


class Quantizing:
    """A sketch on its way to a quantized model.

    Parameters
    ----------
    sketch, rng, features
        What becomes a model, and the choices it takes.
    opset, dyadic, batch
        As in :func:`networks.random_model`.
    """

    def __init__(
        self,
        sketch: Sketch,
        rng: np.random.Generator,
        features: frozenset[str],
        *,
        opset: int,
        dyadic: bool,
        batch: int | str,
    ) -> None:
        self.sketch, self.rng, self.features, self.dyadic = sketch, rng, features, dyadic
        constants = "constants" in features and rng.random() < 0.3
        self.writer = Writer(sketch, opset=opset, constants=constants, batch=batch)
        self.ranges = ranges(sketch, rng)
        #: One element type and symmetry a network, as exporters have it.
        self.kind = int(rng.choice([TensorProto.INT8, TensorProto.UINT8]))
        self.symmetric = bool(rng.random() < 0.4)
        self.weight_kind = int(TensorProto.INT8)
        if "weight_zero" in features and rng.random() < 0.3:
            self.weight_kind = int(TensorProto.UINT8)
        if "int4" in features and opset >= 21 and rng.random() < 0.4:
            self.weight_kind = int(TensorProto.INT4)
        self.per_axis = opset >= 13 and rng.random() < 0.5
        self.grids: dict[str, Grid] = {}

    def grid(self, stream: str) -> Grid:
        low, high = self.ranges[stream]
        return grid_for(self.rng, low, high, self.kind, dyadic=self.dyadic, symmetric=self.symmetric)

    def scale(self, grid: Grid) -> list[str]:
        """Scale and zero point as constants."""
        return [self.writer.const(grid.scale), self.writer.tensor(make_tensor(grid.zero, grid.kind))]

    def quantized(self, value: str, grid: Grid) -> str:
        return self.writer.node("QuantizeLinear", [value, *self.scale(grid)])

    def requantized(self, value: str, grid: Grid) -> str:
        rest = self.scale(grid)
        if grid.kind == TensorProto.UINT8 and not grid.zero and self.rng.random() < 0.3:
            rest.pop()
        q = self.writer.node("QuantizeLinear", [value, *rest])
        return self.writer.node("DequantizeLinear", [q, *rest])

    def dequantized(self, value: str, grid: Grid) -> str:
        attributes = {} if grid.axis is None else {"axis": grid.axis}
        return self.writer.node("DequantizeLinear", [value, *self.scale(grid)], **attributes)

    def weights(self, step: Step) -> dict[str, str]:
        names = {}
        grid = None
        for role, values in step.weights.items():
            if role == "w":
                grid = self.weight_grid(step, values)
                names[role] = self.dequantized(
                    self.writer.tensor(make_tensor(integers(values, grid), grid.kind)), grid
                )
            elif role == "b" and grid is not None:
                names[role] = self.bias(values, self.grids[step.inputs[0]], grid)
            else:
                names[role] = self.writer.const(values)
        return names

    def weight_grid(self, step: Step, values: np.ndarray) -> Grid:
        axis = _AXIS[step.kind]
        per_axis = self.per_axis and not (step.kind == "ConvTranspose" and step.attributes["group"] > 1)
        if not per_axis:
            symmetric = self.weight_kind != TensorProto.UINT8
            low, high = float(values.min()), float(values.max())
            return grid_for(self.rng, low, high, self.weight_kind, dyadic=self.dyadic, symmetric=symmetric)
        rows = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
        grids = [
            grid_for(self.rng, float(r.min()), float(r.max()), self.weight_kind, dyadic=self.dyadic,
                     symmetric=self.weight_kind != TensorProto.UINT8)
            for r in rows
        ]  # fmt: skip
        return Grid(
            scale=np.array([g.scale for g in grids], np.float32),
            zero=np.array([g.zero for g in grids]),
            kind=self.weight_kind,
            axis=axis,
        )

    def bias(self, values: np.ndarray, x: Grid, w: Grid) -> str:
        """int32 at the scale of the products, or in floating point."""
        scale = (x.scale * w.scale).astype(np.float32)
        per_axis = scale.ndim > 0 and scale.size == values.size
        grid = Grid(
            scale=scale if per_axis or scale.ndim == 0 else scale.max(),
            zero=np.zeros_like(scale, np.int64) if per_axis or scale.ndim == 0 else np.array(0),
            kind=int(TensorProto.INT32),
            axis=0 if per_axis else None,
        )
        q = integers(values, grid)
        if self.rng.random() < 0.5 and not self.dyadic:
            return self.writer.const(values)
        return self.dequantized(self.writer.tensor(make_tensor(q, grid.kind)), grid)

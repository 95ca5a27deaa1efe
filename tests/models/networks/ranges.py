"""Least and greatest value of every stream of a sketch, found by running it."""

from __future__ import annotations

import numpy as np
import onnxruntime
from onnx import TensorProto

from networks.sketch import Sketch
from networks.writer import Writer

__all__ = ["float_model", "ranges"]


def float_model(sketch: Sketch, *, opset: int = 17) -> tuple[Writer, dict[str, str]]:
    """Nodes of the sketch in floating point, and the value of each stream."""
    writer = Writer(sketch, opset=opset)
    names = {name: name for name in sketch.inputs}
    for step in sketch.steps:
        weights = {role: writer.const(value) for role, value in step.weights.items()}
        names[step.output] = writer.lower(step, [names[n] for n in step.inputs], weights)
    return writer, names


def ranges(sketch: Sketch, rng: np.random.Generator) -> dict[str, tuple[float, float]]:
    """By stream, for inputs of a normal distribution."""
    writer, names = float_model(sketch)
    inputs = [(name, int(TensorProto.FLOAT), sketch.shape[name]) for name in sketch.inputs]
    shapes = {names[step.output]: sketch.shape[step.output] for step in sketch.steps}
    outputs = list(shapes)
    model = writer.model(inputs, [(name, int(TensorProto.FLOAT), shape) for name, shape in shapes.items()])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feeds = {name: rng.normal(size=(8, *sketch.shape[name])).astype(np.float32) for name in sketch.inputs}
    values = dict(zip(outputs, session.run(outputs, feeds), strict=True)) | feeds
    found = {name: np.asarray(values[value]) for name, value in names.items()}
    for name, value in found.items():
        assert value.shape[1:] == sketch.shape[name], (name, value.shape, sketch.shape[name])
    return {name: (float(value.min()), float(value.max())) for name, value in found.items()}

"""Conv in standard ONNX operators."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.ir.conv import Conv
from pulsefold.sim.golden.onnx_writer import Writer

__all__ = ["write_conv"]

_INT32, _INT64 = np.dtype(np.int32), np.dtype(np.int64)


def write_conv(writer: Writer, node: Conv) -> None:
    """ConvInteger, or MatMulInteger over the whole frame, on bytes; MatMul of int64 where bytes don't do."""
    source = writer.tensor(node.input).type
    low, high = source.minimum, source.maximum
    if node.padded:
        low, high = min(low, node.pad_value), max(high, node.pad_value)
    signed = node.weights.min() < 0
    narrow = node.weights.min() >= -128 and node.weights.max() <= (127 if signed else 255)
    if narrow and high - low <= 255 and writer.carried(node.output) == _INT32:
        _bytes(writer, node, low, signed=bool(signed))
    else:
        _wide(writer, node)


def _bytes(writer: Writer, node: Conv, low: int, *, signed: bool) -> None:
    """Both operands unsigned with a zero point: signed bytes saturate in the 16 bits of some processors."""
    top, left, bottom, right = node.pads
    # x + zero lies in 0 to 255; the zero point takes it off again, and pads with a real 0.
    zero = max(0, -low)
    value = writer.read(node.input, _INT32)
    padded = node.padded and node.pad_value != 0
    if padded:
        value = writer.pad(value, (0, top, left, 0, bottom, right), node.pad_value, _INT32)
    shifted = writer.emit("Add", [value, writer.constant(zero, _INT32)])
    operand = writer.cast(shifted, np.dtype(np.uint8))
    offset = 128 if signed else 0
    weights = (node.weights.transpose(0, 3, 1, 2) + offset).astype(np.uint8)
    zeros = [writer.constant(zero, np.uint8), writer.constant(offset, np.uint8)]
    frame = writer.tensor(node.input).shape[:2]
    if node.kernel == frame and not node.padded and node.groups == 1:
        flat = writer.emit("Flatten", [operand], axis=1)
        matrix = writer.constant(weights.reshape(len(weights), -1).T, np.uint8)
        product = writer.emit("MatMulInteger", [flat, matrix, *zeros])
        result = writer.emit("Unsqueeze", [product, writer.constant([2, 3], np.int64)])
    else:
        result = writer.emit(
            "ConvInteger",
            [operand, writer.constant(weights, np.uint8), *zeros],
            strides=node.stride,
            dilations=node.dilation,
            pads=(0, 0, 0, 0) if padded else node.pads,
            kernel_shape=node.kernel,
            group=node.groups,
        )
    writer.write(result, _INT32, node.output)


def _wide(writer: Writer, node: Conv) -> None:
    """One MatMul of int64 a tap, on channels moved to the last axis, with groups as zeros between them."""
    top, left, bottom, right = node.pads
    value = writer.read(node.input, _INT64)
    value = writer.pad(value, (0, top, left, 0, bottom, right), node.pad_value, _INT64)
    oh, ow, outputs = writer.tensor(node.output).shape
    inside, rows = node.weights.shape[3], outputs // node.groups
    weights = np.zeros((*node.kernel, inside * node.groups, outputs), np.int64)
    for group in range(node.groups):
        columns = slice(group * rows, (group + 1) * rows)
        part = node.weights[columns].transpose(1, 2, 3, 0)
        weights[:, :, group * inside : (group + 1) * inside, columns] = part
    products = []
    for ky, kx in np.ndindex(*node.kernel):
        tap = writer.slice(value, 2, ky * node.dilation[0], oh, node.stride[0])
        tap = writer.slice(tap, 3, kx * node.dilation[1], ow, node.stride[1])
        last = writer.emit("Transpose", [tap], perm=(0, 2, 3, 1))
        products.append(writer.emit("MatMul", [last, writer.constant(weights[ky, kx], np.int64)]))
    total = products[0]
    for product in products[1:]:
        total = writer.emit("Add", [total, product])
    result = writer.emit("Transpose", [total], perm=(0, 3, 1, 2))
    writer.write(result, _INT64, node.output)

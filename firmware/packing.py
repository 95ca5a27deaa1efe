"""Integers of a tensor to the bytes of its stream and back."""

from __future__ import annotations

import numpy as np

from pulsefold.compiler.ir import ElementType
from pulsefold.hdl.link.protocol import Kind, TensorFormat

__all__ = ["element_type", "from_bytes", "to_bytes"]


def element_type(tensor: TensorFormat) -> ElementType:
    """The element type that a description names."""
    if tensor.kind == Kind.BIPOLAR:
        return ElementType.bipolar()
    if tensor.kind == Kind.TERNARY:
        return ElementType.ternary()
    return ElementType.integer(tensor.bits, signed=tensor.kind == Kind.SIGNED)


def to_bytes(q: np.ndarray, tensor: TensorFormat) -> bytes:
    """Integers [N, H, W, C] as the bytes of N images: see docs/host-link.md."""
    patterns = element_type(tensor).encode(q).reshape(-1, tensor.lanes).astype("<u8")
    octets = patterns.view(np.uint8).reshape(len(patterns), tensor.lanes, 8)
    bits = np.unpackbits(octets, axis=2, count=tensor.bits, bitorder="little")
    return np.packbits(bits.reshape(len(patterns), -1), axis=1, bitorder="little").tobytes()


def from_bytes(data: bytes, tensor: TensorFormat) -> np.ndarray:
    """Inverse of :func:`to_bytes`, int64 [N, H, W, C]."""
    rows = np.frombuffer(data, np.uint8).reshape(-1, tensor.beat_bytes)
    bits = np.unpackbits(rows, axis=1, count=tensor.lanes * tensor.bits, bitorder="little")
    lanes = np.zeros((len(rows), tensor.lanes, 8), np.uint8)
    packed = np.packbits(bits.reshape(len(rows), tensor.lanes, tensor.bits), axis=2, bitorder="little")
    lanes[:, :, : packed.shape[2]] = packed
    patterns = lanes.view("<u8")[:, :, 0]
    return element_type(tensor).decode(patterns).reshape(-1, *tensor.shape)

"""Beats of lanes to packed 32-bit words and back: how payloads cross into a simulator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pulsefold.errors import InputArrayError
from pulsefold.sim.cosim.ports import StreamPort

__all__ = ["check_beats", "pack", "streams_of", "unpack"]

#: Lanes handled at a time, so that the unpacked bits stay within a few megabytes.
_CHUNK = 1 << 16


def streams_of(
    beats: np.ndarray | Sequence[np.ndarray], ports: Sequence[StreamPort]
) -> tuple[np.ndarray, ...]:
    """Beats an array a port; a single array is those of the only port.

    Raises
    ------
    InputArrayError
        If there are not as many as ports.
    """
    arrays = (beats,) if isinstance(beats, np.ndarray) else tuple(beats)
    if len(arrays) != len(ports):
        names = ", ".join(port.name for port in ports)
        raise InputArrayError(f"{len(arrays)} arrays of beats were given for the streams {names}")
    return arrays


def check_beats(beats: np.ndarray, port: StreamPort) -> np.ndarray:
    """The beats as uint64 [n, lanes], shown to fit the port.

    Raises
    ------
    InputArrayError
        If the shape is wrong, the type is not integer, or a pattern needs more bits than a lane has.
    """
    array = np.asarray(beats)
    if array.ndim != 2 or array.shape[1] != port.lanes or array.dtype.kind not in "biu":
        raise InputArrayError(
            f"beats must be integers [n, {port.lanes}], not {array.dtype} {list(array.shape)}",
            where=f"stream {port.name!r}",
        )
    if array.size and array.dtype.kind == "i" and array.min() < 0:
        raise InputArrayError(
            "beats must be bit patterns, not negative numbers",
            where=f"stream {port.name!r}",
            todo="encode the values with the tensor's element type",
        )
    array = array.astype(np.uint64)
    if array.size and int(array.max()).bit_length() > port.width:
        raise InputArrayError(
            f"a lane of {port.width} bits cannot hold {int(array.max())}",
            where=f"stream {port.name!r}",
        )
    return array


def pack(beats: np.ndarray, port: StreamPort) -> np.ndarray:
    """Packed beats, little-endian uint32 [n, words]: lane k in bits k*width to (k+1)*width-1, then zeros."""
    array = check_beats(beats, port)
    packed = np.zeros((len(array), port.words * 4), np.uint8)
    lane_bytes = -(-port.width // 8)
    step = max(1, _CHUNK // port.lanes)
    for start in range(0, len(array), step):
        lanes = np.ascontiguousarray(array[start : start + step], "<u8")
        octets = lanes.view(np.uint8).reshape(*lanes.shape, 8)[:, :, :lane_bytes]
        bits = np.unpackbits(octets, axis=2, count=port.width, bitorder="little")
        rows = np.packbits(bits.reshape(len(lanes), -1), axis=1, bitorder="little")
        packed[start : start + step, : rows.shape[1]] = rows
    return packed.view("<u4")


def unpack(words: np.ndarray, port: StreamPort) -> np.ndarray:
    """Inverse of :func:`pack`: uint64 [n, lanes]."""
    octets = np.ascontiguousarray(words, "<u4").view(np.uint8).reshape(len(words), port.words * 4)
    beats = np.empty((len(octets), port.lanes), np.uint64)
    step = max(1, _CHUNK // port.lanes)
    for start in range(0, len(octets), step):
        bits = np.unpackbits(octets[start : start + step], axis=1, count=port.bits, bitorder="little")
        rows = bits.reshape(len(bits), port.lanes, port.width)
        lanes = np.zeros((*rows.shape[:2], 8), np.uint8)
        lanes[:, :, : -(-port.width // 8)] = np.packbits(rows, axis=2, bitorder="little")
        beats[start : start + step] = lanes.view("<u8")[:, :, 0]
    return beats

"""The host protocol as data: frames to bytes and back, and the board's description of itself.

The format is that of ``firmware/PROTOCOL.md``. Both ends are built from this module: the circuit takes its
constants and its ready-made ``HELLO``, the host its encoder and decoder.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

__all__ = [
    "DEBUG_TENSOR",
    "DELIMITER",
    "MAX_FRAME",
    "MAX_PAYLOAD",
    "OVERHEAD",
    "SLOT_BYTES",
    "VERSION",
    "WEIGHTS_TENSOR",
    "Feature",
    "Flag",
    "Frame",
    "FrameDecoder",
    "FrameError",
    "Hello",
    "Kind",
    "Status",
    "TensorFormat",
    "Type",
    "decode",
    "encode",
]

VERSION = 1

#: Ends a frame on the line, and occurs nowhere else.
DELIMITER = 0

#: Bytes of a frame before COBS: with more, a code byte could be 0xFF in the middle.
MAX_FRAME = 254

#: Block RAM for a frame: the longest there is on the line, which is 2 more than before COBS.
SLOT_BYTES = 256

#: Type, number, extra, CRC.
OVERHEAD = 7

MAX_PAYLOAD = MAX_FRAME - OVERHEAD

#: Index that DATA and RESULT carry for what is no tensor of the network: the probe's choice and its bytes.
DEBUG_TENSOR = 15

#: Likewise for what memories are to hold, and the digest of what they hold.
WEIGHTS_TENSOR = 14

#: Tensors a description has room for.
_MAX_TENSORS = 13


class Type(IntEnum):
    """First byte of a frame; bit 7 is set in those of the board."""

    DATA = 0x01
    ACK = 0x02
    RESEND = 0x03
    POLL = 0x04
    IDENTIFY = 0x05
    OPEN = 0x06
    COUNT = 0x07
    RESULT = 0x81
    STATUS = 0x82
    HELLO = 0x83
    COUNTS = 0x84


class Flag(IntEnum):
    """Lowest bits of `extra` in a STATUS: what happened since the last one."""

    REFUSED = 1
    BAD = 2


class Feature(IntEnum):
    """What a board can do beyond the rest."""

    COUNTS = 1
    UNIT_COUNTS = 2
    PROBE = 4
    WEIGHTS = 8


class Kind(IntEnum):
    """Elements of a tensor."""

    UNSIGNED = 0
    SIGNED = 1
    BIPOLAR = 2
    TERNARY = 3


class FrameError(ValueError):
    """Bytes that are no frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame.

    Parameters
    ----------
    type
        First byte; of :class:`Type` in frames that mean anything.
    number, extra
        Second and third byte.
    payload
        0 to 247 bytes.
    """

    type: int
    number: int = 0
    extra: int = 0
    payload: bytes = b""

    def __post_init__(self) -> None:
        if len(self.payload) > MAX_PAYLOAD:
            msg = f"a payload has at most {MAX_PAYLOAD} bytes, not {len(self.payload)}"
            raise ValueError(msg)


def encode(frame: Frame) -> bytes:
    """A frame as it goes over the line, delimiter included."""
    raw = bytes((frame.type, frame.number, frame.extra)) + frame.payload
    raw += zlib.crc32(raw).to_bytes(4, "little")
    # Each run of bytes that are not zero follows its length, one more than which is the distance to the
    # next zero.
    return b"".join(bytes((len(run) + 1,)) + run for run in raw.split(b"\0")) + b"\0"


def decode(line: bytes) -> Frame:
    """The frame in the bytes between two delimiters.

    Raises
    ------
    FrameError
        If they are none: size, COBS or CRC.
    """
    raw = bytearray()
    at = 0
    while at < len(line):
        end = at + line[at]
        if end > len(line) or end == at:
            raise FrameError("the COBS code points outside of the frame")
        raw += line[at + 1 : end]
        at = end
        if at < len(line):
            raw.append(0)
    if not OVERHEAD <= len(raw) <= MAX_FRAME:
        raise FrameError(f"a frame has {OVERHEAD} to {MAX_FRAME} bytes, not {len(raw)}")
    body = bytes(raw[:-4])
    if zlib.crc32(body) != int.from_bytes(raw[-4:], "little"):
        raise FrameError("the CRC differs")
    return Frame(type=body[0], number=body[1], extra=body[2], payload=body[3:])


class FrameDecoder:
    """Bytes as they come to frames; `bad` counts what were none."""

    def __init__(self) -> None:
        self.bad = 0
        self._kept = bytearray()
        self._long = False

    def feed(self, data: bytes) -> Iterator[Frame | None]:
        """Each whole frame in `data` and what was kept before; None stands for a bad one."""
        *ended, rest = data.split(b"\0")
        for part in ended:
            line, self._kept = bytes(self._kept) + part, bytearray()
            long, self._long = self._long, False
            if not line and not long:
                continue
            try:
                if long:
                    raise FrameError("no delimiter for longer than a frame")
                frame = decode(line)
            except FrameError:
                self.bad += 1
                yield None
            else:
                yield frame
        self._kept += rest
        if len(self._kept) > MAX_FRAME + 1:
            # What never ends is not kept: only that it was there.
            self._kept.clear()
            self._long = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The payload and header of a STATUS.

    Parameters
    ----------
    next
        Number of the next DATA frame the board takes.
    limit
        First number that may not be sent yet.
    results
        Number of the next RESULT to be closed.
    session
        Session that is open, or 0.
    attempt
        Attempt of the last good DATA frame.
    refused, bad
        Whether a frame was, since the last STATUS.
    poll
        Tag of the POLL that this answers, or 0: all that was sent before that has arrived or is lost.
    """

    next: int
    limit: int
    results: int
    session: int
    attempt: int
    refused: bool = False
    bad: bool = False
    poll: int = 0

    @classmethod
    def of(cls, frame: Frame) -> Status:
        """Read one.

        Raises
        ------
        FrameError
            If the payload has another size.
        """
        if frame.type != Type.STATUS or len(frame.payload) != 4:
            raise FrameError("this is no STATUS")
        limit, results, session = struct.unpack("<BBH", frame.payload)
        return cls(
            next=frame.number,
            limit=limit,
            results=results,
            session=session,
            attempt=frame.extra >> 4,
            refused=bool(frame.extra & Flag.REFUSED),
            bad=bool(frame.extra & Flag.BAD),
            poll=frame.extra >> 2 & 3,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorFormat:
    """One stream of the network, as its bytes are laid out.

    Parameters
    ----------
    beats
        Beats of an image.
    lanes
        Elements of a beat.
    bits
        Bits of an element.
    kind
        What an element is.
    shape
        Height, width and channels.
    """

    beats: int
    lanes: int
    bits: int
    kind: Kind
    shape: tuple[int, int, int]

    _LAYOUT = struct.Struct("<IHBBHHI")

    @property
    def beat_bytes(self) -> int:
        """Bytes of a beat: its bits, padded."""
        return -(-self.lanes * self.bits // 8)

    @property
    def image_bytes(self) -> int:
        """Bytes of an image."""
        return self.beats * self.beat_bytes

    def pack(self) -> bytes:
        """As in HELLO."""
        return self._LAYOUT.pack(self.beats, self.lanes, self.bits, self.kind, *self.shape)

    @classmethod
    def unpack(cls, data: bytes) -> TensorFormat:
        """Inverse of :meth:`pack`; raises FrameError where the values make no sense."""
        beats, lanes, bits, kind, *shape = cls._LAYOUT.unpack(data)
        try:
            known = Kind(kind)
        except ValueError as error:
            raise FrameError(f"unknown kind of element {kind}") from error
        if not (beats and lanes and 1 <= bits <= 64):
            raise FrameError(f"no tensor: {beats} beats of {lanes} elements of {bits} bits")
        if bits != {Kind.BIPOLAR: 1, Kind.TERNARY: 2}.get(known, bits):
            raise FrameError(f"no tensor: {known.name.lower()} elements of {bits} bits")
        if beats * lanes != math.prod(shape):
            raise FrameError(f"no tensor: {beats} beats of {lanes} elements, and its shape is {shape}")
        return cls(beats=beats, lanes=lanes, bits=bits, kind=known, shape=(shape[0], shape[1], shape[2]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What a board says of itself.

    Parameters
    ----------
    input_slots, result_slots
        DATA frames it holds, RESULT frames it keeps.
    features
        Sum of :class:`Feature`.
    units
        Pages of COUNT beyond the first.
    design_id
        16 bytes.
    clock_hz
        Of the clock that COUNT counts.
    inputs, outputs
        Tensors by index.
    """

    input_slots: int
    result_slots: int
    features: int = 0
    units: int = 0
    design_id: bytes
    clock_hz: int
    inputs: tuple[TensorFormat, ...]
    outputs: tuple[TensorFormat, ...]

    _LAYOUT = struct.Struct("<BBBB16sIBBH")

    def __post_init__(self) -> None:
        if self.input_slots not in (2, 4, 8, 16, 32, 64):
            msg = f"input_slots must be a power of two from 2 to 64, not {self.input_slots!r}"
            raise ValueError(msg)
        if self.result_slots not in range(2, 65, 2):
            msg = f"result_slots must be an even number from 2 to 64, not {self.result_slots!r}"
            raise ValueError(msg)
        if not (self.inputs and self.outputs and len(self.inputs) + len(self.outputs) <= _MAX_TENSORS):
            msg = f"there must be inputs and outputs, at most {_MAX_TENSORS} together"
            raise ValueError(msg)

    def frame(self) -> Frame:
        """As a frame."""
        head = self._LAYOUT.pack(
            self.input_slots,
            self.result_slots,
            self.features,
            self.units,
            self.design_id,
            self.clock_hz,
            len(self.inputs),
            len(self.outputs),
            0,
        )
        tensors = b"".join(tensor.pack() for tensor in (*self.inputs, *self.outputs))
        return Frame(type=Type.HELLO, number=VERSION, payload=head + tensors)

    @classmethod
    def of(cls, frame: Frame) -> Hello:
        """Read one.

        Raises
        ------
        FrameError
            If it is of another version or makes no sense.
        """
        if frame.type != Type.HELLO or frame.number != VERSION:
            raise FrameError(f"version {frame.number} of the protocol, and this is {VERSION}")
        size, each = cls._LAYOUT.size, 16
        if len(frame.payload) < size:
            raise FrameError("the description is cut short")
        head = cls._LAYOUT.unpack(frame.payload[:size])
        tensors = frame.payload[size:]
        if len(tensors) != each * (head[6] + head[7]):
            raise FrameError("the description has another number of tensors than it says")
        formats = [TensorFormat.unpack(tensors[k : k + each]) for k in range(0, len(tensors), each)]
        try:
            return cls(
                input_slots=head[0],
                result_slots=head[1],
                features=head[2],
                units=head[3],
                design_id=head[4],
                clock_hz=head[5],
                inputs=tuple(formats[: head[6]]),
                outputs=tuple(formats[head[6] :]),
            )
        except ValueError as error:
            raise FrameError(str(error)) from error

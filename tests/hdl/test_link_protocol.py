"""Frames to bytes and back, and what damage does to them."""

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsefold.hdl.link.protocol import (
    DELIMITER,
    MAX_PAYLOAD,
    Frame,
    FrameDecoder,
    FrameError,
    Hello,
    Kind,
    Status,
    TensorFormat,
    Type,
    decode,
    encode,
)

BYTE = st.integers(0, 255)
FRAMES = st.builds(
    Frame, type=BYTE, number=BYTE, extra=BYTE, payload=st.binary(max_size=MAX_PAYLOAD) | st.binary(max_size=9)
)


@given(FRAMES)
def test_there_and_back(frame):
    line = encode(frame)
    assert line.index(DELIMITER) == len(line) - 1 == 8 + len(frame.payload)
    assert decode(line[:-1]) == frame


def test_by_hand():
    # 04 00 00: three codes for two zeros, then the CRC behind the last one.
    crc = zlib.crc32(b"\4\0\0").to_bytes(4, "little")
    assert 0 not in crc
    assert encode(Frame(type=Type.POLL)) == b"\2\4\1\5" + crc + b"\0"


@given(FRAMES, st.data())
def test_flipped_bits_are_found(frame, data):
    line = bytearray(encode(frame)[:-1])
    for place in data.draw(st.sets(st.integers(0, 8 * len(line) - 1), min_size=1, max_size=4)):
        line[place // 8] ^= 1 << place % 8
    with pytest.raises(FrameError):
        for part in bytes(line).split(b"\0"):
            decode(part)


@given(FRAMES, st.binary(max_size=600), st.integers(1, 300))
def test_the_frame_behind_any_garbage_is_found(frame, garbage, step):
    """However the bytes come apart, one delimiter ends the garbage."""
    line = garbage + b"\0" + encode(frame)
    decoder = FrameDecoder()
    found = [f for k in range(0, len(line), step) for f in decoder.feed(line[k : k + step])]
    assert found[-1] == frame
    assert len(found) - 1 == decoder.bad


def test_a_line_without_delimiters_is_not_kept():
    decoder = FrameDecoder()
    for _ in range(100):
        assert not list(decoder.feed(bytes([7]) * 1000))
    assert list(decoder.feed(b"\0")) == [None]
    assert decoder.bad == 1


@given(st.lists(st.sampled_from([0, 0, 1, 255]) | BYTE, max_size=2000))
def test_random_bytes_are_no_frames(values):
    assert all(f is None for f in FrameDecoder().feed(bytes(values)))


def tensor(rng):
    height, width, lanes, folds = (rng.randrange(1, 1 << n) for n in (8, 8, 16, 16))
    kind = rng.choice(list(Kind))
    return TensorFormat(
        beats=height * width * folds,
        lanes=lanes,
        bits={Kind.BIPOLAR: 1, Kind.TERNARY: 2}.get(kind, rng.randrange(1, 65)),
        kind=kind,
        shape=(height, width, folds * lanes),
    )


@given(st.randoms(use_true_random=False), st.integers(1, 12))
def test_description_there_and_back(rng, inputs):
    hello = Hello(
        input_slots=rng.choice([2, 8, 64]),
        result_slots=rng.choice([2, 4, 6, 62, 64]),
        features=rng.randrange(16),
        units=rng.randrange(256),
        design_id=rng.randbytes(16),
        clock_hz=rng.randrange(1 << 32),
        inputs=tuple(tensor(rng) for _ in range(inputs)),
        outputs=tuple(tensor(rng) for _ in range(rng.randint(1, 13 - inputs))),
    )
    assert Hello.of(decode(encode(hello.frame())[:-1])) == hello


def described(beats, lanes, bits, kind, shape, slots=b"\2\2"):
    tensor = TensorFormat(beats=beats, lanes=lanes, bits=bits, kind=kind, shape=shape).pack()
    return slots + bytes(22) + b"\1\1" + bytes(2) + 2 * tensor


@pytest.mark.parametrize(
    "change",
    [
        {"number": 2},
        {"payload": b""},
        {"payload": bytes(28)},
        {"payload": b"\3" + bytes(27)},
        # Slots: 6 for data, 5 and 66 for results.
        {"payload": described(2, 3, 4, Kind.SIGNED, (1, 1, 6), slots=b"\6\6")},
        {"payload": described(2, 3, 4, Kind.SIGNED, (1, 1, 6), slots=b"\2\5")},
        {"payload": described(2, 3, 4, Kind.SIGNED, (1, 1, 6), slots=b"\2\x42")},
        {"payload": b"\2\2" + bytes(22) + b"\1\1" + bytes(34)},
        # 2 beats of 3 elements for 1 x 1 x 5; bipolar elements of 2 bits.
        {"payload": described(2, 3, 4, Kind.SIGNED, (1, 1, 5))},
        {"payload": described(2, 3, 2, Kind.BIPOLAR, (1, 1, 6))},
        {"type": Type.STATUS},
    ],
)
def test_a_description_of_nonsense_is_refused(change):
    with pytest.raises(FrameError):
        Hello.of(Frame(**({"type": Type.HELLO, "number": 1} | change)))


def test_status():
    frame = Frame(type=Type.STATUS, number=7, extra=0xA6, payload=b"\x0f\x09\x34\x12")
    assert Status.of(frame) == Status(
        next=7, limit=15, results=9, session=0x1234, attempt=10, refused=False, bad=True, poll=1
    )
    with pytest.raises(FrameError):
        Status.of(Frame(type=Type.STATUS, payload=b"\x0f"))


def test_payloads_have_an_end():
    Frame(type=1, payload=random.Random(1).randbytes(MAX_PAYLOAD))
    with pytest.raises(ValueError, match="at most 247"):
        Frame(type=1, payload=bytes(MAX_PAYLOAD + 1))

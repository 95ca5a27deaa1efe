"""The Python driver against anything, from an input of bytes that a fuzzer chooses.

`anything` is a board that says what the input says; `damaged` an honest one behind a line that the input
damages. Time is counted, not waited for. Each raises AssertionError where something does not hold that must.
"""

import contextlib
import struct
import types

import numpy as np

from pulsefold.errors import DeviceError
from pulsefold.firmware import session
from pulsefold.firmware.board import Board
from pulsefold.firmware.packing import from_bytes, to_bytes
from pulsefold.firmware.session import SessionLostError
from pulsefold.hdl.link.protocol import (
    MAX_PAYLOAD,
    Feature,
    Frame,
    FrameDecoder,
    FrameError,
    Hello,
    Kind,
    TensorFormat,
    Type,
    decode,
    encode,
)

#: Seconds without progress that the driver is given, and those in which any of its calls must have ended.
TIMEOUT, BOUND = 3.0, 2000.0

#: Seconds that a line may have been good when the driver gives up, of 20 without progress.
HEALED = 10.0


class Script:
    """An input that is read byte by byte; zeros behind its end."""

    def __init__(self, data):
        self.data, self.at = data, 0

    @property
    def left(self):
        return max(0, len(self.data) - self.at)

    def byte(self):
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def bytes(self, count):
        return bytes(self.byte() for _ in range(count))


class Line:
    """What the driver takes for a port; its ends are methods of those who inherit from it."""

    port = "fuzzed"

    def __init__(self, script):
        self.script, self.now, self.reads = script, 0.0, 0

    def monotonic(self):
        return self.now

    def read(self, seconds):
        self.reads += 1
        assert self.reads < 200_000, "the driver never ends"
        end = self.now + seconds
        while not (data := self.arrived()) and self.now < end:
            # What is on its way arrives meanwhile.
            self.now = self.now + 1e-3 if self.busy() else end
        # Whatever arrives, time goes on.
        self.now += 1e-5
        return data

    def busy(self) -> bool:
        return False

    def discard(self, seconds):
        end = self.now + 10 * seconds
        while self.read(seconds) and self.now < end:
            pass

    def close(self):
        pass

    def run(self, work):
        """With this line's clock for the session's."""
        before, session.time = session.time, types.SimpleNamespace(monotonic=self.monotonic)
        started = self.now
        try:
            return work()
        finally:
            session.time = before
            assert self.now - started < BOUND + 0.1 * len(self.script.data), "a call took too long"


def description(script, inputs, outputs):
    """A board of small tensors."""

    def tensor():
        beats, lanes, kind = 1 + script.byte() % 20, 1 + script.byte() % 9, Kind(script.byte() % 4)
        bits = {Kind.BIPOLAR: 1, Kind.TERNARY: 2}.get(kind, 1 + script.byte() % 16)
        return TensorFormat(beats=beats, lanes=lanes, bits=bits, kind=kind, shape=(beats, 1, lanes))

    return Hello(
        input_slots=2 << script.byte() % 4,
        result_slots=2 + 2 * (script.byte() % 8),
        features=Feature.COUNTS,
        design_id=bytes(16),
        clock_hz=1,
        inputs=tuple(tensor() for _ in range(inputs)),
        outputs=tuple(tensor() for _ in range(outputs)),
    )


def parsed(data):
    """Bytes as line, frame and description: only FrameError says that they are none."""
    for frame in FrameDecoder().feed(data):
        assert frame is None or decode(encode(frame)[:-1]) == frame
    for number in (1, 2):
        frame = Frame(type=Type.HELLO, number=number, payload=data[:MAX_PAYLOAD])
        try:
            hello = Hello.of(frame)
        except FrameError:
            continue
        # Reserved bytes are zero in ours, whatever was in theirs.
        assert Hello.of(hello.frame()) == hello
        for tensor in (*hello.inputs, *hello.outputs):
            if tensor.image_bytes <= len(data):
                q = from_bytes(data[: tensor.image_bytes], tensor)
                assert q.shape == (1, *tensor.shape)
                np.testing.assert_array_equal(from_bytes(to_bytes(q, tensor), tensor), q)


class Talker(Line):
    """A board that says anything, some of which makes sense."""

    def __init__(self, script):
        super().__init__(script)
        self.hello = description(script, 1 + script.byte() % 2, 1 + script.byte() % 2)
        self.said = bytearray()
        self.heard = FrameDecoder()
        self.session, self.next, self.results, self.tag = 0, 0, 0, 0
        self.owing = []

    def truth(self, extra=0):
        limit = (self.next + self.hello.input_slots) & 0xFF
        payload = struct.pack("<BBH", limit, self.results, self.session)
        frame = Frame(type=Type.STATUS, number=self.next, extra=extra | self.tag << 2, payload=payload)
        return encode(frame)

    def write(self, data):
        for frame in self.heard.feed(data):
            if frame is None:
                continue
            if frame.type in (Type.IDENTIFY, Type.OPEN, Type.POLL):
                # Mostly answered, so that a fuzzer gets beyond the first question.
                self.owing.append(frame.type)
            if frame.type == Type.OPEN:
                (self.session,) = struct.unpack("<H", frame.payload)
                self.next = self.results = 0
            elif frame.type == Type.DATA and frame.number == self.next:
                self.next = (self.next + 1) & 0xFF
            elif frame.type == Type.POLL:
                self.tag = frame.number

    def arrived(self):
        byte = self.script.byte
        if self.owing:
            asked = self.owing.pop(0)
            if byte() % 8 < 7:
                return encode(self.hello.frame()) if asked == Type.IDENTIFY else self.truth()
        if not self.script.left:
            return b""
        what = byte() % 9
        if what == 0:
            return self.script.bytes(byte() % 32)
        if what == 1:
            return encode(self.hello.frame())
        if what == 2:
            return self.truth(byte() & 0xF0)
        if what == 3:
            payload = struct.pack("<BBH", byte(), byte(), self.session)
            return encode(Frame(type=Type.STATUS, number=byte(), extra=byte(), payload=payload))
        if what == 4:
            number, self.results = self.results, (self.results + 1) & 0xFF
            return encode(
                Frame(type=Type.RESULT, number=number, extra=byte() % 3, payload=bytes(byte() % 64))
            )
        if what == 5:
            types = (Type.RESULT, Type.STATUS, Type.HELLO, Type.COUNTS, 0x55)
            payload = self.script.bytes(byte() % 40)
            return encode(Frame(type=types[byte() % 5], number=byte(), extra=byte(), payload=payload))
        if what == 6:
            self.now += byte() / 50
        if what == 7:
            self.session ^= byte() == 1
        return b""


def anything(data):
    """A board that says anything: DeviceError or an array of the right shape, in time."""
    line = Talker(Script(data))

    def work():
        board = Board(line, timeout=TIMEOUT)
        inputs = [np.full((3, *t.shape), 1 if t.kind != Kind.SIGNED else 0) for t in board.hello.inputs]
        if sum(a.size for a in inputs) > 10_000:
            return
        for _ in range(2):
            try:
                outputs = board.infer(inputs)
            except DeviceError:
                pass
            else:
                assert [y.shape for y in outputs] == [(3, *t.shape) for t in board.hello.outputs]
            board.counters()

    with contextlib.suppress(DeviceError):
        line.run(work)


class HonestBoard(Line):
    """The board of firmware/PROTOCOL.md, whose network sums bytes, behind a line that the input damages."""

    def __init__(self, script):
        super().__init__(script)
        self.hello = description(script, 1 + script.byte() % 2, 1 + script.byte() % 2)
        self.up, self.down = bytearray(), bytearray()
        #: Bytes until the next damage, and those still to be lost, each way.
        self.passing, self.lost, self.pieces = [0, 0], [0, 0], [4096, 4096]
        #: When the damage ended.
        self.healed = 0.0
        self.reset(0)

    def reset(self, session):
        self.session = session
        self.decoder = FrameDecoder()
        self.next = self.taken = self.told = self.acknowledged = self.closed = self.sent = 0
        self.attempt = self.flags = self.tag = 0
        self.say_status = False
        self.answers = []
        self.frames, self.results = {}, {}
        self.image = [bytearray() for _ in self.hello.inputs]
        self.made = []
        self.up.clear()

    @staticmethod
    def network(image, hello):
        """Bytes of the outputs for the bytes of an image."""
        seed = sum(
            (k + 1) * (n + 1) * (byte + 1) for k, data in enumerate(image) for n, byte in enumerate(data)
        )
        return [
            bytes((seed + 31 * k + (n + 1) * (seed >> 8)) & 0xFF for n in range(tensor.image_bytes))
            for k, tensor in enumerate(hello.outputs)
        ]

    @property
    def limit(self):
        return (self.taken + self.hello.input_slots) & 0xFF

    def compute(self):
        while True:
            while self.made:
                if (self.closed - self.acknowledged) & 0xFF == self.hello.result_slots:
                    return
                index, data = self.made[0]
                self.results[self.closed] = (index, data[:MAX_PAYLOAD])
                self.closed = (self.closed + 1) & 0xFF
                self.made[0] = (index, data[MAX_PAYLOAD:])
                if not self.made[0][1]:
                    del self.made[0]
            if self.taken == self.next:
                return
            index, data = self.frames[self.taken]
            room = self.hello.inputs[index].image_bytes - len(self.image[index])
            assert room, "an image's bytes before those of the one before it"
            self.image[index] += data[:room]
            self.frames[self.taken] = (index, data[room:])
            if not data[room:]:
                self.taken = (self.taken + 1) & 0xFF
            if all(len(i) == t.image_bytes for i, t in zip(self.image, self.hello.inputs, strict=True)):
                self.made = list(enumerate(self.network(self.image, self.hello)))
                self.image = [bytearray() for _ in self.hello.inputs]

    def hear(self, frame):
        if frame is None:
            self.flags |= 2
            self.say_status = True
            return
        ahead = (frame.number - self.acknowledged) & 0xFF
        if frame.type == Type.DATA and frame.payload:
            self.attempt = frame.extra >> 4
            room = (self.next - self.taken) & 0xFF < self.hello.input_slots
            if self.session and frame.number == self.next and room:
                self.frames[self.next] = (frame.extra & 15, frame.payload)
                self.next = (self.next + 1) & 0xFF
            else:
                behind = (self.next - frame.number) & 0xFF
                self.flags |= not self.session or not 1 <= behind <= 128
                self.say_status = True
        elif frame.type in (Type.ACK, Type.RESEND) and ahead <= (self.closed - self.acknowledged) & 0xFF:
            if frame.type == Type.RESEND or (self.sent - self.acknowledged) & 0xFF < ahead:
                self.sent = frame.number
            self.acknowledged = frame.number
        elif frame.type == Type.POLL:
            self.tag, self.say_status = frame.number, True
        elif frame.type == Type.IDENTIFY:
            self.answers.append(self.hello.frame())
        elif frame.type == Type.COUNT:
            self.answers.append(Frame(type=Type.COUNTS, number=frame.number, payload=bytes(20)))
        elif frame.type == Type.OPEN and len(frame.payload) == 2:
            self.reset(struct.unpack("<H", frame.payload)[0])
            self.up += b"\0"
            self.say_status = True
        self.compute()
        if self.session and (self.limit - self.told) & 0xFF >= self.hello.input_slots // 2:
            self.say_status = True

    def speak(self):
        while len(self.up) < 1024:
            if self.answers:
                frame = self.answers.pop(0)
            elif self.say_status:
                payload = struct.pack("<BBH", self.limit, self.closed, self.session)
                extra = self.attempt << 4 | self.tag << 2 | self.flags
                frame = Frame(type=Type.STATUS, number=self.next, extra=extra, payload=payload)
                self.told, self.flags, self.tag, self.say_status = self.limit, 0, 0, False
            elif self.sent != self.closed:
                index, data = self.results[self.sent]
                frame = Frame(type=Type.RESULT, number=self.sent, extra=index, payload=data)
                self.sent = (self.sent + 1) & 0xFF
            else:
                return
            self.up += encode(frame)

    def damage(self, way, byte):
        """What comes out for a byte."""
        if self.lost[way]:
            self.lost[way] -= 1
            return b""
        if not self.script.left:
            return bytes((byte,))
        if self.passing[way]:
            self.passing[way] -= 1
            return bytes((byte,))
        what, self.passing[way] = self.script.byte(), self.script.byte()
        kind, how = what % 10, what // 10
        if kind < 3:
            return bytes((byte ^ 1 << how % 8,))
        if kind == 3:
            return b""
        if kind == 4:
            return bytes((byte, byte))
        if kind == 5:
            return bytes((byte, self.script.byte()))
        if kind == 6:
            self.lost[way] = self.script.byte() * (1 + how % 8)
        if kind == 7:
            self.pieces[way] = 1 + self.script.byte() * 4
        if kind == 8:
            self.now += self.script.byte() / 500
        if kind == 9 and how == 3:
            self.reset(0)
        return bytes((byte,))

    def write(self, data):
        self.down += data

    def busy(self) -> bool:
        return bool(self.down or self.up)

    def arrived(self):
        if self.script.left or any(self.lost):
            self.healed = self.now
        for _ in range(min(self.pieces[0], len(self.down))):
            for frame in self.decoder.feed(self.damage(0, self.down.pop(0))):
                self.hear(frame)
        self.compute()
        self.speak()
        found = bytearray()
        for _ in range(self.pieces[1]):
            if not self.up:
                break
            found += self.damage(1, self.up.pop(0))
        return bytes(found)


def damaged(data):
    """An honest board behind a bad line: no wrong result, and all is well once the line is."""
    script = Script(data)
    count = 1 + script.byte() % 6
    line = HonestBoard(script)
    rng = np.random.default_rng(count)
    inputs = [random_images(rng, count, tensor) for tensor in line.hello.inputs]
    streams = [to_bytes(a, t) for a, t in zip(inputs, line.hello.inputs, strict=True)]
    results = [bytearray() for _ in line.hello.outputs]
    for n in range(count):
        sizes = [t.image_bytes for t in line.hello.inputs]
        image = [s[n * size : (n + 1) * size] for s, size in zip(streams, sizes, strict=True)]
        for whole, part in zip(results, line.network(image, line.hello), strict=True):
            whole.extend(part)
    want = [from_bytes(bytes(r), t) for r, t in zip(results, line.hello.outputs, strict=True)]

    def work():
        for got, meant in zip(Board(line, timeout=20.0).infer(inputs), want, strict=True):
            np.testing.assert_array_equal(got, meant)

    try:
        line.run(work)
    except SessionLostError:
        pass
    except DeviceError:
        # Nobody gives up in the middle of a line that has become good.
        assert line.now - line.healed < HEALED
    script.at, line.lost = len(data), [0, 0]
    line.run(work)


def random_images(rng, count, tensor):
    """Any integers that the tensor takes."""
    shape = (count, *tensor.shape)
    if tensor.kind == Kind.BIPOLAR:
        return 2 * rng.integers(0, 2, shape) - 1
    if tensor.kind == Kind.TERNARY:
        return rng.integers(-1, 2, shape)
    half = (1 << tensor.bits - 1) if tensor.kind == Kind.SIGNED else 0
    return rng.integers(-half, (1 << tensor.bits) - half, shape)


#: What a fuzzer gives its inputs to.
TARGETS = {"parsed": parsed, "anything": anything, "damaged": damaged}

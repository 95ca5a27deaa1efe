"""The board's side of the protocol, frame by frame, as firmware/PROTOCOL.md says it."""

import random
import struct

import numpy as np
import pytest

from pulsefold.boards import get_board
from pulsefold.firmware.packing import from_bytes, to_bytes
from pulsefold.hdl.link.protocol import Frame, Hello, Status, Type, encode
from pulsefold.sim.virtual import VirtualBoard, build_virtual


def data(number, payload, attempt=0):
    return Frame(type=Type.DATA, number=number, extra=attempt << 4, payload=payload)


@pytest.fixture
def images(net):
    def make(count):
        q = np.random.default_rng(0).integers(0, 1 << 12, (count, 5, 1, 2))
        return q, to_bytes(q, net.identity.inputs[0])

    return make


def results(frames):
    return [f for f in frames if f is not None and f.type == Type.RESULT]


@pytest.fixture
def check(net):
    """Results against the images they are of."""

    def check(frames, q):
        got = from_bytes(b"".join(f.payload for f in frames), net.identity.outputs[0])
        np.testing.assert_array_equal(got, net.sums(q))

    return check


def test_who_it_is(host, net):
    host.send(Frame(type=Type.IDENTIFY))
    (frame,) = host.wait()
    hello = Hello.of(frame)
    assert (hello.design_id, hello.inputs, hello.outputs) == (
        net.identity.design_id,
        net.identity.inputs,
        net.identity.outputs,
    )
    assert hello.clock_hz == 24_000_000


def test_a_closed_board_takes_nothing(host, images):
    assert host.poll(tag=2) == Status(next=0, limit=4, results=0, session=0, attempt=0, poll=2)
    host.send(data(0, images(1)[1], attempt=5))
    (frame,) = host.wait()
    assert Status.of(frame) == Status(next=0, limit=4, results=0, session=0, attempt=5, refused=True)
    host.open()
    host.open(0)
    host.send(data(0, images(1)[1]))
    assert not results(host.wait())


def test_images_through_it_in_any_cuts(host, images, check):
    q, stream = images(30)
    rng = random.Random(3)
    host.open()
    at, number, got = 0, 0, []
    while at < len(stream):
        size = rng.choice([1, 2, 7, 100, 247])
        host.send(data(number, stream[at : at + size]))
        at, number = at + size, (number + 1) & 0xFF
        new = results(host.wait(0.03))
        got += new
        host.send(Frame(type=Type.ACK, number=(len(got)) & 0xFF))
    got += results(host.wait())
    assert [f.number for f in got] == [k & 0xFF for k in range(len(got))]
    check(got, q)


def test_a_damaged_frame_never_reaches_the_network(host, images, check):
    q, stream = images(4)
    host.open()
    for place in range(0, 8 * 60, 37):
        line = bytearray(encode(data(0, stream)))
        line[1 + place // 8] ^= 1 << place % 8
        host.raw(bytes(line))
    bad = [Status.of(f) for f in host.wait() if f]
    assert all(s.next == 0 for s in bad)
    assert bad[-1].bad
    host.send(data(0, stream))
    check(results(host.collect()), q)


def test_a_gap_is_refused_and_a_repetition_dropped(host, images, check):
    q, stream = images(2)
    host.open()
    host.send(data(1, stream[15:], attempt=3))
    (frame,) = host.wait()
    assert Status.of(frame) == Status(next=0, limit=4, results=0, session=0x1234, attempt=3, refused=True)
    host.send(
        data(0, stream[:15]), data(0, stream[:15]), data(1, stream[15:]), data(0, stream[:15], attempt=1)
    )
    found = host.collect()
    check(results(found), q)
    told = [Status.of(f) for f in found if f and f.type == Type.STATUS]
    assert not any(s.refused for s in told)
    assert told[-1].next == 2


def test_results_are_kept_until_acknowledged(host, images, check):
    q, stream = images(100)
    host.open()
    host.send(*(data(k, stream[k * 150 : (k + 1) * 150]) for k in range(4)))
    first = results(host.wait())
    # Two slots, and no acknowledgement. The second may be kept until it is full or an answer must go out.
    host.send(Frame(type=Type.POLL, number=1))
    first += results(host.wait())
    assert [f.number for f in first] == [0, 1]
    for number in (0, 0):
        host.send(Frame(type=Type.RESEND, number=number))
        assert results(host.wait()) == first
    # Beyond what is there, and behind what was given up: nonsense is ignored.
    host.send(Frame(type=Type.ACK, number=1))
    host.wait()
    for number in (0, 100, 255):
        host.send(Frame(type=Type.ACK, number=number), Frame(type=Type.RESEND, number=number))
        assert not results(host.wait())
    host.send(Frame(type=Type.RESEND, number=1))
    got = [first[0], *results(host.wait())]
    assert got[1] == first[1]
    new = got
    while new:
        host.send(Frame(type=Type.ACK, number=len(got)))
        new = results(host.wait(0.1))
        got += new
    check(got, q[:40])


def test_no_room_is_never_an_overflow(host, images, check):
    """A host that ignores the limit is refused; what was taken stays whole."""
    q, stream = images(200)
    parts = [stream[k : k + 240] for k in range(0, len(stream), 240)]
    host.open()
    host.send(*(data(k, part) for k, part in enumerate(parts)))
    found = host.wait()
    assert any(Status.of(f).refused for f in found if f and f.type == Type.STATUS)
    status = host.poll()
    assert status.next == status.limit < len(parts)
    taken = 0
    for attempt in range(100):
        got = {f.number: f for f in results(host.seen)}
        taken = next(n for n in range(256) if n not in got)
        host.send(Frame(type=Type.ACK, number=taken))
        host.wait(0.02)
        status = host.poll()
        if status.next == len(parts) and status.limit == len(parts) + 4:
            break
        if status.next < len(parts):
            host.send(data(status.next, parts[status.next], attempt & 15))
    host.send(Frame(type=Type.RESEND, number=taken))
    host.wait()
    got = {f.number: f for f in results(host.seen)}
    check([got[k] for k in sorted(got)], q)


def test_opening_forgets_everything(host, images, check):
    q, stream = images(40)
    host.open(1)
    # Half an image, a full inbox and results that nobody took.
    host.send(*(data(k, stream[k * 147 : (k + 1) * 147]) for k in range(4)))
    host.wait()
    for session in (2, 3):
        status = host.open(session)
        assert status == Status(next=0, limit=4, results=0, session=session, attempt=0)
        host.send(data(0, stream[:150]))
        check(results(host.collect()), q[:10])


def test_opening_in_the_middle_of_a_result(summer_uart, net, images, check):
    """What was under way is cut off, and the answer to OPEN is whole."""
    q, stream = images(60)
    with VirtualBoard(summer_uart) as board:
        host = net.Host(board.port)
        host.wait()
        host.open()
        host.send(*(data(k, stream[k * 240 : (k + 1) * 240]) for k in range(3)))
        host.send(*(Frame(type=Type.OPEN, payload=struct.pack("<H", s)) for s in (7, 8, 9)))
        found = [f for f in host.wait() if f]
        last = next(k for k, f in enumerate(found) if f.type == Type.STATUS and Status.of(f).session == 9)
        assert not results(found[last:])
        host.send(data(0, stream[:150]))
        check(results(host.collect()), q[:10])
        host.close()


def test_lengths_that_a_type_cannot_have(host):
    host.open()
    host.send(
        Frame(type=Type.POLL, payload=b"x"),
        Frame(type=Type.DATA),
        Frame(type=Type.OPEN, payload=b"xyz"),
        Frame(type=Type.OPEN),
        Frame(type=Type.ACK, number=1, payload=bytes(200)),
        Frame(type=0x55),
        Frame(type=0x08),
    )
    assert host.wait() == []
    assert host.poll().session == 0x1234


def test_a_million_random_bytes(host, images, check):
    """Nothing is taken from them, and the first frame behind them is."""
    q, stream = images(10)
    host.open()
    rng = random.Random(11)
    for _ in range(250):
        host.raw(rng.randbytes(4000))
        host.wait(0)
    host.raw(b"\0")
    host.wait()
    assert host.poll() == Status(next=0, limit=4, results=0, session=0x1234, attempt=0, poll=1)
    host.send(data(0, stream))
    check(results(host.collect()), q)


@pytest.mark.parametrize("cut", [1, 2, 5, 100, 157])
def test_a_frame_cut_short_is_forgotten_at_the_next(host, images, check, cut):
    q, stream = images(10)
    host.open()
    whole = encode(data(0, stream))
    assert len(whole) > cut + 1
    host.raw(whole[:cut] + b"\0" + whole)
    check(results(host.collect()), q)


def test_counters(host):
    """A board whose HELLO does not offer a page does not answer; icebreaker's has none, to be small."""
    for page in (0, 1, 255):
        host.send(Frame(type=Type.COUNT, number=page))
    assert host.wait() == []


def test_counters_of_a_board_that_has_them(net):
    board = VirtualBoard(build_virtual(net.Core, get_board("ulx3s-25f"), 24.0, net.identity))
    with board:
        host = net.Host(board.port)
        host.wait()
        pages = []
        for _ in range(2):
            host.send(Frame(type=Type.COUNT))
            (frame,) = host.wait()
            assert (frame.type, frame.number) == (Type.COUNTS, 0)
            pages.append(struct.unpack("<5I", frame.payload))
        host.raw(b"\1\0")
        host.wait()
        host.send(Frame(type=Type.COUNT))
        (frame,) = host.wait()
        pages.append(struct.unpack("<5I", frame.payload))
        host.close()
    cycles, starved, stalled, blocked, bad = np.diff(np.array(pages), axis=0).T
    assert np.all(cycles > 0)
    # A closed board gives its network nothing, so it waits all the time.
    np.testing.assert_array_equal(starved, cycles)
    assert not stalled.any()
    assert not blocked.any()
    assert list(bad) == [0, 1]

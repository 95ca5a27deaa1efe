"""Memories of constants that the host can write: weights, thresholds, factors and tables of a network."""

import hashlib
from dataclasses import dataclass, field

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.link.bytes import TensorByte
from pulsefold.hdl.link.protocol import WEIGHTS_TENSOR

__all__ = ["DIGEST_BYTES", "Loader", "Uploads", "WritableMemory", "contents", "digest", "upload"]

DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True, eq=False)
class WritableMemory:
    """A memory of constants and the port by which it is written.

    Parameters
    ----------
    words, width
        Contents, and bits of a word.
    address, data, enable
        Signals that a :class:`Loader` drives.
    """

    words: tuple[int, ...]
    width: int
    address: Signal
    data: Signal
    enable: Signal

    @property
    def bytes(self) -> int:
        """Bytes that a word takes on the way."""
        return -(-self.width // 8)


@dataclass(slots=True, eq=False)
class Uploads:
    """An Amaranth platform on which every :class:`~pulsefold.hdl.memory.rom.Rom` can be written.

    Parameters
    ----------
    family
        As of :class:`~pulsefold.hdl.technology.Technology`, or None.
    blank
        Leave the contents out of the circuit: two circuits that differ in nothing else are then the same.
    """

    family: str | None = None
    blank: bool = False
    memories: list[WritableMemory] = field(default_factory=list)

    def add(self, words: list[int], width: int) -> WritableMemory:
        """One more memory; in the order of elaboration, which is always the same."""
        number = len(self.memories)
        memory = WritableMemory(
            words=tuple(words),
            width=width,
            address=Signal(range(max(2, len(words))), name=f"upload_address{number}"),
            data=Signal(width, name=f"upload_data{number}"),
            enable=Signal(name=f"upload_enable{number}"),
        )
        self.memories.append(memory)
        return memory


def contents(memories: list[WritableMemory]) -> bytes:
    """All words, one memory after the other, each word in whole bytes, lowest first."""
    return b"".join(word.to_bytes(memory.bytes, "little") for memory in memories for word in memory.words)


def digest(data: bytes) -> bytes:
    """First bytes of the SHA-256 of :func:`contents`."""
    return hashlib.sha256(data).digest()[:DIGEST_BYTES]


def upload(data: bytes) -> bytes:
    """The message to the :class:`Loader` that writes :func:`contents`."""
    return b"\1" + data + digest(data)


class Loader(wiring.Component):
    """Writes memories with what the host sends, and remembers the digest that came behind it.

    The first byte at `i` after a reset is 0, or 1 and then follow :func:`contents` and their digest; what
    comes behind that is dropped. In both cases the digest of what is loaded then leaves at `o`. It is zero
    from the first byte of contents until all of them and the digest are there, so that what came in part is
    never taken for whole. A reset changes neither memories nor digest.

    Timing: a byte a cycle in.

    Parameters
    ----------
    memories
        What is written; their contents are loaded when the device is configured.
    """

    i: In(stream.Signature(8, always_ready=True))
    o: Out(stream.Signature(TensorByte))

    def __init__(self, memories: list[WritableMemory]) -> None:
        self.memories = memories
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        memories = self.memories
        widest = max((memory.bytes for memory in memories), default=1)
        shift = Signal(8 * widest, reset_less=True)
        number = Signal(range(len(memories) + 1))
        word = Signal(range(max(2, *(len(memory.words) for memory in memories))))
        place = Signal(range(max(widest, DIGEST_BYTES)))
        loaded = Signal(
            8 * DIGEST_BYTES, init=int.from_bytes(digest(contents(memories)), "little"), reset_less=True
        )
        # Of its own, as a reset in the middle of a digest must leave none.
        coming = Signal(8 * DIGEST_BYTES, reset_less=True)
        left = Signal(range(DIGEST_BYTES + 1))
        ends, last_word = Signal(), Signal()
        m.d.comb += [
            ends.eq(place == Array([memory.bytes - 1 for memory in memories])[number]),
            last_word.eq(word == Array([len(memory.words) - 1 for memory in memories])[number]),
            self.o.payload.byte.eq(loaded[:8]),
            self.o.payload.tensor.eq(WEIGHTS_TENSOR),
            self.o.payload.last.eq(left == 1),
            self.o.valid.eq(left != 0),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [left.eq(left - 1), loaded.eq(Cat(loaded[8:], loaded[:8]))]

        written, at, write = Signal(range(len(memories) + 1)), Signal.like(word), Signal()
        m.d.sync += [write.eq(0), written.eq(number), at.eq(word)]
        with m.FSM():
            with m.State("COMMAND"), m.If(self.i.valid):
                with m.If(self.i.payload == 0):
                    m.d.sync += left.eq(DIGEST_BYTES)
                    m.next = "DONE"
                with m.Else():
                    m.next = "CONTENTS"
            with m.State("CONTENTS"), m.If(self.i.valid):
                m.d.sync += [
                    loaded.eq(0),
                    shift.eq(Cat(shift[8:], self.i.payload)),
                    place.eq(Mux(ends, 0, place + 1)),
                    write.eq(ends),
                ]
                with m.If(ends):
                    m.d.sync += word.eq(Mux(last_word, 0, word + 1))
                    with m.If(last_word):
                        m.d.sync += number.eq(number + 1)
                        with m.If(number == len(memories) - 1):
                            m.next = "DIGEST"
            with m.State("DIGEST"), m.If(self.i.valid):
                m.d.sync += [coming.eq(Cat(coming[8:], self.i.payload)), place.eq(place + 1)]
                with m.If(place == DIGEST_BYTES - 1):
                    m.next = "TAKE"
            with m.State("TAKE"):
                m.d.sync += [loaded.eq(coming), left.eq(DIGEST_BYTES)]
                m.next = "DONE"
            with m.State("DONE"):
                pass
        for k, memory in enumerate(memories):
            top = 8 * (widest - memory.bytes)
            m.d.comb += [
                memory.address.eq(at),
                memory.data.eq(shift[top:]),
                memory.enable.eq(write & (written == k)),
            ]
        return m

"""A conversation with a board: who it is, a session, and a stream through it."""

from __future__ import annotations

import secrets
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from pulsefold.errors import DeviceError
from pulsefold.firmware.receiver import ResultReceiver
from pulsefold.firmware.sender import DataSender, Segment
from pulsefold.firmware.transport import Transport
from pulsefold.hdl.link.protocol import (
    Feature,
    Frame,
    FrameDecoder,
    FrameError,
    Hello,
    Status,
    Type,
    encode,
)

__all__ = ["Session", "SessionLostError"]

#: Seconds after which a quiet line is asked again at the latest.
_LONGEST_RETRY = 2.0

Answer = TypeVar("Answer")


class SessionLostError(DeviceError):
    """The board was reset in the middle of a session; what was not answered must be sent again."""


class Session:
    """The protocol on an open port.

    Parameters
    ----------
    transport
        The port.
    retry_seconds
        How long the line may be quiet before the board is asked how things stand: longer than the way there
        and back.
    """

    def __init__(self, transport: Transport, *, retry_seconds: float = 0.1) -> None:
        self._transport = transport
        self._retry = retry_seconds
        self._decoder = FrameDecoder()
        self._session = 0
        self._status: Status | None = None
        self._next_result = 0
        #: Whether a session is open and nothing went wrong in it.
        self.ready = False
        self.hello: Hello | None = None
        self.resent = 0
        self.asked_again = 0

    @property
    def bad(self) -> int:
        """Bad frames that came from the board."""
        return self._decoder.bad

    def identify(self, timeout: float) -> Hello:
        """Ask the board who it is.

        Raises
        ------
        DeviceError
            If nothing that makes sense comes back in time.
        """
        # The empty frame ends whatever half frame the board has.
        self._transport.write(b"\0")
        self._transport.discard(0.02)

        def read(frame: Frame) -> Hello | None:
            return Hello.of(frame) if frame.type == Type.HELLO else None

        self.hello = self._ask(Frame(type=Type.IDENTIFY), read, timeout, "who it is")
        return self.hello

    def open(self, timeout: float) -> None:
        """Begin a session, with the network reset.

        Raises
        ------
        DeviceError
            If the board does not confirm it in time.
        """

        def status(frame: Frame) -> Status | None:
            return Status.of(frame) if frame.type == Type.STATUS else None

        def confirmed(frame: Frame) -> Status | None:
            found = status(frame)
            return found if found is not None and found.session == self._session else None

        end, wait = time.monotonic() + timeout, self._retry
        before = self._ask(Frame(type=Type.POLL, number=1), status, timeout, "how it stands").session
        while True:
            # A session that neither the board nor an earlier try named.
            taken, self._session = self._session, 0
            while self._session in (0, before, taken):
                self._session = secrets.randbits(16)
            frame = Frame(type=Type.OPEN, payload=struct.pack("<H", self._session))
            try:
                self._status = self._ask(frame, confirmed, wait, "to open a session")
                self._next_result, self.ready = 0, True
            except DeviceError:
                if time.monotonic() > end:
                    raise
                wait = 2 * wait
            else:
                return

    def close(self) -> None:
        """End the session, without waiting for an answer."""
        self._transport.write(encode(Frame(type=Type.OPEN, payload=struct.pack("<H", 0))))

    def counters(self, page: int, timeout: float) -> tuple[int, ...] | None:
        """The counters of a page, or None if the board has none."""
        feature = Feature.UNIT_COUNTS if page else Feature.COUNTS
        if self.hello is None or not self.hello.features & feature or page > self.hello.units:
            return None

        def read(frame: Frame) -> tuple[int, ...] | None:
            if frame.type != Type.COUNTS or frame.number != page or len(frame.payload) % 4:
                return None
            return struct.unpack(f"<{len(frame.payload) // 4}I", frame.payload)

        return self._ask(Frame(type=Type.COUNT, number=page), read, timeout, "for its counters")

    def stream(
        self,
        segments: Iterator[Segment],
        outputs: Mapping[int, int],
        timeout: float,
        take: Callable[[int, bytes], None],
    ) -> None:
        """Send segments and take results until there are enough; the line is kept busy both ways.

        Parameters
        ----------
        segments
            Runs of bytes for input tensors, in the order of the protocol.
        outputs
            Bytes to wait for, by index of the output tensor.
        timeout
            Seconds without any progress after which it is given up.
        take
            Is given the index of an output tensor and its next bytes.

        Raises
        ------
        SessionLostError
            If the board was reset.
        DeviceError
            If nothing moves for `timeout`, or the board sends more than was asked for.
        """
        if not self.ready or self._status is None or self.hello is None:
            raise DeviceError("no session is open", where=self._transport.port)
        sender = DataSender(segments, self._status)
        receiver = ResultReceiver(self.hello.result_slots, self._next_result)
        missing = dict(outputs)
        moved = heard = time.monotonic()
        wait = self._retry
        quiet = behind = False
        # Data frames since the last ACK.
        sent = 0
        try:
            while any(missing.values()):
                burst = self._burst(sender)
                sent += len(burst)
                if burst:
                    self._transport.write(b"".join(burst))
                if receiver.due(idle=sender.finished or sent >= self.hello.input_slots):
                    self._transport.write(encode(receiver.acknowledge()))
                    sent = 0
                data = self._transport.read(self._retry)
                now = time.monotonic()
                if not data:
                    if now - moved > timeout:
                        raise self._silent(timeout)
                    if now - heard >= wait:
                        reply = receiver.again() if behind else receiver.acknowledge()
                        self._transport.write(encode(reply) + encode(sender.poll()))
                        behind = False
                        quiet, heard = True, now
                        wait = min(2 * wait, _LONGEST_RETRY)
                    continue
                heard = now
                replies = []
                for frame in self._decoder.feed(data):
                    if frame is None:
                        replies.append(receiver.damaged())
                    elif frame.type == Type.STATUS:
                        before = sender.outstanding
                        self._status = self._checked(frame)
                        answered = sender.answered(self._status)
                        if not sender.status(self._status):
                            raise self._lost()
                        if answered:
                            wait = self._retry
                            # Answers overtake results: those under way are waited for once more.
                            behind = quiet and self._status.results != receiver.next
                        if sender.outstanding < before:
                            moved = now
                    # One without bytes is none: it could go on for ever.
                    elif frame.type == Type.RESULT and frame.payload:
                        quiet = behind = False
                        mine, reply = receiver.result(frame)
                        replies.append(reply)
                        if mine:
                            moved = now
                            self._take(frame, missing, take)
                for reply in replies:
                    if reply is not None:
                        self._transport.write(encode(reply))
                if now - moved > timeout:
                    raise self._silent(timeout)
            self._transport.write(encode(receiver.acknowledge()))
        except BaseException:
            self.ready = False
            raise
        else:
            # All results are there, so all data was taken, whether the board has said so or not.
            number = sender.next_number
            limit = (number + self.hello.input_slots) & 0xFF
            self._status = replace(self._status, next=number, limit=limit)
            self._next_result = receiver.next
        finally:
            self.resent += sender.resent
            self.asked_again += receiver.asked_again

    def _burst(self, sender: DataSender) -> list[bytes]:
        frames = []
        while (frame := sender.frame()) is not None:
            frames.append(encode(frame))
        return frames

    def _take(self, frame: Frame, missing: dict[int, int], take: Callable[[int, bytes], None]) -> None:
        if len(frame.payload) > missing.get(frame.extra, 0):
            raise DeviceError(
                "the board sends more results than it was given images for",
                where=self._transport.port,
                todo="check that the bitstream is that of this design",
            )
        missing[frame.extra] -= len(frame.payload)
        take(frame.extra, frame.payload)

    def _checked(self, frame: Frame) -> Status:
        try:
            status = Status.of(frame)
        except FrameError as error:
            raise self._lost() from error
        if status.session != self._session:
            raise self._lost()
        return status

    def _lost(self) -> SessionLostError:
        return SessionLostError("the board was reset in the middle of a session", where=self._transport.port)

    def _silent(self, seconds: float) -> DeviceError:
        return DeviceError(
            f"nothing moved for {seconds:g} s",
            where=self._transport.port,
            why="the board does not answer, or its network is stuck",
            todo="check cable, power and bitstream, or give a slow network more time (--timeout)",
        )

    def _ask(
        self,
        question: Frame,
        read: Callable[[Frame], Answer | None],
        timeout: float,
        what: str,
    ) -> Answer:
        """Ask until an answer comes that `read` understands, each time more patiently."""
        last = time.monotonic() + timeout
        wait = min(self._retry, timeout)
        while (now := time.monotonic()) < last:
            self._transport.write(encode(question))
            end, wait = min(now + wait, last), min(2 * wait, _LONGEST_RETRY)
            while (left := end - time.monotonic()) > 0:
                for frame in self._decoder.feed(self._transport.read(left)):
                    try:
                        answer = None if frame is None else read(frame)
                    except FrameError as error:
                        raise DeviceError(
                            "the board speaks another language", where=self._transport.port, why=str(error)
                        ) from error
                    if answer is not None:
                        return answer
        raise DeviceError(
            f"the board was asked {what} and did not answer",
            where=self._transport.port,
            why=f"{self.bad} frames came that were none" if self.bad else "nothing came that makes sense",
            todo="check cable, port, rate (--baud) and that its bitstream is loaded (pulsefold program)",
        )

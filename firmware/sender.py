"""The host's half of the way to the board: what is sent, what is acknowledged, what is sent again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from pulsefold.hdl.link.protocol import MAX_PAYLOAD, Frame, Status, Type

__all__ = ["DataSender", "Segment"]

#: Index of an input tensor and a run of its bytes.
Segment = tuple[int, bytes]

#: Bytes read ahead of the line.
_AHEAD = 1 << 16

#: Frames acknowledged without a loss before larger ones are tried again.
_CONFIDENCE = 64

_SMALLEST = 16


class DataSender:
    """Cuts segments into DATA frames, as many as the board has room for, and goes back where it must.

    What a number stands for never changes once it was sent: the board may have taken it without the host
    knowing. New frames are as long as the protocol allows; each loss halves them and long luck doubles
    them, so that a line with many errors still gets some through.

    Parameters
    ----------
    segments
        What to send, in order.
    status
        Of the session as it stands: next number and limit.
    """

    def __init__(self, segments: Iterator[Segment], status: Status) -> None:
        self._segments = segments
        self._exhausted = False
        #: Segments not acknowledged as a whole, and the offsets of the first byte and behind the last one.
        self._kept: deque[Segment] = deque()
        self._kept_from = self._kept_to = 0
        #: Offset and size of each frame that is cut but not acknowledged; the first one's number; how many
        #: are sent.
        self._cut: deque[tuple[int, int]] = deque()
        self._base, self._sent = status.next, 0
        #: Where the next frame is cut.
        self._at = 0
        self._limit = status.limit
        self._attempt = 0
        self._size = MAX_PAYLOAD
        self._luck = 0
        #: Frames that were sent when the board was asked how things stand, of those not acknowledged.
        self._asked: int | None = None
        self._tag = 0
        self.resent = 0

    @property
    def next_number(self) -> int:
        """Number of the next new frame."""
        return (self._base + len(self._cut)) & 0xFF

    @property
    def finished(self) -> bool:
        """Whether everything was sent, though perhaps not acknowledged."""
        return self._exhausted and self._at == self._kept_to and self._sent == len(self._cut)

    @property
    def outstanding(self) -> int:
        """Frames that are not acknowledged."""
        return len(self._cut)

    def frame(self) -> Frame | None:
        """The next frame to send, or None if the board has no room or nothing is left."""
        number = (self._base + self._sent) & 0xFF
        if number == self._limit:
            return None
        if self._sent == len(self._cut):
            self._fill()
            if self._at == self._kept_to:
                return None
            size = min(self._size, self._left_in_segment())
            self._cut.append((self._at, size))
            self._at += size
        offset, size = self._cut[self._sent]
        self._sent += 1
        tensor, data, start = self._segment_at(offset)
        extra = self._attempt << 4 | tensor
        return Frame(type=Type.DATA, number=number, extra=extra, payload=data[start : start + size])

    def poll(self) -> Frame:
        """A POLL, whose answer shows what became of all that was sent before it."""
        self._asked, self._tag = self._sent, self._tag % 3 + 1
        return Frame(type=Type.POLL, number=self._tag)

    def answered(self, status: Status) -> bool:
        """Whether a STATUS answers the last POLL."""
        return self._asked is not None and status.poll == self._tag

    def status(self, status: Status) -> bool:
        """Act on a STATUS of this session; whether it names numbers that were sent."""
        taken = (status.next - self._base) & 0xFF
        if taken > len(self._cut):
            return False
        for _ in range(taken):
            self._cut.popleft()
        self._base, self._sent = status.next, max(0, self._sent - taken)
        self._limit = status.limit
        self._drop()
        self._luck += taken
        if self._luck >= _CONFIDENCE:
            self._luck, self._size = 0, min(MAX_PAYLOAD, 2 * self._size)
        lost = (status.refused or status.bad) and status.attempt == self._attempt
        if self._asked is not None:
            self._asked = max(0, self._asked - taken)
            if status.poll == self._tag:
                lost |= self._asked > 0
                self._asked = None
        if lost and self._sent:
            self.resent += self._sent
            self._sent = 0
            self._attempt = (self._attempt + 1) & 0xF
            self._luck, self._size = 0, max(_SMALLEST, self._size // 2)
        return True

    def _fill(self) -> None:
        while not self._exhausted and self._kept_to - self._at < _AHEAD:
            segment = next(self._segments, None)
            if segment is None:
                self._exhausted = True
            elif segment[1]:
                self._kept.append(segment)
                self._kept_to += len(segment[1])

    def _segment_at(self, offset: int) -> tuple[int, bytes, int]:
        start = self._kept_from
        for tensor, data in self._kept:
            if offset < start + len(data):
                return tensor, data, offset - start
            start += len(data)
        raise IndexError(offset)

    def _left_in_segment(self) -> int:
        _, data, start = self._segment_at(self._at)
        return len(data) - start

    def _drop(self) -> None:
        """Forget what is acknowledged."""
        needed = self._cut[0][0] if self._cut else self._at
        while self._kept and self._kept_from + len(self._kept[0][1]) <= needed:
            self._kept_from += len(self._kept.popleft()[1])

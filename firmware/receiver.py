"""The host's half of the way from the board: which results count, and which are asked for again."""

from __future__ import annotations

from pulsefold.hdl.link.protocol import Frame, Type

__all__ = ["ResultReceiver"]


class ResultReceiver:
    """Takes RESULT frames in order, and says what to answer.

    Parameters
    ----------
    slots
        Results that the board keeps.
    next_number
        Number of the next result.
    """

    def __init__(self, slots: int, next_number: int) -> None:
        self._half = max(1, slots // 2)
        self._slots = slots
        self.next = next_number
        self._unacknowledged = 0
        #: While results are being sent again: how far beyond the missing one the last one was.
        self._beyond: int | None = None
        self.asked_again = 0

    def result(self, frame: Frame) -> tuple[bool, Frame | None]:
        """Whether the frame is the next one, and what to answer at once."""
        distance = (frame.number - self.next) & 0xFF
        if distance == 0:
            self.next = (self.next + 1) & 0xFF
            self._beyond = None
            self._unacknowledged += 1
            return True, None
        if distance >= self._slots:
            # One that was taken before. Perhaps the board does not know.
            return False, None
        if self._beyond is None or distance <= self._beyond:
            answer = self.again()
            self._beyond = distance
            return False, answer
        self._beyond = distance
        return False, None

    def damaged(self) -> Frame | None:
        """What to answer to a bad frame, which may have been a result."""
        if self._beyond is not None:
            return None
        answer = self.again()
        self._beyond = self._slots
        return answer

    def due(self, *, idle: bool) -> bool:
        """Whether to acknowledge: with all slots held the board waits, else half of them will do.

        Parameters
        ----------
        idle
            Whether the line has room for it. Where it has none, small results had better wait for one
            another than take room from the data, each with its frame and its ACK.
        """
        return self._unacknowledged >= (self._half if idle else self._slots)

    def acknowledge(self) -> Frame:
        """An ACK of all that was taken."""
        self._unacknowledged = 0
        return Frame(type=Type.ACK, number=self.next)

    def again(self) -> Frame:
        """A RESEND from the next one on."""
        self.asked_again += 1
        self._unacknowledged = 0
        self._beyond = None
        return Frame(type=Type.RESEND, number=self.next)

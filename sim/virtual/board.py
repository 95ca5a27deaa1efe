"""The process of a virtual board, and its terminal."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tty
from dataclasses import dataclass
from types import TracebackType

from pulsefold.errors import ToolFailedError
from pulsefold.sim.virtual.build import Executable

__all__ = ["Figures", "VirtualBoard"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a virtual board did.

    Parameters
    ----------
    cycles
        Clock cycles simulated.
    received, sent
        Bytes at the board's end of the line.
    active_cycles
        From the first byte to the last.
    """

    cycles: int
    received: int
    sent: int
    active_cycles: int


class VirtualBoard:
    """Runs while it is entered; a host opens :attr:`port` as it opens a board's.

    Parameters
    ----------
    executable
        From :func:`~pulsefold.sim.virtual.build.build_virtual`.
    baud
        The host's rate, for a ``uart`` link: by default the board's own, as it should be.
    patience_cycles
        Cycles that the network may compute without a byte at either end.
    rate_hz
        Most clock cycles simulated in a second; 0 for no limit.
    flips
        Chance of each bit of the line to be flipped.
    seed
        Of the flips.
    """

    def __init__(
        self,
        executable: Executable,
        *,
        baud: int | None = None,
        patience_cycles: int = 10_000_000,
        rate_hz: float = 0.0,
        flips: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._executable = executable
        self._baud = baud or executable.baud
        self._options = (patience_cycles, rate_hz, int(flips * 2**64), seed)
        self._process: subprocess.Popen[str] | None = None
        self._descriptors: tuple[int, ...] = ()
        self.port = ""

    def __enter__(self) -> VirtualBoard:
        board, host = os.openpty()
        self._descriptors = (board, host)
        # Bytes as they are; the host's end stays open here, as a terminal without one is at its end.
        tty.setraw(host)
        self.port = os.ttyname(host)
        bit_cycles = self._executable.clock_hz / self._baud
        try:
            self._process = subprocess.Popen(
                [str(self._executable.path), str(board), repr(bit_cycles), *map(str, self._options)],
                cwd=self._executable.folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[board],
                text=True,
            )
        except OSError as error:
            self._close()
            raise ToolFailedError(
                f"the virtual board does not start: {error.strerror}", where=str(self._executable.path)
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def press_reset(self) -> None:
        """Press the board's reset button and let it go."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write("r")
            self._process.stdin.flush()

    def stop(self) -> Figures | None:
        """Switch it off; what it did, or None if it did not run or ended by itself."""
        process, self._process = self._process, None
        if process is None:
            return None
        try:
            text, _ = process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            text, _ = process.communicate()
        finally:
            self._close()
        words = [int(word) for word in text.split()]
        if len(words) != 4:
            return None
        return Figures(cycles=words[0], received=words[1], sent=words[2], active_cycles=words[3])

    def _close(self) -> None:
        for descriptor in self._descriptors:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._descriptors = ()

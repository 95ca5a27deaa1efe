"""Bytes to and from a serial port, with a time limit on everything."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time

import serial

from pulsefold.errors import DeviceError

__all__ = ["Transport"]

#: How long the reading thread sleeps in the system before it looks whether it is to end.
_NAP_SECONDS = 0.1


class Transport:
    """An open serial port; others cannot open it at the same time.

    Reading is a thread's work, so that no byte waits in the system while the host computes.

    Parameters
    ----------
    port
        Name of a device, or a URL of pyserial's such as ``socket://host:port``.
    baud
        Rate in bits a second; meaningless for a pseudo-terminal or socket.

    Raises
    ------
    DeviceError
        If it cannot be opened.
    """

    def __init__(self, port: str, baud: int) -> None:
        self.port = port
        try:
            self._serial = serial.serial_for_url(
                port, baudrate=baud, timeout=_NAP_SECONDS, write_timeout=5.0, do_not_open=True
            )
            if "://" not in port:
                self._serial.exclusive = True
            self._serial.open()
        except (OSError, ValueError) as error:
            raise DeviceError(
                "the port cannot be opened",
                where=port,
                why=os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error),
                todo="check that it is there, that you may use it, and that no one else does",
            ) from error
        with contextlib.suppress(Exception):
            # USB bridges otherwise collect bytes for up to 16 ms; not every driver knows the request.
            self._serial.set_low_latency_mode(True)
        self._arrived: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._open = True
        self._thread = threading.Thread(target=self._listen, name=f"reads {port}", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while self._open:
            try:
                data = self._serial.read(max(1, self._serial.in_waiting))
            except (OSError, TypeError, ValueError):
                # Gone: unplugged, or closed under our feet.
                self._arrived.put(None)
                return
            if data:
                self._arrived.put(bytes(data))

    def read(self, seconds: float) -> bytes:
        """All that came, waiting up to `seconds` for the first byte.

        Raises
        ------
        DeviceError
            If the port is gone.
        """
        parts = []
        try:
            part = self._arrived.get(timeout=seconds) if seconds > 0 else self._arrived.get_nowait()
            while True:
                if part is None:
                    raise DeviceError("the port is gone", where=self.port, todo="plug the board in again")
                parts.append(part)
                part = self._arrived.get_nowait()
        except queue.Empty:
            pass
        return b"".join(parts)

    def write(self, data: bytes) -> None:
        """Send all of it.

        Raises
        ------
        DeviceError
            If the port is gone or takes nothing.
        """
        try:
            self._serial.write(data)
        except (OSError, ValueError) as error:
            raise DeviceError(
                "the port takes no bytes", where=self.port, why=str(error), todo="plug the board in again"
            ) from error

    def discard(self, seconds: float) -> None:
        """Drop what comes until nothing did for `seconds`, ten times that at most."""
        end = time.monotonic() + 10 * seconds
        while self.read(seconds) and time.monotonic() < end:
            pass

    def close(self) -> None:
        """Close the port."""
        self._open = False
        self._thread.join(timeout=5 * _NAP_SECONDS)
        with contextlib.suppress(OSError):
            self._serial.close()

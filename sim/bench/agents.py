"""Source, sink and monitor of one stream, stepped once a clock cycle from inside a cocotb test.

A cycle has three moments, in this order: `drive` sets the wires after the edge, `sample` reads them once
they have settled before the next edge, and the edge. Agents that are stepped, rather than ones that wait
for edges by themselves, agree on the cycle number and run several times faster.
"""

from __future__ import annotations

import random
from typing import Any

__all__ = ["ContractError", "Monitor", "Sink", "Source"]


class ContractError(AssertionError):
    """A stream broke its contract; the message says which rule, and when."""


def handles(dut: Any, name: str) -> tuple[Any, Any, Any]:
    """Payload, valid and ready of a stream."""
    payload, valid, ready = (getattr(dut, f"{name}__{member}") for member in ("payload", "valid", "ready"))
    return payload, valid, ready


class Source:
    """Offers beats, with random pauses between them; never takes an offer back.

    Parameters
    ----------
    dut
        The design's handle in cocotb.
    name
        Its stream, as ``i``.
    beats
        Payloads as integers.
    bits
        Bits of a payload.
    stall
        Probability of withholding valid, each cycle that nothing is on offer.
    rng
        Where the pauses come from.
    """

    def __init__(
        self, dut: Any, name: str, beats: list[int], *, bits: int, stall: float, rng: random.Random
    ) -> None:
        self._payload, self._valid, self._ready = handles(dut, name)
        self._beats, self._mask = beats, (1 << bits) - 1
        self._stall, self._rng = stall, rng
        self._offered = False
        self.accepted: list[int] = []

    def drive(self) -> None:
        """Set valid and payload for this cycle."""
        if self._offered:
            return
        sent = len(self.accepted)
        self._offered = sent < len(self._beats) and not (self._stall and self._rng.random() < self._stall)
        self._valid.value = int(self._offered)
        if self._offered:
            self._payload.value = self._beats[sent]
        elif sent < len(self._beats):
            # A circuit that reads the payload without valid must not get away with it.
            self._payload.value = self._beats[sent] ^ self._mask

    def sample(self, cycle: int) -> bool:
        """Note a transfer; whether there was one."""
        if not (self._offered and int(self._ready.value)):
            return False
        self._offered = False
        self.accepted.append(cycle)
        return True


class Sink:
    """Takes beats, with random back-pressure.

    Parameters
    ----------
    dut
        The design's handle in cocotb.
    name
        Its stream, as ``o``.
    stall
        Probability of withholding ready, each cycle.
    after_valid
        Offer ready only once valid has been seen. A circuit that waits for ready before it gives valid,
        which the contract forbids, then never gives it.
    rng
        Where the back-pressure comes from.
    """

    def __init__(self, dut: Any, name: str, *, stall: float, after_valid: bool, rng: random.Random) -> None:
        self._payload, self._valid, self._ready = handles(dut, name)
        self._stall, self._after_valid, self._rng = stall, after_valid, rng
        self._seen = False
        self.ready = False
        self.beats: list[int] = []
        self.produced: list[int] = []

    def drive(self) -> None:
        """Set ready for this cycle."""
        self.ready = not (self._stall and self._rng.random() < self._stall)
        if self._after_valid and not self._seen:
            self.ready = False
        self._ready.value = int(self.ready)

    def sample(self, cycle: int) -> bool:
        """Note a transfer; whether there was one."""
        valid = bool(int(self._valid.value))
        self._seen = valid and not self.ready
        if not (valid and self.ready):
            return False
        self.beats.append(int(self._payload.value))
        self.produced.append(cycle)
        return True


class Monitor:
    """Holds the output stream to its contract: an offer stays, unchanged, until it is taken.

    Parameters
    ----------
    dut
        The design's handle in cocotb.
    name
        Its stream, as ``o``.
    """

    def __init__(self, dut: Any, name: str) -> None:
        self._name = name
        self._payload, self._valid, _ = handles(dut, name)
        self._held: int | None = None

    def sample(self, cycle: int, *, ready: bool) -> None:
        """Check this cycle against the one before.

        Raises
        ------
        ContractError
            If valid was dropped or the payload changed while stalled.
        """
        valid = bool(int(self._valid.value))
        if self._held is not None and not valid:
            msg = f"{self._name}.valid was dropped in cycle {cycle} before its beat was taken"
            raise ContractError(msg)
        payload = int(self._payload.value) if valid and (self._held is not None or not ready) else 0
        if self._held is not None and payload != self._held:
            change = f"from {self._held:#x} to {payload:#x}"
            msg = f"{self._name}.payload changed in cycle {cycle} while stalled, {change}"
            raise ContractError(msg)
        self._held = payload if valid and not ready else None

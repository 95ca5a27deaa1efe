"""The first difference between recorded streams and golden tensors: tensor, element, unit and cycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pulsefold.compiler.ir.types import ElementType

__all__ = ["Mismatch", "Tapped", "first_mismatch"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tapped:
    """What a tap must show.

    Parameters
    ----------
    tap
        Name of the tap.
    unit
        The unit that drives it.
    tensor
        Name of the tensor.
    values
        Its golden integers [N, ...], in the order of the stream: axes after the batch (H, W, C).
    lanes
        Elements a beat, which must divide the elements of a frame.
    type
        Element type of the lanes.
    """

    tap: str
    unit: str
    tensor: str
    values: np.ndarray
    lanes: int
    type: ElementType

    def __post_init__(self) -> None:
        if self.values.ndim < 2 or self.values[0:1].size % self.lanes:
            msg = f"{self.lanes} lanes do not divide a frame of tensor {self.tensor!r} {self.values.shape}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """One element that differs.

    Parameters
    ----------
    tap, unit, tensor
        Where it was seen.
    frame
        Number of the frame, from 0.
    index
        Index in the frame, (h, w, c).
    expected
        Golden value; None if the circuit gave a beat more than the golden tensor has.
    got
        The circuit's value; None if it gave no more beats.
    cycle
        Cycle of the transfer; None if there was none.
    """

    tap: str
    unit: str
    tensor: str
    frame: int
    index: tuple[int, ...]
    expected: int | None
    got: int | None
    cycle: int | None

    @property
    def message(self) -> str:
        """One sentence for a person."""
        element = f"tensor {self.tensor!r}, frame {self.frame}, element {self.index}"
        if self.got is None:
            return f"{element}: expected {self.expected}, but unit {self.unit!r} put out no more"
        cycle = f"put out by unit {self.unit!r} in cycle {self.cycle}"
        if self.expected is None:
            return f"{element}: no such element, but {self.got} was {cycle}"
        return f"{element}: expected {self.expected}, got {self.got}, {cycle}"


def first_mismatch(
    expected: Sequence[Tapped], recorded: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> Mismatch | None:
    """The first difference along the pipeline, and on its stream the first in time.

    The first unit whose stream differs is the one to look at: those behind it only pass the fault on. A
    stream that ends early counts only if no stream shows a wrong or surplus element, as one unit that
    stops starves every other.

    Parameters
    ----------
    expected
        What each tap must show, in the order of the pipeline.
    recorded
        Beats, uint64 [m, lanes], and their cycles, [m], by tap; see
        :class:`~pulsefold.sim.cosim.run.SimRun`.

    Returns
    -------
    Mismatch | None
        None if all are equal.

    Raises
    ------
    ValueError
        If a tap was not recorded, or with other lanes.
    """
    short: Mismatch | None = None
    for tapped in expected:
        if tapped.tap not in recorded:
            msg = f"tap {tapped.tap!r} was not recorded, only {sorted(recorded)!r}"
            raise ValueError(msg)
        beats, cycles = recorded[tapped.tap]
        if beats.ndim != 2 or beats.shape[1] != tapped.lanes:
            msg = f"tap {tapped.tap!r} must have {tapped.lanes} lanes, not shape {beats.shape}"
            raise ValueError(msg)
        found = _first(tapped, beats, cycles)
        if found is not None and found.got is not None:
            return found
        short = short or found
    return short


def _first(tapped: Tapped, beats: np.ndarray, cycles: np.ndarray) -> Mismatch | None:
    golden = tapped.values.reshape(-1)
    # The stored patterns are compared, so that nothing is lost of what the lanes carry.
    patterns = tapped.type.encode(golden)
    got = np.asarray(beats, np.uint64).reshape(-1)
    common = min(patterns.size, got.size)
    different = np.flatnonzero(patterns[:common] != got[:common])
    if different.size:
        position = int(different[0])
    elif patterns.size != got.size:
        position = common
    else:
        return None
    shape = tapped.values.shape[1:]
    frame, element = divmod(position, int(np.prod(shape)))
    has_got = position < got.size
    return Mismatch(
        tap=tapped.tap,
        unit=tapped.unit,
        tensor=tapped.tensor,
        frame=frame,
        index=tuple(int(k) for k in np.unravel_index(element, shape)),
        expected=int(golden[position]) if position < golden.size else None,
        got=int(tapped.type.decode(got[position : position + 1])[0]) if has_got else None,
        cycle=int(cycles[position // tapped.lanes]) if has_got else None,
    )

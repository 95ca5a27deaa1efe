"""What a build made, and how well."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Implementation", "Seconds", "SeedResult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """Wall-clock time of each step when it really ran; a cached step keeps its first time."""

    synth: float
    route: float
    pack: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedResult:
    """What place and route made of one seed.

    Parameters
    ----------
    seed
        Of place and route.
    fmax_mhz
        Compute clock that it reaches; 0 where it found no place or no route.
    seconds
        Wall-clock time when it really ran.
    cached
        Whether it need not be run.
    failure
        Why there is none.
    """

    seed: int
    fmax_mhz: float
    seconds: float
    cached: bool
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Implementation:
    """A routed design and its bitstream.

    Parameters
    ----------
    board
        Name.
    clock_mhz
        Compute clock that the board runs at.
    fmax_mhz
        Compute clock that the routed design could run at.
    luts, ffs, brams, dsps
        Sites taken, the serial link included.
    seed
        Of place and route.
    seeds
        Every seed tried, the fastest, which is `seed`, first.
    seconds
        Time of the steps.
    bitstream
        File for the board.
    netlist
        The design after synthesis, in Yosys' JSON form.
    critical_path
        Longest path of the compute clock: one line a hop.
    cached
        Whether nothing had to be run.
    """

    board: str
    clock_mhz: float
    fmax_mhz: float
    luts: int
    ffs: int
    brams: int
    dsps: float
    seed: int
    seeds: tuple[SeedResult, ...]
    seconds: Seconds
    bitstream: Path
    netlist: Path
    critical_path: tuple[str, ...]
    cached: bool

    @property
    def timing_met(self) -> bool:
        """Whether the design is fast enough."""
        return self.fmax_mhz >= self.clock_mhz

    def as_dict(self) -> dict[str, object]:
        """For ``report.json``: plain values, paths as text."""
        return asdict(self) | {
            "bitstream": str(self.bitstream),
            "netlist": str(self.netlist),
            "critical_path": list(self.critical_path),
            "seeds": [asdict(s) for s in self.seeds],
            "timing_met": self.timing_met,
        }

"""``annealer.cpp``, compiled on first use."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import threading
from pathlib import Path
from types import TracebackType

import numpy as np

from pulsefold.boards.cache import BuildCache, content_key
from pulsefold.boards.refine.density import WireDensity
from pulsefold.boards.refine.packed import PackedDesign
from pulsefold.boards.refine.timing import WIRE_NS
from pulsefold.errors import ToolFailedError

__all__ = ["LATE_STEPS", "Annealer", "compiler"]

_SOURCE = Path(__file__).with_name("annealer.cpp")

#: No flags of the processor at hand: the same moves everywhere, and the cache may be shared.
_FLAGS = ("-O2", "-std=c++17", "-shared", "-fPIC", "-ffp-contract=off")

#: Members of ``Problem`` that are arrays, in its order.
_ARRAYS = (
    *("x", "y", "slot", "site", "flags", "tile_key", "slice_key", "cluster", "block_class", "inputs"),
    *("net_start", "net_pin", "rest", "cell_start", "cell_net", "usable", "wire_ns"),
    *("late", "branches", "dear_x", "dear_y"),
)

#: Entries a nanosecond of the table of what paths cost, and in all: 128 ns, three times the device's width.
LATE_STEPS, _LATE_SIZE = 64, 8192

#: Two tiles by two of nextpnr's usual placements have up to about so many inputs wherever it routes well;
#: each input beyond is dear.
_ROOM, _CROWDING = 64.0, 0.05


class _Problem(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in ("width", "height", "cells", "nets")),
        *((name, ctypes.c_void_p) for name in _ARRAYS),
        *((name, ctypes.c_int32) for name in ("late_steps", "late_size")),
        ("crowding", ctypes.c_float),
        ("room", ctypes.c_float),
    )


def compiler() -> str | None:
    """Path of the C++ compiler, or None."""
    return next((path for name in ("g++", "clang++", "c++") if (path := shutil.which(name))), None)


def _library(cache: BuildCache) -> ctypes.CDLL:
    """The compiled source, from the cache where it is there.

    Raises
    ------
    ToolFailedError
        If it does not compile.
    """
    path = compiler()
    assert path is not None
    version = _output([path, "--version"])
    key = content_key(["annealer", _SOURCE.read_text(), version, *_FLAGS])

    def fill(folder: Path) -> None:
        _output([path, *_FLAGS, "-o", str(folder / "annealer.so"), str(_SOURCE)])

    library = ctypes.CDLL(str(cache.make(key, fill) / "annealer.so"))
    library.annealer_new.argtypes = (ctypes.POINTER(_Problem), ctypes.c_uint64)
    library.annealer_new.restype = ctypes.c_void_p
    library.annealer_weigh.argtypes = library.annealer_delete.argtypes = (ctypes.c_void_p,)
    library.annealer_weigh.restype = library.annealer_delete.restype = None
    library.annealer_run.argtypes = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_double, ctypes.c_int32)
    library.annealer_run.restype = ctypes.c_int64
    return library


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolFailedError("the C++ compiler gives up", where=command[0], why=done.stderr[-2000:])
    return done.stdout


#: One thread compiles, others wait for it.
_LOCK = threading.Lock()


class Annealer:
    """Moves the cells of a design, whose arrays of places it changes.

    Parameters
    ----------
    design
        What is placed; `x`, `y` and `slot` change.
    seed
        Of the moves.
    cache
        Where the compiled annealer is kept.

    Attributes
    ----------
    site
        By cell: the block whose site, at the beginning, this block has now.
    rest
        By pin, ns: the longest path through it but for the wire there; -1 where there is none.
    late
        What a path costs in tiles of wire, by its ns * :data:`LATE_STEPS`.

    :meth:`weigh` takes both over.
    """

    def __init__(self, design: PackedDesign, seed: int, cache: BuildCache) -> None:
        with _LOCK:
            self._library = _library(cache)
        self.site = np.arange(len(design.names), dtype=np.int32)
        self.rest = np.full(len(design.net_pin), -1, np.float32)
        self.late = np.zeros(_LATE_SIZE, np.float32)
        width, height = int(design.x.max(initial=0)) + 1, int(design.y.max(initial=0)) + 1
        usable = np.zeros((height, width), np.uint8)
        in_tiles = design.slot >= 0
        usable[design.y[in_tiles], design.x[in_tiles]] = 1
        self._density = WireDensity(design, width, height)
        self._prices = np.zeros((2, height, width))
        self._dear = np.zeros((2, height + 1, width + 1), np.float32)
        own = {
            **{"site": self.site, "rest": self.rest, "late": self.late, "usable": usable, "wire_ns": WIRE_NS},
            **{"branches": self._density.branches, "dear_x": self._dear[0], "dear_y": self._dear[1]},
        }
        # They must live as long as the annealer.
        self._arrays = [own[name] if name in own else getattr(design, name) for name in _ARRAYS]
        assert all(array.flags.c_contiguous for array in self._arrays)
        self._problem = _Problem(
            width,
            height,
            len(design.names),
            len(design.net_start) - 1,
            *(array.ctypes.data for array in self._arrays),
            LATE_STEPS,
            _LATE_SIZE,
            _CROWDING,
            _ROOM,
        )
        self._annealer: int | None = self._library.annealer_new(ctypes.byref(self._problem), seed)

    def __enter__(self) -> Annealer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._annealer is not None:
            self._library.annealer_delete(self._annealer)
        self._annealer = None

    def weigh(self) -> None:
        """Count with `rest` and `late`, and with what wire costs by where all wires are now."""
        # Half of what it was: else wires all go to where they were not, and back.
        self._prices = (self._prices + self._density.prices()) / 2
        self._dear[:, 1:, 1:] = self._prices.cumsum(axis=1).cumsum(axis=2)
        self._library.annealer_weigh(self._annealer)

    def run(self, moves: int, temperature: float, reach: int) -> int:
        """Try `moves` moves of each cell and cluster, of about `reach` tiles; how many were made.

        One that costs c tiles of wire more is made with probability exp(-c / `temperature`).
        """
        return self._library.annealer_run(self._annealer, moves, temperature, reach)

"""Array files in and out: bounded, without pickle, and never half-written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from pulsefold.errors import InputArrayError, OutputError

__all__ = ["load_array", "save_array"]

#: Arrays above this are refused: no model here takes so much at once.
_MOST_BYTES = 8 << 30


def load_array(path: Path) -> np.ndarray:
    """Read a ``.npy`` file.

    Raises
    ------
    InputArrayError
        If it is absent, not an array file, holds objects, or is larger than 8 GiB.
    """
    todo = "write it with numpy.save(path, array)"
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputArrayError("the array is larger than 8 GiB", where=str(path), todo="split it")
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise InputArrayError("no such file", where=str(path)) from error
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise InputArrayError(
            "this is not a NumPy array file", where=str(path), why=str(error), todo=todo
        ) from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise InputArrayError("this is an archive of arrays", where=str(path), todo=todo)
    return np.asarray(array)


def save_array(path: Path, array: np.ndarray) -> None:
    """Write a ``.npy`` file, beside its place first.

    Raises
    ------
    OutputError
        If it cannot be written; nothing is left.
    """
    write_whole(path, lambda stream: np.save(stream, array, allow_pickle=False))


def write_whole(path: Path, write) -> None:
    """Call `write` with a binary file beside `path` and rename it there when it is complete."""
    temporary = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as stream:
            write(stream)
        # mkstemp's files are private; results are as public as the user's umask makes others.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except OSError as error:
        if temporary:
            temporary.unlink(missing_ok=True)
        raise OutputError(
            f"cannot write: {error.strerror}", where=str(path), todo="name another place"
        ) from error

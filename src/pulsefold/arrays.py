"""Array files in and out: bounded, without pickle, and never half-written."""

from __future__ import annotations

import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pulsefold.errors import InputArrayError, OutputError

__all__ = ["load_array", "load_inputs", "save_array", "save_outputs"]

#: Arrays above this are refused: no model here takes so much at once.
_MOST_BYTES = 8 << 30

_TODO = "write it with numpy.save(path, array)"


def load_inputs(specs: Sequence[str]) -> np.ndarray | dict[str, np.ndarray]:
    """The arrays that a command line names.

    Parameters
    ----------
    specs
        ``X.npy``: the array of the only input. ``NAME=X.npy``: of one of several. ``X.npz``: an archive of
        arrays, each under the name of its input.

    Raises
    ------
    InputArrayError
        As for :func:`load_array`, and if an input is named twice.
    """
    if len(specs) == 1 and (spec := specs[0]) and is_plain(spec) and not spec.endswith(".npz"):
        return load_array(Path(spec))
    arrays: dict[str, np.ndarray] = {}
    for spec in specs:
        name, _, path = ("", "", spec) if is_plain(spec) else spec.partition("=")
        found = {name: load_array(Path(path))} if name else load_archive(Path(path))
        if twice := set(found) & set(arrays):
            raise InputArrayError("an array was already given for it", where=f"input {twice.pop()!r}")
        arrays |= found
    return arrays


def is_plain(spec: str) -> bool:
    """Whether there is no name in front of the file: files that are there come first."""
    return "=" not in spec or Path(spec).exists()


def load_array(path: Path) -> np.ndarray:
    """Read a ``.npy`` file.

    Raises
    ------
    InputArrayError
        If it is absent, not an array file, holds objects, or is larger than 8 GiB.
    """
    found = read_numpy(path, "r")
    if not isinstance(found, np.ndarray):
        found.close()
        todo = "name one .npz file alone, or write arrays with numpy.save(path, array)"
        raise InputArrayError("this is an archive of arrays", where=str(path), todo=todo)
    return np.asarray(found)


def load_archive(path: Path) -> dict[str, np.ndarray]:
    """Read a ``.npz`` file: arrays by name.

    Raises
    ------
    InputArrayError
        As for :func:`load_array`; the arrays may not exceed 8 GiB together when unpacked.
    """
    found = read_numpy(path, None)
    if isinstance(found, np.ndarray):
        todo = "name its input, as in NAME=FILE"
        raise InputArrayError("this is one array, without a name", where=str(path), todo=todo)
    with found as archive:
        try:
            if sum(member.file_size for member in archive.zip.infolist()) > _MOST_BYTES:
                raise InputArrayError("the arrays are larger than 8 GiB", where=str(path), todo="split them")
            return {name: archive[name] for name in archive.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise InputArrayError(
                "this is not a NumPy archive", where=str(path), why=str(error), todo=_TODO
            ) from error


def read_numpy(path: Path, mode: Literal["r"] | None) -> Any:
    """What NumPy makes of a file, without pickle."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputArrayError("the array is larger than 8 GiB", where=str(path), todo="split it")
        return np.load(path, mmap_mode=mode, allow_pickle=False)
    except FileNotFoundError as error:
        raise InputArrayError("no such file", where=str(path)) from error
    except (OSError, ValueError, EOFError, SyntaxError, zipfile.BadZipFile) as error:
        # NumPy's text goes on to advise unpickling.
        why = str(error).partition(" If you trust")[0]
        raise InputArrayError(
            "this is not a NumPy array file", where=str(path), why=why, todo=_TODO
        ) from error


def save_outputs(specs: Sequence[str], outputs: Mapping[str, np.ndarray]) -> None:
    """Write outputs where a command line says.

    Parameters
    ----------
    specs
        ``Y.npy``: the only output. ``NAME=Y.npy``: one of several. ``Y.npz``: all of them by name.
    outputs
        Arrays by name.

    Raises
    ------
    OutputError
        If a name is that of no output, a file is meant for several, or one cannot be written.
    """
    names = ", ".join(outputs)
    for spec in specs:
        name, _, path = ("", "", spec) if is_plain(spec) else spec.partition("=")
        if name and name not in outputs:
            raise OutputError(f"the model has no output {name!r}", todo=f"the outputs are: {names}")
        if name:
            save_array(Path(path), outputs[name])
        elif path.endswith(".npz"):
            write_whole(Path(path), lambda stream: np.savez(stream, allow_pickle=False, **outputs))
        elif len(outputs) == 1:
            save_array(Path(path), next(iter(outputs.values())))
        else:
            todo = "name a .npz file for all, or NAME=FILE for one"
            raise OutputError(f"the model has the outputs {names}", where=path, todo=todo)


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

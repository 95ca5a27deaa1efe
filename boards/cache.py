"""Results of slow tools by content: a folder for each key, never half-written."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pulsefold.boards.toolchain import user_cache_dir
from pulsefold.errors import OutputError

__all__ = ["BuildCache", "content_key"]


def content_key(parts: Iterable[str]) -> str:
    """SHA-256 over `parts`, each delimited, as hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(f"{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildCache:
    """Folders by key under `root`.

    Concurrent makers of one key are safe: each works beside, the first rename wins and the others
    take its result. Deleting any entry, or all, loses nothing but time.

    Parameters
    ----------
    root
        Folder of the entries; by default the user's cache folder.
    """

    root: Path = field(default_factory=lambda: user_cache_dir() / "builds")

    def get(self, key: str) -> Path | None:
        """The entry's folder, or None."""
        entry = self.root / key
        return entry if entry.is_dir() else None

    def make(self, key: str, fill: Callable[[Path], None]) -> Path:
        """The entry's folder, filled by `fill` if it was not there.

        Parameters
        ----------
        key
            From :func:`content_key`.
        fill
            Is given an empty folder and leaves the result in it. When it raises, no entry appears.

        Raises
        ------
        OutputError
            If the cache cannot be written.
        """
        entry = self.root / key
        if entry.is_dir():
            return entry
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix=f".{key[:16]}-", dir=self.root))
        except OSError as error:
            raise OutputError(
                f"cannot write the build cache: {error.strerror}",
                where=str(self.root),
                todo="free space, or set XDG_CACHE_HOME to a folder that can be written",
            ) from error
        try:
            fill(work)
            # Fails only where another maker came first, whose entry is as good.
            with contextlib.suppress(OSError):
                os.rename(work, entry)  # noqa: PTH104
        finally:
            shutil.rmtree(work, ignore_errors=True)
        if not entry.is_dir():
            raise OutputError(
                "cannot write the build cache", where=str(self.root), todo="check its permissions"
            )
        return entry

"""Boards by name. A board is a file in :mod:`pulsefold.boards.known`."""

from __future__ import annotations

import difflib
import importlib
import pkgutil

from pulsefold.boards import known
from pulsefold.boards.board import Board
from pulsefold.boards.unlimited import UNLIMITED
from pulsefold.errors import UnknownBoardError

__all__ = ["all_boards", "get_board"]


def all_boards() -> tuple[Board, ...]:
    """Every board that can be built for, by file and then in the file's own order."""
    found: list[Board] = []
    for module in pkgutil.iter_modules(known.__path__):
        found.extend(importlib.import_module(f"{known.__name__}.{module.name}").BOARDS)
    return tuple(found)


def get_board(name: str) -> Board:
    """The board of that name, which may be ``unlimited``; case does not matter.

    Raises
    ------
    UnknownBoardError
        If there is none; the message lists the names and the nearest one.
    """
    boards = {board.name: board for board in (*all_boards(), UNLIMITED)}
    found = boards.get(name.lower())
    if found is not None:
        return found
    near = difflib.get_close_matches(name.lower(), boards, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UnknownBoardError(
        f"there is no board {name!r}", where="--board", todo=f"{hint}boards: {', '.join(boards)}"
    )

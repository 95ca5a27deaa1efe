"""Boards: what they are, the tools that build for them, and the build itself."""

from pulsefold.boards.board import Board, Pin
from pulsefold.boards.registry import all_boards, get_board

__all__ = ["Board", "Pin", "all_boards", "get_board"]

"""One file a board or a board's variants.

A file defines ``BOARDS``, a tuple of :class:`pulsefold.boards.board.Board`; there is nothing else to
register. Pins come from the board's schematic or from amaranth-boards.
"""

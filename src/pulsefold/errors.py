"""Every error a person can meet: what, where, why, what to do.

The command line turns each class into one message and one exit code; library users catch
:class:`PulsefoldError`. An error never carries a Python traceback to the terminal.
"""

from __future__ import annotations

__all__ = [
    "DeviceError",
    "DoesNotFitError",
    "FoldingError",
    "InputArrayError",
    "ModelError",
    "OutputError",
    "PulsefoldError",
    "TimingError",
    "ToolFailedError",
    "ToolMissingError",
    "UnknownBoardError",
    "UnsupportedNodeError",
    "VerificationError",
]


#: Most characters of one part of a message: names in a file may have any length.
_LONGEST = 1200


def _shown(text: str) -> str:
    """Text that a file may have had a part in, without what would steer a terminal."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


class PulsefoldError(Exception):
    """Base of all errors shown to a person.

    Parameters
    ----------
    what
        What is wrong, in one sentence.
    where
        The place: node name and type, file, option.
    why
        The reason, where it is not plain from `what`.
    todo
        What to change.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: str = "", why: str = "", todo: str = "") -> None:
        self.what = what
        self.where = where
        self.why = why
        self.todo = todo
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """The whole message, one part a line."""
        what, where, why, todo = (_shown(part) for part in (self.what, self.where, self.why, self.todo))
        parts = [f"{where}: {what}" if where else what]
        if why:
            parts.append(f"why: {why}")
        if todo:
            parts.append(f"what to do: {todo}")
        return "\n".join(parts)

    def as_dict(self) -> dict[str, str]:
        """The same for ``--json``."""
        return {
            "error": type(self).__name__,
            "what": self.what,
            "where": self.where,
            "why": self.why,
            "todo": self.todo,
        }


class ModelError(PulsefoldError):
    """The model file is not readable, not sane, or not quantized."""


class UnsupportedNodeError(ModelError):
    """A node that no rule of the importer covers; `where` is ``name (Type)``."""


class InputArrayError(PulsefoldError):
    """An input array of the wrong shape or element type, or with values that are not finite."""


class UnknownBoardError(PulsefoldError):
    """No board of that name."""


class FoldingError(PulsefoldError):
    """A folding that does not divide its layer; `todo` names the nearest that does."""


class OutputError(PulsefoldError):
    """The output folder or file cannot be written."""


class VerificationError(PulsefoldError):
    """Two levels that must be equal differ."""

    exit_code = 1


class DoesNotFitError(PulsefoldError):
    """The design needs more of a resource than the board has."""

    exit_code = 3


class TimingError(PulsefoldError):
    """The routed design is slower than the clock asked for; it reaches `fmax_mhz`."""

    exit_code = 3
    fmax_mhz = 0.0


class ToolMissingError(PulsefoldError):
    """A tool is not installed; `todo` names the package that brings it."""

    exit_code = 3


class ToolFailedError(PulsefoldError):
    """A tool ended with an error; `where` is its log."""

    exit_code = 3


class DeviceError(PulsefoldError):
    """A board or its link does not answer."""

    exit_code = 3

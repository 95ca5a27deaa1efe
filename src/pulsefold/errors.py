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
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.why:
            parts.append(f"why: {self.why}")
        if self.todo:
            parts.append(f"what to do: {self.todo}")
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
    """The routed design is slower than the clock asked for."""

    exit_code = 3


class ToolMissingError(PulsefoldError):
    """A tool is not installed; `todo` names the package that brings it."""

    exit_code = 3


class ToolFailedError(PulsefoldError):
    """A tool ended with an error; `where` is its log."""

    exit_code = 3


class DeviceError(PulsefoldError):
    """A board or its link does not answer."""

    exit_code = 3

"""What a design is compiled with so that it can be looked into while it runs on a board."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from pulsefold.compiler.plan.plan import Plan
from pulsefold.errors import DoesNotFitError, ModelError
from pulsefold.hdl.debug.counters import MAX_UNITS
from pulsefold.hdl.top import Core

__all__ = ["Debug"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Debug:
    """Additions to the circuit on the board; none of them changes what it computes.

    Parameters
    ----------
    counters
        Each unit counts the cycles in which it waits.
    """

    counters: bool = False

    @classmethod
    def of(cls, document: dict[str, Any]) -> Debug:
        """The section ``debug`` of a ``plan.json``; nothing where there is none.

        Raises
        ------
        ModelError
            If it is no such section.
        """
        section = document.get("debug", {})
        known = {f.name for f in fields(cls)}
        if not isinstance(section, dict) or not set(section) <= known:
            raise ModelError(f"not the debug section of a plan.json: {section!r}", todo="compile again")
        for name, value in section.items():
            if not isinstance(value, bool):
                raise ModelError(f"{name} must be true or false, not {value!r}", where="debug")
        return cls(**section)

    def document(self) -> dict[str, Any]:
        """What :meth:`of` reads: only what is asked for, so that ordinary plans have none of it."""
        return {name: value for name, value in asdict(self).items() if value}

    def check(self, plan: Plan) -> None:
        """Whether a plan can have this.

        Raises
        ------
        DoesNotFitError
            If it has more units than the protocol has pages.
        """
        if self.counters and len(plan.units) > MAX_UNITS:
            raise DoesNotFitError(
                f"{len(plan.units)} units cannot all be counted, only {MAX_UNITS}",
                where="--counters",
                todo="compile without",
            )

    def core(self, plan: Plan) -> Core:
        """The circuit that goes onto the board."""
        return Core(plan, counters=self.counters)

"""What a design is compiled with so that it can be looked into while it runs on a board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from pulsefold.compiler.plan.plan import Plan
from pulsefold.compiler.plan.units import MatVec
from pulsefold.errors import DoesNotFitError, ModelError, PulsefoldError
from pulsefold.hdl.debug.counters import MAX_UNITS
from pulsefold.hdl.top import Core

__all__ = ["EVERYTHING", "Debug", "find_units"]

#: As a stream's name: every stream that carries a tensor.
EVERYTHING = "all"

#: Streams that a byte can choose from.
_MAX_STREAMS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Debug:
    """Additions to the circuit on the board; none of them changes what it computes.

    Parameters
    ----------
    counters
        Each unit counts the cycles in which it waits.
    probe
        Streams that can be looked at, by the names of :func:`find_units`.
    writable
        The units' constants, weights above all, lie in memories that the host can write.
    """

    counters: bool = False
    probe: tuple[str, ...] = ()
    writable: bool = False

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
        if isinstance(section, dict) and set(section) <= known:
            probe = section.get("probe", [])
            counters, writable = (section.get(name, False) for name in ("counters", "writable"))
            if isinstance(counters, bool) and isinstance(writable, bool) and isinstance(probe, list):
                return cls(counters=counters, probe=tuple(str(n) for n in probe), writable=writable)
        raise ModelError(f"not the debug section of a plan.json: {section!r}", todo="compile again")

    def document(self) -> dict[str, Any]:
        """What :meth:`of` reads: only what is asked for, so that ordinary plans have none of it."""
        plain = {**asdict(self), "probe": list(self.probe)}
        return {name: value for name, value in plain.items() if value}

    def check(self, plan: Plan) -> None:
        """Whether a plan can have this.

        Raises
        ------
        PulsefoldError
            If it has no stream of a name, or weights that cannot be written.
        DoesNotFitError
            If it has more units or streams than the protocol can tell apart.
        """
        if self.counters and len(plan.units) > MAX_UNITS:
            raise DoesNotFitError(
                f"{len(plan.units)} units cannot all be counted, only {MAX_UNITS}",
                where="--counters",
                todo="compile without",
            )
        for unit, owner in zip(plan.units, plan.network.owners, strict=True):
            if self.writable and isinstance(unit, MatVec) and unit.dot.form == "constant":
                raise PulsefoldError(
                    "its weights are constants in logic, which cannot be written",
                    where=owner,
                    todo='fold it with "multiplier": "lut" in plan.json, and give that with --folding',
                )
        if len(self.probed(plan)) > _MAX_STREAMS:
            raise DoesNotFitError(
                f"{len(self.probed(plan))} streams cannot all be looked at, only {_MAX_STREAMS}",
                where="--probe",
                todo="name those that matter, with commas between them",
            )

    def probed(self, plan: Plan) -> tuple[int, ...]:
        """Numbers of the units whose outputs can be looked at, in the order of the plan."""
        return find_units(plan, self.probe, range(len(plan.units)))

    def core(self, plan: Plan) -> Core:
        """The circuit that goes onto the board."""
        return Core(plan, counters=self.counters, probed=self.probed(plan), writable=self.writable)


def find_units(plan: Plan, names: Sequence[str], among: Sequence[int]) -> tuple[int, ...]:
    """Units that compute a tensor, by the names of their layers, of the units or of the tensors.

    Parameters
    ----------
    plan
        Whose units.
    names
        Some, or :data:`EVERYTHING`.
    among
        Numbers of units that are meant.

    Raises
    ------
    PulsefoldError
        If a name is none of these.
    """
    network = plan.network
    called = {
        k: (network.owners[k], network.units[k].name, tensor)
        for k, tensor in enumerate(network.tensors)
        if tensor is not None and k in among
    }
    if EVERYTHING in names:
        return tuple(called)
    for name in names:
        if not any(name in mine for mine in called.values()):
            known = ", ".join(dict.fromkeys(mine[0] for mine in called.values()))
            raise PulsefoldError(f"there is no stream {name!r}", where="--probe", todo=f"layers are {known}")
    return tuple(k for k, mine in called.items() if set(mine) & set(names))

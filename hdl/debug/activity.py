"""Whether a unit works, waits for input or waits for its reader."""

from __future__ import annotations

from amaranth.hdl import Cat, Value

from pulsefold.hdl.units.batchmatvec import BatchMatVecCircuit
from pulsefold.hdl.units.streams import UnitComponent

__all__ = ["activity"]


def activity(circuit: UnitComponent) -> tuple[Value, Value]:
    """Whether a unit is starved, and whether it is stalled, in this cycle; at most one, else it is busy.

    A unit's step is a beat at the port that has the most of them in a frame, which is what its promised
    cycles count; that of a join is what it takes of its inputs. A cycle without one is

    * *starved*, where the unit would take a beat and there is none;
    * *stalled*, where it cannot go on and one of its outputs offers a beat that is not taken;
    * else busy: it works on what it has.

    A matrix unit's step is a beat that enters its pipeline, whether fresh or replayed; one with a batch takes
    beats beside its work, and waits only between its passes.

    Parameters
    ----------
    circuit
        Of the unit; it has been, or will be, put into the same module.
    """
    unit = circuit.unit
    waits = Cat(port.valid & ~port.ready for port in circuit.outs).any()
    if len(circuit.ins) > 1:
        moves = Cat(port.valid & port.ready for port in circuit.ins).any()
        missing = ~Cat(port.valid for port in circuit.ins).all()
        return ~moves & missing & ~waits, ~moves & waits
    (port,) = circuit.ins
    missing = port.ready & ~port.valid
    if isinstance(circuit, BatchMatVecCircuit):
        return missing & ~circuit.go & ~waits, ~circuit.go & waits
    # Matrix units work without taking while they replay, or on what they have kept.
    if (go := getattr(circuit, "go", None)) is not None:
        return missing & ~go, ~go & ~port.ready & waits
    if max(s.beats for s in unit.inputs) >= max(s.beats for s in unit.outputs):
        return missing, ~port.ready & waits
    moves = port.valid & port.ready
    offers = Cat(port.valid for port in circuit.outs).any()
    return ~offers & ~moves & missing, waits

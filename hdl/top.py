"""The whole network as one component: a plan's units in a row."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pulsefold.compiler.plan.plan import Plan
from pulsefold.hdl.units import circuit_for, payload

__all__ = ["Core"]


class Core(wiring.Component):
    """Frames in at `i`, results out at `o`; every unit starts as soon as it has input.

    Parameters
    ----------
    plan
        What to build.
    taps
        Also show every unit's output stream on ports ``tap_<number>``, for finding where a circuit
        differs from the golden model. Observation only.
    """

    def __init__(self, plan: Plan, *, taps: bool = False) -> None:
        self.plan, self.taps = plan, taps
        ports = {
            "i": In(stream.Signature(payload(plan.input))),
            "o": Out(stream.Signature(payload(plan.output))),
        }
        if taps:
            for k, unit in enumerate(plan.units):
                ports[f"tap_{k}_payload"] = Out(payload(unit.outputs[0]))
                ports[f"tap_{k}_valid"] = Out(1)
                ports[f"tap_{k}_ready"] = Out(1)
        super().__init__(ports)

    def elaborate(self, platform):
        m = Module()
        before = wiring.flipped(self.i)
        for k, unit in enumerate(self.plan.units):
            circuit = circuit_for(unit)
            m.submodules[f"u{k}_{unit.kind}"] = circuit
            wiring.connect(m, before, circuit.i)
            before = circuit.o
            if self.taps:
                m.d.comb += [
                    getattr(self, f"tap_{k}_payload").eq(circuit.o.p),
                    getattr(self, f"tap_{k}_valid").eq(circuit.o.valid),
                    getattr(self, f"tap_{k}_ready").eq(circuit.o.ready),
                ]
        wiring.connect(m, before, wiring.flipped(self.o))
        return m

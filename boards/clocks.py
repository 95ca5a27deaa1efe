"""Clocks and resets: PLL, a start that no timing path depends on, and the network's own reset.

Domain ``sync`` is the network's, domain ``link`` that of the link to the host, which outlives the network's
resets.
"""

# Amaranth makes ports when it runs, its `If` has no typed context manager, and its slices no operators.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportInvalidTypeForm=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false

from amaranth.hdl import ClockDomain, DomainRenamer, Instance, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer, ResetSynchronizer
from amaranth.lib.wiring import In, Out

from pulsefold.boards.pll import Pll

__all__ = ["COMPUTE_CLOCK", "BootSequence", "add_gated_clock", "add_plain_clock"]

#: Name of the compute clock's net, by which its timing is found again.
COMPUTE_CLOCK = "compute_clk"

#: Reset lasts 2 to this power cycles beyond the PLL's lock. The block RAM of iCE40 is not readable for the
#: first 3 us or so after configuration; this is longer at every clock the device reaches.
_BOOT_BITS = 9

#: Each phase of the gated start is 2 to this power cycles of the oscillator, far longer than any net's delay.
_PHASE_BITS = 5


def add_plain_clock(m: Module, *, clock_in: Signal, pll: Pll | None, pressed: Value, restart: Value) -> Value:
    """Both domains on one clock, reset from it; for families and boards where that is fast enough.

    Parameters
    ----------
    m
        Top-level module.
    clock_in
        The oscillator.
    pll
        Settings, or None where the oscillator is the compute clock.
    pressed
        Asks for a reset of everything, asynchronous.
    restart
        Asks for a reset of ``sync``; of domain ``link``.

    Returns
    -------
    Value
        Whether ``sync`` is out of reset; of domain ``link``, low from 4 cycles after `restart` at the latest.
    """
    clock, locked = _compute_clock(), Signal(init=1)
    if pll is None:
        m.d.comb += [clock.eq(clock_in), locked.eq(1)]
    else:
        pll.add_to(m, clock_in=clock_in, clock_out=clock, locked=locked)
    boot, sync, link = ClockDomain("boot"), ClockDomain("sync"), ClockDomain("link")
    boot.clk = sync.clk = link.clk = clock
    m.domains += [boot, sync, link]
    m.submodules.boot_reset = ResetSynchronizer(~locked | pressed, domain="boot")

    # The top bit ends the count: one net, no comparison, so it is never the longest path.
    count = Signal(_BOOT_BITS + 1)
    done = Signal()
    held, stopped = Signal(init=1), Signal(init=1)
    m.d.comb += [done.eq(count[-1]), link.rst.eq(held), sync.rst.eq(stopped)]
    m.d.boot += [held.eq(~done), stopped.eq(~done | restart)]
    with m.If(~done):
        m.d.boot += count.eq(count + 1)
    return ~stopped


def add_gated_clock(
    m: Module, *, clock_in: Signal, pll: Pll, pressed: Value, restart: Value, model: Signal | None = None
) -> Value:
    """Domain ``sync`` whose clock stands still while its reset is released; for ECP5.

    A reset net spans the device, and one cycle is too short for it in a large and fast design. Here
    it comes from the oscillator's domain and falls while the compute clock is stopped, so no
    timing path of ``sync`` begins at it. Domain ``link`` is the oscillator's.

    Parameters and result as for :func:`add_plain_clock`; and `model`, where there is one, is a clock that
    takes the place of the PLL's, and the gate is then plain logic: for simulation.
    """
    fast, locked = Signal(name="pll_clk"), Signal(init=1)
    if model is None:
        pll.add_to(m, clock_in=clock_in, clock_out=fast, locked=locked)
    else:
        fast = model
    ungated, sync, link = ClockDomain("ungated", reset_less=True), ClockDomain("sync"), ClockDomain("link")
    link.clk, ungated.clk, sync.clk = clock_in, fast, _compute_clock()
    m.domains += [ungated, sync, link]
    m.submodules.boot_reset = ResetSynchronizer(~locked | pressed, domain="link")
    m.submodules.boot_sequence = sequence = DomainRenamer({"boot": "link"})(BootSequence())
    m.d.comb += sequence.restart.eq(restart)

    run = Signal()
    m.submodules.run_synchronizer = FFSynchronizer(sequence.run, run, o_domain="ungated")
    if model is None:
        m.submodules.gate = Instance("DCCA", i_CLKI=fast, i_CE=run, o_CLKO=sync.clk)
    else:
        # As the cell does it: enabled or not for whole high phases.
        m.domains.falling = falling = ClockDomain("falling", local=True, reset_less=True, clk_edge="neg")
        falling.clk, passing = fast, Signal()
        m.d.falling += passing.eq(run)
        m.d.comb += sync.clk.eq(fast & passing)
    m.d.comb += sync.rst.eq(sequence.reset)
    return sequence.ready


class BootSequence(wiring.Component):
    """Reset with the clock running, clock off, reset off, clock on; in the ``boot`` domain.

    Timing: 32 cycles of ``boot`` each.
    """

    #: Begins anew.
    restart: In(1)
    #: Reset of the core.
    reset: Out(1, init=1)
    #: Whether the core's clock runs.
    run: Out(1, init=1)
    #: High in the last phase, which lasts.
    ready: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = Signal(_PHASE_BITS + 2)
        phase = count[_PHASE_BITS:]
        # Registers, so that neither net has glitches.
        m.d.boot += [
            self.reset.eq(~phase[1]),
            self.run.eq((phase == 0) | (phase == 3)),
            self.ready.eq(phase == 3),
        ]
        with m.If(self.restart):
            m.d.boot += count.eq(0)
        with m.Elif(phase != 3):
            m.d.boot += count.eq(count + 1)
        return m


def _compute_clock() -> Signal:
    # Synthesis merges the copies of a net under the name with the most attributes.
    return Signal(name=COMPUTE_CLOCK, attrs={"keep": 1})

"""The core as an AXI peripheral: images over AXI4-Stream, control over AXI4-Lite.

Follows AMBA AXI-Stream (ARM IHI 0051A) and AXI4-Lite (ARM IHI 0022E): a transfer needs VALID and READY, VALID
never waits for READY and stays until the transfer.
"""

from dataclasses import dataclass

from amaranth.hdl import ClockDomain, Const, Module, ResetInserter, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.link.pack import BeatParameters

__all__ = ["AXI_REGISTERS", "AxiCore", "AxiParameters"]

#: Offsets of the registers, in bytes.
AXI_REGISTERS = {
    "magic": 0x00,
    "control": 0x04,
    "status": 0x08,
    "input_beats": 0x0C,
    "output_beats": 0x10,
    "input_bits": 0x14,
    "output_bits": 0x18,
    "images_in": 0x1C,
    "images_out": 0x20,
    "cycles": 0x24,
}

#: Value of the first register: "PULF".
_MAGIC = 0x464C5550

_ADDRESS_BITS = 6
_OKAY, _SLVERR = 0, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class AxiParameters:
    """Sizes of the streams.

    Parameters
    ----------
    input_bits, output_bits
        Bits of a beat; TDATA is the next whole number of bytes.
    input_beats, output_beats
        Beats of an image.
    """

    input_bits: int
    output_bits: int
    input_beats: int
    output_beats: int

    def __post_init__(self) -> None:
        for name in ("input_bits", "output_bits", "input_beats", "output_beats"):
            if getattr(self, name) < 1:
                msg = f"{name} must be at least 1, not {getattr(self, name)!r}"
                raise ValueError(msg)

    @property
    def input_width(self) -> int:
        """Bits of ``s_axis_tdata``."""
        return 8 * BeatParameters(width=self.input_bits).bytes

    @property
    def output_width(self) -> int:
        """Bits of ``m_axis_tdata``."""
        return 8 * BeatParameters(width=self.output_bits).bytes


class AxiCore(wiring.Component):
    """A core between two AXI4-Streams, with an AXI4-Lite window of registers.

    One beat of the core is one transfer: its bits as in :mod:`pulsefold.hdl.link.pack`, padded with zeros up
    to whole bytes (ignored on the way in). TLAST goes with the last beat of an image; on the way in a TLAST
    elsewhere, or none there, sets bit 0 of ``status`` and changes nothing else: images are counted in beats.

    Registers, 32 bits each, at :data:`AXI_REGISTERS`; all but ``control`` are read-only, and other addresses
    answer SLVERR:

    ``magic``
        0x464C5550.
    ``control``
        Bit 0 holds the core in reset, with TREADY low and TVALID low, and clears status and counters. As it
        takes back an offered beat, set it only while the receiver is in reset or nothing is under way.
    ``status``
        Bit 0: TLAST was misplaced since the last reset.
    ``input_beats``, ``output_beats``, ``input_bits``, ``output_bits``
        :class:`AxiParameters`.
    ``images_in``, ``images_out``, ``cycles``
        Counters since the last reset, modulo 2**32: images that went in and came out, and cycles.

    Timing: the streams add no latency. A write is answered two cycles after its later half, a read one cycle
    after its address; a new one is taken when the answer has gone.

    Parameters
    ----------
    core
        Component with stream ports `i` and `o` of any payload.
    parameters
        Sizes; the bits must be those of the core's payloads.
    """

    def __init__(self, core: wiring.Component, parameters: AxiParameters) -> None:
        sizes = len(Value.cast(core.i.payload)), len(Value.cast(core.o.payload))
        if sizes != (parameters.input_bits, parameters.output_bits):
            msg = f"parameters must have the bits of the core's streams, {sizes}, not {parameters!r}"
            raise ValueError(msg)
        self.core, self.parameters = core, parameters
        # Flat names, as block designs and bus models know them.
        super().__init__(
            {
                "aclk": In(1),
                "aresetn": In(1),
                "s_axis_tdata": In(parameters.input_width),
                "s_axis_tlast": In(1),
                "s_axis_tvalid": In(1),
                "s_axis_tready": Out(1),
                "m_axis_tdata": Out(parameters.output_width),
                "m_axis_tlast": Out(1),
                "m_axis_tvalid": Out(1),
                "m_axis_tready": In(1),
                "s_axil_awaddr": In(_ADDRESS_BITS),
                "s_axil_awprot": In(3),
                "s_axil_awvalid": In(1),
                "s_axil_awready": Out(1),
                "s_axil_wdata": In(32),
                "s_axil_wstrb": In(4),
                "s_axil_wvalid": In(1),
                "s_axil_wready": Out(1),
                "s_axil_bresp": Out(2),
                "s_axil_bvalid": Out(1),
                "s_axil_bready": In(1),
                "s_axil_araddr": In(_ADDRESS_BITS),
                "s_axil_arprot": In(3),
                "s_axil_arvalid": In(1),
                "s_axil_arready": Out(1),
                "s_axil_rdata": Out(32),
                "s_axil_rresp": Out(2),
                "s_axil_rvalid": Out(1),
                "s_axil_rready": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = sync = ClockDomain(local=True)
        m.d.comb += [sync.clk.eq(self.aclk), sync.rst.eq(~self.aresetn)]
        held = Signal()
        m.submodules.core = ResetInserter(held)(self.core)
        values = self._streams(m, held)
        self._write(m, held)
        self._read(m, values)
        return m

    def _streams(self, m, held) -> dict[str, Value]:
        """Both streams; returns the registers that software reads."""
        p, core = self.parameters, self.core
        misplaced = Signal()
        images_in, images_out, cycles = Signal(32), Signal(32), Signal(32)
        m.d.comb += [
            Value.cast(core.i.payload).eq(self.s_axis_tdata[: p.input_bits]),
            core.i.valid.eq(self.s_axis_tvalid & ~held),
            self.s_axis_tready.eq(core.i.ready & ~held),
            self.m_axis_tdata.eq(Value.cast(core.o.payload)),
            self.m_axis_tvalid.eq(core.o.valid & ~held),
            core.o.ready.eq(self.m_axis_tready & ~held),
        ]
        taken, given = core.i.valid & core.i.ready, core.o.valid & core.o.ready
        last_in = self._counter(m, held, taken, p.input_beats)
        last_out = self._counter(m, held, given, p.output_beats)
        m.d.comb += self.m_axis_tlast.eq(last_out)
        m.d.sync += cycles.eq(cycles + 1)
        with m.If(taken & (self.s_axis_tlast != last_in)):
            m.d.sync += misplaced.eq(1)
        with m.If(taken & last_in):
            m.d.sync += images_in.eq(images_in + 1)
        with m.If(given & last_out):
            m.d.sync += images_out.eq(images_out + 1)
        with m.If(held):
            m.d.sync += [register.eq(0) for register in (misplaced, images_in, images_out, cycles)]
        return {
            "magic": Const(_MAGIC, 32),
            "control": held,
            "status": misplaced,
            "input_beats": Const(p.input_beats, 32),
            "output_beats": Const(p.output_beats, 32),
            "input_bits": Const(p.input_bits, 32),
            "output_bits": Const(p.output_bits, 32),
            "images_in": images_in,
            "images_out": images_out,
            "cycles": cycles,
        }

    @staticmethod
    def _counter(m, held, moved, beats: int) -> Value:
        """Counts the beats of an image; whether the next one is its last."""
        left = Signal(range(beats), init=beats - 1)
        last = Signal()
        m.d.comb += last.eq(left == 0)
        with m.If(moved):
            m.d.sync += left.eq(left - 1)
            with m.If(last):
                m.d.sync += left.eq(beats - 1)
        with m.If(held):
            m.d.sync += left.eq(beats - 1)
        return last

    def _write(self, m, held) -> None:
        """Address and data may come in either order."""
        addressed, filled = Signal(), Signal()
        address, data, strobe = Signal(_ADDRESS_BITS), Signal(), Signal()
        m.d.comb += [self.s_axil_awready.eq(~addressed), self.s_axil_wready.eq(~filled)]
        with m.If(self.s_axil_awvalid & self.s_axil_awready):
            m.d.sync += [address.eq(self.s_axil_awaddr), addressed.eq(1)]
        with m.If(self.s_axil_wvalid & self.s_axil_wready):
            m.d.sync += [data.eq(self.s_axil_wdata[0]), strobe.eq(self.s_axil_wstrb[0]), filled.eq(1)]
        with m.If(addressed & filled & ~self.s_axil_bvalid):
            ours = address[2:] == AXI_REGISTERS["control"] >> 2
            m.d.sync += [
                self.s_axil_bvalid.eq(1),
                self.s_axil_bresp.eq(_SLVERR),
            ]
            with m.If(ours):
                m.d.sync += self.s_axil_bresp.eq(_OKAY)
                with m.If(strobe):
                    m.d.sync += held.eq(data)
        with m.If(self.s_axil_bvalid & self.s_axil_bready):
            m.d.sync += [self.s_axil_bvalid.eq(0), addressed.eq(0), filled.eq(0)]

    def _read(self, m, values: dict[str, Value]) -> None:
        m.d.comb += self.s_axil_arready.eq(~self.s_axil_rvalid)
        with m.If(self.s_axil_rvalid & self.s_axil_rready):
            m.d.sync += self.s_axil_rvalid.eq(0)
        with m.If(self.s_axil_arvalid & self.s_axil_arready):
            m.d.sync += [self.s_axil_rvalid.eq(1), self.s_axil_rdata.eq(0), self.s_axil_rresp.eq(_SLVERR)]
            with m.Switch(self.s_axil_araddr[2:]):
                for name, offset in AXI_REGISTERS.items():
                    with m.Case(offset >> 2):
                        m.d.sync += [self.s_axil_rdata.eq(values[name]), self.s_axil_rresp.eq(_OKAY)]

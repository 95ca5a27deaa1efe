"""The core as an AXI peripheral: images over AXI4-Stream, control over AXI4-Lite.

Follows AMBA AXI-Stream (ARM IHI 0051A) and AXI4-Lite (ARM IHI 0022E): a transfer needs VALID and READY, VALID
never waits for READY and stays until the transfer.
"""

from dataclasses import dataclass

from amaranth.hdl import ClockDomain, Const, Module, ResetInserter, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pulsefold.hdl.link.network import ports_of
from pulsefold.hdl.link.pack import BeatParameters

__all__ = ["AxiCore", "AxiParameters", "AxiStream"]

#: Value of the first register: "PULF".
_MAGIC = 0x464C5550

#: Registers of the whole, from address 0 on, and those of a stream.
_REGISTERS, _OF_STREAM = ("magic", "control", "status", "cycles"), ("beats", "bits", "images")

#: Bytes from one stream's registers to the next one's.
_BLOCK = 0x10

_OKAY, _SLVERR = 0, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class AxiStream:
    """Sizes of a stream.

    Parameters
    ----------
    bits
        Bits of a beat; TDATA is the next whole number of bytes.
    beats
        Beats of an image.
    """

    bits: int
    beats: int

    def __post_init__(self) -> None:
        for name in ("bits", "beats"):
            if getattr(self, name) < 1:
                msg = f"{name} must be at least 1, not {getattr(self, name)!r}"
                raise ValueError(msg)

    @property
    def width(self) -> int:
        """Bits of TDATA."""
        return 8 * BeatParameters(width=self.bits).bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AxiParameters:
    """The streams of a core.

    Parameters
    ----------
    inputs, outputs
        In the order of its ports, at least one of each.
    """

    inputs: tuple[AxiStream, ...]
    outputs: tuple[AxiStream, ...]

    @property
    def sources(self) -> dict[str, AxiStream]:
        """The inputs by the prefix of their ports: ``s_axis`` if it is one, else ``s_axis_0`` and so on."""
        return _by_prefix("s_axis", self.inputs)

    @property
    def sinks(self) -> dict[str, AxiStream]:
        """The outputs by the prefix of their ports, likewise ``m_axis``."""
        return _by_prefix("m_axis", self.outputs)

    @property
    def registers(self) -> dict[str, int]:
        """Offsets of the registers, in bytes."""
        prefixes = (*self.sources, *self.sinks)
        return {name: 4 * k for k, name in enumerate(_REGISTERS)} | {
            f"{prefix}_{name}": _BLOCK * (block + 1) + 4 * k
            for block, prefix in enumerate(prefixes)
            for k, name in enumerate(_OF_STREAM)
        }

    @property
    def address_bits(self) -> int:
        """Bits of an address of a register."""
        return (_BLOCK * (1 + len(self.inputs) + len(self.outputs)) - 1).bit_length()


def _by_prefix(prefix: str, streams: tuple[AxiStream, ...]) -> dict[str, AxiStream]:
    if len(streams) == 1:
        return {prefix: streams[0]}
    return {f"{prefix}_{k}": stream for k, stream in enumerate(streams)}


def _stream_ports(prefix: str, width: int, forth, back) -> dict:
    return {
        f"{prefix}_tdata": forth(width),
        f"{prefix}_tlast": forth(1),
        f"{prefix}_tvalid": forth(1),
        f"{prefix}_tready": back(1),
    }


class AxiCore(wiring.Component):
    """A core between AXI4-Streams, one a tensor, with an AXI4-Lite window of registers.

    One beat of the core is one transfer: its bits as in :mod:`pulsefold.hdl.link.pack`, padded with zeros up
    to whole bytes (ignored on the way in). TLAST goes with the last beat of an image; on the way in a TLAST
    elsewhere, or none there, is told in ``status`` and changes nothing else: images are counted in beats.

    Nothing is buffered here: a core of several inputs takes each when it needs it, so they must come side by
    side, and of several outputs none may be left waiting for another.

    Registers, 32 bits each, at :attr:`AxiParameters.registers`; all but ``control`` are read-only, and other
    addresses answer SLVERR:

    ``magic``
        0x464C5550.
    ``control``
        Bit 0 holds the core in reset, with TREADY low and TVALID low, and clears status and counters. As it
        takes back an offered beat, set it only while the receiver is in reset or nothing is under way.
    ``status``
        Bit k: TLAST was misplaced at input k since the last reset.
    ``cycles``
        Counts cycles since the last reset, modulo 2**32.
    ``<stream>_beats``, ``<stream>_bits``
        :class:`AxiStream`, for each by the prefix of its ports.
    ``<stream>_images``
        Images that went through since the last reset, modulo 2**32.

    Timing: the streams add no latency. A write is answered two cycles after its later half, a read one cycle
    after its address; a new one is taken when the answer has gone.

    Parameters
    ----------
    core
        Component with stream ports `i` and `o` of any payload, or lists of them, `ins` and `outs`.
    parameters
        Sizes; the bits must be those of the core's payloads.
    """

    def __init__(self, core: wiring.Component, parameters: AxiParameters) -> None:
        self.ins, self.outs = ports_of(core)
        for ports, streams in ((self.ins, parameters.inputs), (self.outs, parameters.outputs)):
            sizes = [len(Value.cast(port.payload)) for port in ports]
            if sizes != [stream.bits for stream in streams]:
                msg = f"parameters must have the bits of the core's streams, {sizes}, not {parameters!r}"
                raise ValueError(msg)
        self.core, self.parameters = core, parameters
        address = parameters.address_bits
        # Flat names, as block designs and bus models know them.
        ports = {"aclk": In(1), "aresetn": In(1)}
        for prefix, stream in parameters.sources.items():
            ports |= _stream_ports(prefix, stream.width, In, Out)
        for prefix, stream in parameters.sinks.items():
            ports |= _stream_ports(prefix, stream.width, Out, In)
        super().__init__(
            ports
            | {
                "s_axil_awaddr": In(address),
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
                "s_axil_araddr": In(address),
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
        self._write(m, held)
        self._read(m, self._streams(m, held))
        return m

    def _streams(self, m, held) -> dict[str, Value]:
        """All streams; returns the registers that software reads."""
        p = self.parameters
        misplaced, cycles = Signal(len(p.inputs)), Signal(32)
        m.d.sync += cycles.eq(cycles + 1)
        values: dict[str, Value] = {
            "magic": Const(_MAGIC, 32),
            "control": held,
            "status": misplaced,
            "cycles": cycles,
        }
        for k, ((prefix, stream), port) in enumerate(zip(p.sources.items(), self.ins, strict=True)):
            data, last, valid, ready = self._axis(prefix)
            m.d.comb += [
                Value.cast(port.payload).eq(data[: stream.bits]),
                port.valid.eq(valid & ~held),
                ready.eq(port.ready & ~held),
            ]
            taken = port.valid & port.ready
            final, values[f"{prefix}_images"] = self._counter(m, held, taken, stream.beats, prefix)
            with m.If(taken & (last != final)):
                m.d.sync += misplaced[k].eq(1)
        for (prefix, stream), port in zip(p.sinks.items(), self.outs, strict=True):
            data, last, valid, ready = self._axis(prefix)
            m.d.comb += [
                data.eq(Value.cast(port.payload)),
                valid.eq(port.valid & ~held),
                port.ready.eq(ready & ~held),
            ]
            taken = port.valid & port.ready
            final, values[f"{prefix}_images"] = self._counter(m, held, taken, stream.beats, prefix)
            m.d.comb += last.eq(final)
        for prefix, stream in (p.sources | p.sinks).items():
            values[f"{prefix}_beats"] = Const(stream.beats, 32)
            values[f"{prefix}_bits"] = Const(stream.bits, 32)
        with m.If(held):
            m.d.sync += [register.eq(0) for register in (misplaced, cycles)]
        return values

    def _axis(self, prefix: str) -> list:
        return [getattr(self, f"{prefix}_{name}") for name in ("tdata", "tlast", "tvalid", "tready")]

    @staticmethod
    def _counter(m, held, moved, beats: int, prefix: str) -> tuple[Value, Value]:
        """Counts the beats of an image: whether the next one is its last, and the images."""
        left = Signal(range(beats), init=beats - 1, name=f"{prefix}_left")
        images = Signal(32, name=f"{prefix}_images")
        last = Signal(name=f"{prefix}_last")
        m.d.comb += last.eq(left == 0)
        with m.If(moved):
            m.d.sync += left.eq(left - 1)
            with m.If(last):
                m.d.sync += [left.eq(beats - 1), images.eq(images + 1)]
        with m.If(held):
            m.d.sync += [left.eq(beats - 1), images.eq(0)]
        return last, images

    def _write(self, m, held) -> None:
        """Address and data may come in either order."""
        addressed, filled = Signal(), Signal()
        address, data, strobe = Signal(self.parameters.address_bits), Signal(), Signal()
        m.d.comb += [self.s_axil_awready.eq(~addressed), self.s_axil_wready.eq(~filled)]
        with m.If(self.s_axil_awvalid & self.s_axil_awready):
            m.d.sync += [address.eq(self.s_axil_awaddr), addressed.eq(1)]
        with m.If(self.s_axil_wvalid & self.s_axil_wready):
            m.d.sync += [data.eq(self.s_axil_wdata[0]), strobe.eq(self.s_axil_wstrb[0]), filled.eq(1)]
        with m.If(addressed & filled & ~self.s_axil_bvalid):
            ours = address[2:] == self.parameters.registers["control"] >> 2
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
                for name, offset in self.parameters.registers.items():
                    with m.Case(offset >> 2):
                        m.d.sync += [self.s_axil_rdata.eq(values[name]), self.s_axil_rresp.eq(_OKAY)]

"""Bitstreams of a tiny core, and everything that can go wrong on the way."""

from dataclasses import replace

import numpy as np
import pytest
from amaranth.back import rtlil

from pulsefold.boards import get_board
from pulsefold.boards.build import build
from pulsefold.compiler.ir import ElementType
from pulsefold.compiler.plan.resources import Resources
from pulsefold.compiler.plan.units import ReorderUnit
from pulsefold.errors import DoesNotFitError, OutputError, PulsefoldError, TimingError, ToolFailedError
from pulsefold.hdl.technology import Technology
from pulsefold.hdl.units import circuit_for

pytestmark = pytest.mark.synth


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    ("name", "clock_mhz", "magic"),
    [
        ("ulx3s-85f", 100.0, b"LFE5U-85F"),
        ("icebreaker", 24.0, b"\x7e\xaa\x99\x7e"),
        ("tang-nano-9k", 54.0, b"1010010111000011"),
        ("tang-nano-20k", 81.0, b"1010010111000011"),
        ("ice40-hx8k", 48.0, b"\x7e\xaa\x99\x7e"),
        ("crosslink-nx-evn", 12.0, b"\xff\xff\xbd\xb3"),
        ("orangecrab-25f", 96.0, b"LFE5U-25F"),
        # The oscillator's own clock takes no PLL.
        ("icebreaker", 12.0, b"\x7e\xaa\x99\x7e"),
    ],
)
def test_bitstream(name, clock_mhz, magic, core, cache, tmp_path):
    steps = []
    made = build(core, get_board(name), clock_mhz, tmp_path / "out", cache=cache, progress=steps.append)
    assert magic in made.bitstream.read_bytes()
    assert made.timing_met
    assert made.clock_mhz == clock_mhz
    # The link's logic, and its two memories.
    assert 500 < made.luts < 2000
    assert 300 < made.ffs < 1000
    assert 2 <= made.brams <= 6
    assert made.dsps == 0
    assert made.critical_path
    assert not made.cached
    assert len(steps) == 6
    assert {"logs/synth.log", "logs/route.log", "logs/pack.log"} <= set(files(tmp_path / "out"))

    again = build(core, get_board(name), clock_mhz, tmp_path / "again", cache=cache)
    assert again.cached
    assert again.seconds == made.seconds
    assert files(tmp_path / "again") == files(tmp_path / "out")
    assert again.bitstream.read_bytes() == made.bitstream.read_bytes()


def test_another_seed_reuses_synthesis(core, cache, tmp_path):
    board = get_board("icebreaker")
    build(core, board, 24.0, tmp_path / "out", cache=cache)
    steps = []
    build(core, board, 24.0, tmp_path / "out", seeds=(2,), cache=cache, progress=steps.append)
    assert [step for step in steps if "cached" in step] == ["synthesis: cached"]


def test_seeds_side_by_side_and_the_fastest_is_taken(core, cache, tmp_path):
    board = get_board("icebreaker")
    made = build(core, board, 24.0, tmp_path / "out", seeds=(1, 2, 3), jobs=2, cache=cache)
    fmax = {result.seed: result.fmax_mhz for result in made.seeds}
    assert set(fmax) == {1, 2, 3}
    assert len(set(fmax.values())) > 1
    assert made.fmax_mhz == max(fmax.values()) == fmax[made.seed] == made.seeds[0].fmax_mhz
    logs = tmp_path / "out" / "logs"
    assert {"route-1.log", "route-2.log", "route-3.log"} <= {path.name for path in logs.iterdir()}
    assert (logs / "route.log").read_text() == (logs / f"route-{made.seed}.log").read_text()
    # One more seed: the others are not run again.
    steps = []
    again = build(core, board, 24.0, tmp_path / "out", seeds=(1, 2, 3, 7), cache=cache, progress=steps.append)
    routed = [step for step in steps if "route" in step and "running" in step]
    assert len(routed) == 1
    assert "seed 7" in routed[0]
    assert {result.seed for result in again.seeds if result.cached} == {1, 2, 3}


def test_an_interrupted_build_goes_on_with_what_is_missing(core, cache, tmp_path):
    board = get_board("icebreaker")

    def interrupt(line):
        if line.startswith("seed 2:"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(core, board, 24.0, tmp_path, seeds=(2, 3, 4), jobs=1, cache=cache, progress=interrupt)
    assert not (tmp_path / "bitstream").exists()
    steps = []
    build(core, board, 24.0, tmp_path, seeds=(2, 3, 4), jobs=1, cache=cache, progress=steps.append)
    running = [step for step in steps if "running nextpnr" in step]
    assert len(running) == 2
    assert not any("seed 2" in step for step in running)


@pytest.mark.parametrize(("name", "asked"), [("icebreaker", 24.0), ("ulx3s-12f", 380.0)])
def test_clock_that_timing_allows(name, asked, core, cache, tmp_path):
    board = get_board(name)
    made = build(core, board, asked, tmp_path, fit_clock=True, cache=cache)
    assert made.timing_met
    assert made.clock_mhz != asked
    # With the new clock it may have become faster still.
    assert 0.9 * made.fmax_mhz < made.clock_mhz <= made.fmax_mhz


def test_missed_timing_leaves_only_logs(core, cache, tmp_path):
    board = get_board("icebreaker")
    build(core, board, 24.0, tmp_path, cache=cache)
    with pytest.raises(TimingError, match=r"reaches \d+\.\d MHz .* not 204 MHz") as caught:
        build(core, board, 204.0, tmp_path, cache=cache)
    assert caught.value.exit_code == 3
    assert "--clock-mhz" in caught.value.todo
    assert not (tmp_path / "bitstream").exists()
    assert (tmp_path / "logs" / "route.log").stat().st_size > 0


def test_an_oscillator_too_fast_for_the_link(core, cache, tmp_path):
    # The network alone would run.
    board = replace(get_board("ulx3s-12f"), clock_mhz=200.0)
    with pytest.raises(TimingError, match="the link's clock is not reached") as caught:
        build(core, board, 50.0, tmp_path, cache=cache)
    assert "not 200 MHz" in caught.value.why
    assert not (tmp_path / "bitstream").exists()


def test_a_device_that_the_flow_does_not_know(core, cache, tmp_path):
    board = replace(get_board("ulx3s-12f"), device="LFE5UM-12F")
    with pytest.raises(PulsefoldError, match="knows no device 'LFE5UM-12F'") as caught:
        build(core, board, 50.0, tmp_path, cache=cache)
    assert "LFE5UM5G-45F" in caught.value.todo


def test_too_large_names_the_resource(core, cache, tmp_path):
    board = replace(get_board("icebreaker"), resources=Resources(luts=5280, ffs=30, brams=30, dsps=8))
    with pytest.raises(DoesNotFitError, match=r"needs \d+ ffs, .* has 30"):
        build(core, board, 24.0, tmp_path / "out", cache=cache)
    assert files(tmp_path / "out") == ["logs/synth.log"]


def test_failing_tool_shows_its_log(cache, tmp_path):
    with pytest.raises(ToolFailedError, match="yosys ended with code") as caught:
        build("no such language\n", get_board("icebreaker"), 24.0, tmp_path / "out", cache=cache)
    assert caught.value.where == str(tmp_path / "out" / "logs" / "synth.log")
    assert "ERROR" in caught.value.why
    assert files(tmp_path / "out") == ["logs/synth.log"]
    assert not files(cache.root)


def test_synthesis_that_gives_up_is_tried_another_way(cache, tmp_path):
    kind, frame = ElementType.integer(4, signed=False), np.arange(4 * 4 * 8).reshape(4, 4, 8)
    unit = ReorderUnit(
        name="up",
        type=kind,
        elements=frame.size,
        index=frame.repeat(2, 0).repeat(2, 1),
        fill=0,
        output_type=kind,
        lanes=8,
    )
    # Alone it has no pins, so that the router refuses it; in a whole design ABC9 copes with it.
    text = rtlil.convert(circuit_for(unit), name="top", platform=Technology("ecp5"), emit_src=False)
    steps = []
    with pytest.raises(ToolFailedError, match="nextpnr-ecp5 ended with code"):
        build(text, get_board("ulx3s-85f"), 90.0, tmp_path, cache=cache, progress=steps.append)
    assert steps[0] == "synthesis: running yosys"
    assert steps[1].endswith("once more in another way")
    assert steps[2] == "synthesis: running yosys"
    assert steps[3].startswith("synthesis: done")


def test_folder_that_cannot_be_made(core, cache, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write the build"):
        build(core, get_board("icebreaker"), 24.0, tmp_path / "file" / "out", cache=cache)

"""From a person's array to a board and back: the demo network on a virtual board."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest

from pulsefold.hdl.units import hop


def refused(outcome, *words: str, code: int = 2) -> None:
    assert outcome.code == code
    assert outcome.err.count("error: ") == 1
    for word in words:
        assert word in outcome.err


@pytest.mark.parametrize("device", ["sim", "sim:uart"])
def test_digits_equal_golden(pulsefold, design, images, tmp_path, device):
    x, y, z = (tmp_path / f"{name}.npy" for name in "xyz")
    np.save(x, images[:100])
    ran = pulsefold("run", design, "--device", device, "--input", x, "--output", y, "--json")
    assert ran.code == 0
    figures = ran.document["run"]
    assert (figures["device"], figures["images"]) == (device, 100)
    # A line simulated bit by bit on a busy machine is slower than the host's patience, which costs only time.
    assert device != "sim" or figures["frames_sent_again"] == 0
    assert figures["board"]["cycles"] > 0
    for raw in ([], ["--raw"]):
        assert pulsefold("run", design, "--device", "sim", "--input", x, "--output", y, *raw).code == 0
        golden = ("simulate", design, "--level", "golden", "--input", x, "--output", z, *raw)
        assert pulsefold(*golden).code == 0
        np.testing.assert_array_equal(np.load(y), np.load(z))
        assert np.load(y).dtype == np.load(z).dtype


def test_selftest(pulsefold, design):
    ran = pulsefold("run", design, "--device", "sim", "--selftest", "--limit", "5", "--json")
    assert ran.code == 0
    assert ran.document["run"]["images"] == 5
    assert ran.document["run"]["mismatches"] == 0


def test_selftest_of_a_wrong_circuit(pulsefold, design, monkeypatch, tmp_path):
    words = hop.Hop.words

    def flipped(self):
        found = words(self)
        return [w ^ 7 for w in found] if self.unit.name.startswith("conv2") else found

    monkeypatch.setattr(hop.Hop, "words", flipped)
    folder = tmp_path / "d"
    shutil.copytree(design, folder)
    ran = pulsefold("run", folder, "--device", "sim", "--selftest", "--json")
    assert ran.code == 1
    first = ran.document["run"]["first_mismatch"]
    assert first["board"] != first["golden"]


def test_what_makes_no_sense(pulsefold, design, images, tmp_path):
    x = tmp_path / "x.npy"
    np.save(x, images[:2])
    refused(pulsefold("run", design, "--device", "sim"), "--selftest")
    refused(pulsefold("run", design, "--device", "sim", "--selftest", "--input", x), "--selftest")
    refused(pulsefold("run", design, "--device", "sim:pigeon", "--input", x), "sim:uart", code=3)
    refused(pulsefold("run", design, "--device", tmp_path / "tty", "--input", x), "cannot be opened", code=3)
    refused(pulsefold("run", design, "--device", "sim", "--input", x, "--limit", "0"), "--limit")
    refused(pulsefold("run", design, "--device", "sim", "--input", x, "--timeout", "-1"), "--timeout")
    refused(pulsefold("run", design, "--device", "x", "--input", x, "--baud", "1"), "--baud")


def test_program_needs_a_bitstream(pulsefold, design, tmp_path):
    refused(pulsefold("program", design), "pulsefold build")
    folder = tmp_path / "d"
    shutil.copytree(design, folder)
    report = json.loads((folder / "report.json").read_text())
    (tmp_path / "elsewhere.bit").write_bytes(b"bits")
    report["implementation"] = {"bitstream": "../elsewhere.bit"}
    (folder / "report.json").write_text(json.dumps(report))
    refused(pulsefold("program", folder), "pulsefold build")


def test_program_calls_the_programmer(pulsefold, design, tmp_path, monkeypatch):
    """The programmer is a program that tells its arguments: there is no board here."""
    folder, tool = tmp_path / "d", tmp_path / "programmer"
    shutil.copytree(design, folder)
    (folder / "bitstream").mkdir()
    (folder / "bitstream" / "a b.bit").write_bytes(b"bits")
    report = json.loads((folder / "report.json").read_text())
    report["implementation"] = {"bitstream": "bitstream/a b.bit"}
    (folder / "report.json").write_text(json.dumps(report))
    program = "import sys\nprint(sys.argv[1:])\nsys.exit('fail' in sys.argv[-1])\n"
    tool.write_text(f"#!{sys.executable}\n{program}")
    tool.chmod(0o755)
    monkeypatch.setenv("OPENFPGALOADER", str(tool))
    assert pulsefold("program", folder).code == 0
    log = (folder / "logs" / "program.log").read_text()
    assert log.strip() == str(["-b", "ulx3s", str(folder.resolve() / "bitstream" / "a b.bit")])
    assert pulsefold("program", folder, "--flash").code == 0
    assert "'-f'" in (folder / "logs" / "program.log").read_text()

    (folder / "bitstream" / "a b.bit").rename(folder / "bitstream" / "fail.bit")
    report["implementation"] = {"bitstream": "bitstream/fail.bit"}
    (folder / "report.json").write_text(json.dumps(report))
    refused(pulsefold("program", folder), "ended with code 1", "program.log", code=3)

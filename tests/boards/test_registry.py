"""Boards by name, and the facts that every board must have."""

import subprocess

import pytest

from pulsefold.boards import all_boards, get_board
from pulsefold.boards.board import FAMILIES, Board, Pin
from pulsefold.boards.flow import flow_for
from pulsefold.boards.pll import find_pll
from pulsefold.boards.toolchain import find_tool
from pulsefold.compiler.plan.resources import Resources
from pulsefold.errors import ToolMissingError, UnknownBoardError


def test_names_are_unique_and_plain():
    names = [board.name for board in all_boards()]
    assert len(set(names)) == len(names)
    assert {"ulx3s-85f", "icebreaker", "tang-nano-9k"} <= set(names)
    assert all(name == name.lower() and " " not in name for name in names)


def test_every_family_has_a_board():
    assert {board.family for board in all_boards()} == set(FAMILIES)


@pytest.mark.parametrize("board", all_boards(), ids=lambda board: board.name)
def test_board_is_complete(board):
    sites = [pin.site for pin in board.ports().values()]
    assert len(set(sites)) == len(sites), "two ports on one pin"
    assert board.resources.luts > 0
    # The family's flow knows the device.
    assert flow_for(board.family).route_arguments(board, 1.0)
    if board.compute_mhz != board.clock_mhz:
        assert float(find_pll(board, board.compute_mhz).output_mhz) == board.compute_mhz


def test_programmer_knows_every_board():
    try:
        tool = find_tool("openFPGALoader")
        listed = subprocess.check_output([tool.path, "--list-boards"], text=True, stderr=subprocess.STDOUT)
    except (ToolMissingError, subprocess.CalledProcessError) as error:
        pytest.skip(f"openFPGALoader does not run here: {error}")
    names = {line.split()[0] for line in listed.splitlines() if line.split()}
    assert {board.programmer for board in all_boards()} <= names


def test_case_does_not_matter():
    assert get_board("ULX3S-85F").title == "Radiona ULX3S 85F"


def test_what_is_no_board_is_known_by_name_alone():
    nowhere = get_board("unlimited")
    assert not nowhere.buildable
    assert nowhere not in all_boards()
    assert all(board.buildable for board in all_boards())


def test_unknown_board_lists_names_and_the_nearest():
    with pytest.raises(UnknownBoardError) as caught:
        get_board("ulx3s85f")
    assert "did you mean ulx3s-85f?" in caught.value.todo
    assert all(board.name in caught.value.todo for board in all_boards())
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("change", "message"), [({"family": "xilinx"}, "family"), ({"usable": 0.0}, "usable")]
)
def test_board_checks_itself(change, message):
    fields = {
        "name": "x",
        "title": "X",
        "family": "ecp5",
        "device": "",
        "package": "",
        "speed": "",
        "clock_mhz": 1.0,
        "compute_mhz": 1.0,
        "baud": 1,
        "clock": Pin(site="1"),
        "uart_rx": Pin(site="2"),
        "uart_tx": Pin(site="3"),
        "resources": Resources(),
        "bram_bits": 1,
    }
    with pytest.raises(ValueError, match=message):
        Board(**(fields | change))

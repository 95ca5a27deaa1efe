"""A router that gets no further, and what is run in its place."""

from pathlib import Path

import pytest

from pulsefold.boards import cachedtools
from pulsefold.boards.cache import BuildCache
from pulsefold.boards.cachedtools import CachedTools, Job
from pulsefold.boards.flow import flow_for
from pulsefold.boards.toolchain import Tool

FLOW = flow_for("ecp5")
ARGUMENTS = ["--85k", "--router", "router1", "--seed", "1"]

#: As nextpnr wrote it of a design with many multipliers, until it wrote no more.
STILL = """Info:    IterCnt |  w/ripup   wo/ripup |  w/r  wo/r |      arcs| batch(sec) total(sec)|
Info:     112000 |    12703      95606 |  127   826 |      1586|      18.63     157.97|
Info:     113000 |    12960      96321 |  257   715 |      1265|      41.28     199.24|
"""


@pytest.mark.parametrize(
    ("text", "still_s", "other"),
    [
        (STILL, 121, True),
        (STILL, 119, False),
        # Long batches of a design that routes for long, or of a machine with much else to do.
        (STILL.replace("199.24", "600.00"), 299, False),
        (STILL.replace("199.24", "600.00"), 301, True),
        (STILL + "Info: Routing complete.\n", 1000, False),
        ("Info: at iteration #5: temp = 0.000000, timing cost = 691, wirelen = 427595\n", 1000, False),
        ("", 1000, False),
    ],
)
def test_when_another_way_is_taken(tmp_path: Path, text: str, still_s: float, other: bool) -> None:
    log = tmp_path / "log"
    log.write_text("Info: placed\n" * 1000 + text)
    again = FLOW.second_route(ARGUMENTS, log, still_s)
    assert (again is not None) == other
    if again is not None:
        # In another order, and then with the other router, which comes to an end.
        assert again[:3] == ARGUMENTS[:3]
        assert again[4] != "1"
        last = FLOW.second_route(again, log, still_s)
        assert last == ["--85k", "--router", "router2", *again[3:]]
        assert FLOW.second_route(last, log, still_s) is None


def test_a_tool_is_run_again_by_another_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Tool(name="shell", path=Path("/bin/sh"), version="1", packaged=False)
    monkeypatch.setattr(cachedtools, "find_tool", lambda name: shell)
    said: list[str] = []
    tools = CachedTools(cache=BuildCache(root=tmp_path / "cache"), logs=tmp_path, progress=said.append)

    def second(arguments: list[str], log: Path, still_s: float) -> list[str] | None:
        if still_s < 1:
            return None
        ways = {"first": "echo second; sleep 60", "second": "echo third; touch done"}
        return ["-c", ways[log.read_text().strip()]]

    job = Job(
        name="route",
        title="route",
        tool="shell",
        inputs=[],
        prepare=lambda folder: ["-c", "echo first; sleep 60"],
        second=second,
    )
    step = tools.step(job)
    assert (step.folder / "done").exists()
    assert (tmp_path / "route.log").read_text() == "third\n"
    assert 2 < step.seconds < 50
    assert said[:3] == ["route: running shell", *["route: it gets no further, again by another way"] * 2]
    assert tools.step(job).cached

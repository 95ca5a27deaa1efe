"""Running one tool: its log, its failures, and no child left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from pulsefold.boards.process import run_tool
from pulsefold.boards.toolchain import Tool
from pulsefold.errors import OutputError, ToolFailedError

SHELL = Tool(name="shell", path=Path("/bin/sh"), version="1", packaged=False)


def test_log_takes_both_streams(tmp_path):
    seconds = run_tool(SHELL, ["-c", "echo out; echo err >&2; pwd"], cwd=tmp_path, log=tmp_path / "log")
    assert (tmp_path / "log").read_text() == f"out\nerr\n{tmp_path}\n"
    assert 0 < seconds < 10


def test_failure_shows_the_errors_first(tmp_path):
    script = "echo ERROR: the cause; for n in 1 2 3 4 5 6 7 8 9 10 11 12 13; do echo noise; done; exit 3"
    with pytest.raises(ToolFailedError, match="shell ended with code 3") as caught:
        run_tool(SHELL, ["-c", script], cwd=tmp_path, log=tmp_path / "log")
    assert caught.value.why == "ERROR: the cause"
    assert caught.value.where == str(tmp_path / "log")


def test_silent_failure(tmp_path):
    with pytest.raises(ToolFailedError, match="it printed nothing"):
        run_tool(SHELL, ["-c", "exit 1"], cwd=tmp_path, log=tmp_path / "log")


def test_full_disk_is_said(tmp_path):
    with pytest.raises(OutputError, match="the disk is full"):
        run_tool(
            SHELL, ["-c", "echo 'x: No space left on device'; exit 1"], cwd=tmp_path, log=tmp_path / "log"
        )


def test_log_that_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match="cannot write the log"):
        run_tool(SHELL, ["-c", "true"], cwd=tmp_path, log=tmp_path / "none" / "log")


def test_tool_that_does_not_start(tmp_path):
    tool = Tool(name="ghost", path=tmp_path / "ghost", version="1", packaged=False)
    with pytest.raises(ToolFailedError, match="ghost does not start"):
        run_tool(tool, [], cwd=tmp_path, log=tmp_path / "log")


def test_hopeless_tool_is_ended(tmp_path):
    asked = []

    def hopeless(still_s: float) -> bool:
        asked.append(still_s)
        return len(asked) == 2

    script = "echo $$ > pid; for n in 1 2 3 4; do echo at work; sleep 1; done; sleep 60"
    log = tmp_path / "log"
    with pytest.raises(CancelledError):
        run_tool(SHELL, ["-c", script], cwd=tmp_path, log=log, hopeless=hopeless)
    assert log.read_text().count("at work") == 4
    assert 1 < asked[0] < asked[1] < 10
    assert not _runs(int((tmp_path / "pid").read_text()))


def _interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("number", "handler", "raised"),
    [(signal.SIGINT, _interrupt, KeyboardInterrupt), (signal.SIGTERM, signal.SIG_DFL, SystemExit)],
)
def test_signal_ends_the_whole_group(number, handler, raised, tmp_path):
    before = signal.signal(number, handler)
    sender = threading.Timer(0.5, os.kill, (os.getpid(), number))
    sender.start()
    try:
        with pytest.raises(raised):
            # The child has a child of its own, as the tools' launchers do.
            run_tool(
                SHELL, ["-c", "sleep 60 & echo $! > pid; wait; true"], cwd=tmp_path, log=tmp_path / "log"
            )
    finally:
        sender.join()
        signal.signal(number, before)
    pid = int((tmp_path / "pid").read_text())
    _until(lambda: not _runs(pid))
    assert not _runs(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems cannot bind a process to another")
def test_tool_ends_with_a_host_that_is_killed(tmp_path):
    script = (
        "from pathlib import Path; from pulsefold.boards.process import run_tool; "
        "from pulsefold.boards.toolchain import Tool; "
        "shell = Tool(name='shell', path=Path('/bin/sh'), version='1', packaged=False); "
        "run_tool(shell, ['-c', 'echo $$ > now; mv now pid; exec sleep 60'], cwd=Path(), log=Path('log'))"
    )
    host = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path)
    _until((tmp_path / "pid").exists)
    host.kill()
    host.wait()
    pid = int((tmp_path / "pid").read_text())
    _until(lambda: not _runs(pid))
    assert not _runs(pid)


def _until(holds):
    deadline = time.monotonic() + 20
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)


def _runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Where nobody reaps orphans, the ended process stays listed as a zombie.
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def test_first_use_happens_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "yowasp-thing"
    path.write_text(f"#!/bin/sh\necho $* >> {tmp_path}/calls\n")
    path.chmod(0o755)
    tool = Tool(name="thing", path=path, version="1", packaged=True)
    for _ in range(2):
        run_tool(tool, ["work"], cwd=tmp_path, log=tmp_path / "log")
    assert (tmp_path / "calls").read_text().split() == ["--version", "work", "work"]

"""Runs benchmark cases at two commits and prints the second's figures beside the first's.

Each commit is checked out beside the repository's own tree and runs its own `bench/run.py` with this Python's
packages. Synthesis and routing come from the build cache where a commit has changed nothing about them; the
seconds are then those of the run that filled it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

#: Columns of the results that are compared: digits of a ratio mean something.
COLUMNS = ("cycles/image", "LUTs", "FFs", "block RAMs", "Fmax MHz", "FPS at Fmax", "seconds to build")

#: Columns that must not change.
SAME = ("right (golden)", "equal (circuit)")

Rows = Mapping[str, Mapping[str, str]]


def git(*arguments: str) -> str:
    """Standard output of a git command in the repository."""
    command = ["git", "-C", str(REPOSITORY), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def results(commit: str, cases: Sequence[str], shared: Path, folder: Path) -> Rows:
    """Rows of the cases at a commit."""
    tree, file = folder / commit, folder / f"{commit}.json"
    git("worktree", "add", "--detach", str(tree), commit)
    try:
        command = [sys.executable, str(tree / "bench" / "run.py"), *cases]
        options = ["--shared", str(shared), "--out", str(folder / f"{commit}-build"), "--results", str(file)]
        environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
        done = subprocess.run(
            [*command, *options], cwd=tree, env=environment, check=False, stdout=subprocess.DEVNULL
        )
        if done.returncode:
            raise SystemExit(f"the benchmark ended with code {done.returncode} at {commit}")
        return json.loads(file.read_text(encoding="utf-8"))["rows"]
    finally:
        git("worktree", "remove", "--force", str(tree))


def number(text: str) -> float | None:
    """The figure in a cell, if it is one."""
    try:
        return float(text.split(maxsplit=1)[0].replace(",", ""))
    except (ValueError, IndexError):
        return None


def lines(a: Rows, b: Rows) -> Iterator[str]:
    """The table, in Markdown: first, second and their ratio."""
    yield "| case | " + " | ".join(COLUMNS) + " | answers |"
    yield "|" + "---|" * (len(COLUMNS) + 2)
    for case in [case for case in a if case in b]:
        cells = []
        for column in COLUMNS:
            old, new = a[case].get(column, "-"), b[case].get(column, "-")
            x, y = number(old), number(new)
            cells.append(f"{old} → {new} ({y / x:.3f})" if x and y is not None else f"{old} → {new}")
        same = all(a[case].get(column) == b[case].get(column) for column in SAME)
        yield f"| {case} | {' | '.join(cells)} | {'the same' if same else 'DIFFER'} |"


def main() -> None:
    """Compare two commits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", metavar="COMMIT_A")
    parser.add_argument("second", metavar="COMMIT_B")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="of bench/run.py; default: digits")
    parser.add_argument(
        "--shared", type=Path, default=REPOSITORY.parent / "shared", help="folder of models and data"
    )
    options = parser.parse_args()
    commits = [git("rev-parse", "--verify", f"{name}^{{commit}}") for name in (options.first, options.second)]
    with tempfile.TemporaryDirectory(prefix="pulsefold-") as name:
        found = {}
        for commit in dict.fromkeys(commits):
            sys.stderr.write(f"running {commit[:10]}\n")
            found[commit] = results(commit, options.cases or ["digits"], options.shared.resolve(), Path(name))
    a, b = (found[commit] for commit in commits)
    sys.stdout.write(f"{commits[0][:10]} → {commits[1][:10]} (ratio)\n\n" + "\n".join(lines(a, b)) + "\n")
    if any(a[case].get(column) != b[case].get(column) for case in a for column in SAME if case in b):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

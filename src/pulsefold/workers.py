"""Who does the tasks of an exploration: processes of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from concurrent.futures import as_completed as local_as_completed
from contextlib import closing, suppress
from pathlib import Path

from pulsefold.boards.process import terminable
from pulsefold.errors import PulsefoldError, ToolMissingError
from pulsefold.points import Result, Task, perform_bytes

__all__ = ["done_by_dask", "done_locally"]

#: Times that a task is given out; its worker may be killed, as by a system out of memory.
_ATTEMPTS = 3

#: Seconds that a scheduler has to answer.
_PATIENCE_S = 20

Done = Generator[tuple[int, Result]]


def done_locally(tasks: Sequence[Task], model: Path, jobs: int) -> Done:
    """Number and result of each task as it is done, each in a process of its own, `jobs` of them at once."""
    running: set[subprocess.Popen[str]] = set()
    stop = threading.Event()

    def attempt(task: Task) -> Result:
        code = 0
        for _ in range(_ATTEMPTS):
            if stop.is_set():
                raise CancelledError
            process = subprocess.Popen(
                [sys.executable, "-m", "pulsefold.points", str(model), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                # Ctrl-C reaches only us, and we end them all.
                start_new_session=True,
            )
            running.add(process)
            out, err = process.communicate(json.dumps(task))
            running.discard(process)
            code = process.returncode
            if code == 0:
                return json.loads(out)
            if code > 0:
                return {"failure": f"the worker ended with code {code}: {err[-500:]}", "lasting": False}
        return {"failure": f"the worker was killed {_ATTEMPTS} times, by signal {-code}", "lasting": False}

    with terminable(), ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(attempt, task): n for n, task in enumerate(tasks)}
        try:
            for future in local_as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            # Each ends its tool before itself.
            for process in tuple(running):
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGTERM)
            raise


def done_by_dask(tasks: Sequence[Task], model: Path, address: str) -> Done:
    """The same by the workers of an existing cluster, which need this version of pulsefold and its tools.

    Dask gives the tasks of a worker that dies to another one.

    Raises
    ------
    ToolMissingError
        If Dask is not installed.
    PulsefoldError
        If no scheduler answers at `address`.
    """
    try:
        from distributed import Client, as_completed  # noqa: PLC0415
    except ImportError as error:
        raise ToolMissingError(
            "Dask is not installed", where="--dask", todo="pip install 'pulsefold[explore]'"
        ) from error
    try:
        client = Client(address, timeout=_PATIENCE_S, set_as_default=False)
    except (OSError, ValueError) as error:
        todo = "start one with: dask scheduler, and workers with: dask worker ADDRESS --nthreads 1"
        raise PulsefoldError(
            f"no Dask scheduler answers at {address}", where="--dask", why=str(error), todo=todo
        ) from error
    with closing(client):
        # A task and not data sent ahead: it can be done again where the worker that held it is gone.
        contents = client.submit(bytes, model.read_bytes(), pure=False)
        futures = {
            client.submit(perform_bytes, task, contents, pure=False): n for n, task in enumerate(tasks)
        }
        for future in as_completed(list(futures), loop=client.loop):
            error = future.exception()
            if error is None:
                yield futures[future], future.result()
            else:
                yield futures[future], {"failure": f"the worker failed: {error!r}"[:1000], "lasting": False}

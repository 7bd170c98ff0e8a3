"""A worker process of the server; it runs one task after another, by messages over a pipe.

A worker ends by itself when the server does, however that ends: the pipe then breaks. A task that
takes too long, or whose result nobody waits for any more, is killed together with its process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Final

from mechanical_ears.errors import EarsError
from mechanical_ears.workers import single_threaded_workers

EXIT_SECONDS: Final = 2.0  # s to wait for the exit code of a process
ReportProgress = Callable[[float], None]  # called with 0..1
Task = Callable[..., Any]  # a function of a module, run in a worker


class WorkerError(EarsError):
    """A worker has crashed or has exceeded its time limit."""


class Worker:
    """One process.

    Args:
        prepare: called first in the process, with ``arguments``; `wait_until_ready` returns its
            result.
        arguments: of ``prepare``.
    """

    def __init__(self, prepare: Task, *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, child_end = context.Pipe()
        process_arguments = (child_end, prepare, arguments)
        self._process = context.Process(target=_run_tasks, args=process_arguments, daemon=True)
        with single_threaded_workers():
            self._process.start()
        child_end.close()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid or 0

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return self._process.is_alive()

    def wait_until_ready(self) -> Any:
        """Wait for ``prepare`` and return its result.

        Raises:
            EarsError: what ``prepare`` raised.
        """
        return self._receive(None, None)

    def run(
        self,
        task: Task,
        *arguments: Any,
        max_seconds: float | None = None,
        on_progress: ReportProgress | None = None,
    ) -> Any:
        """Run a task and wait for its result.

        Args:
            task: a function that can be pickled; with ``on_progress`` its first argument is a
                `ReportProgress`.
            arguments: its other arguments.
            max_seconds: time limit in s; None for none.
            on_progress: called with the progress that the task reports.

        Raises:
            WorkerError: the process crashed, or was killed at the time limit.
            EarsError: what the task raised.
        """
        try:
            self._pipe.send((task, arguments, on_progress is not None))
        except OSError as error:
            raise self._crash_error() from error
        return self._receive(max_seconds, on_progress)

    def _receive(self, max_seconds: float | None, on_progress: ReportProgress | None) -> Any:
        while True:
            try:
                if max_seconds is not None and not self._pipe.poll(max_seconds):
                    self.kill()
                    problem = f"took more than {max_seconds:g} s and was stopped"
                    raise WorkerError(problem, remedy="try another one")
                kind, value = self._pipe.recv()
            except (EOFError, OSError) as error:
                raise self._crash_error() from error
            if kind == "progress":
                if on_progress is not None:
                    on_progress(value)
            elif kind == "error":
                raise value
            else:
                return value

    def _crash_error(self) -> WorkerError:
        self._process.join(EXIT_SECONDS)
        code = self._process.exitcode
        reason = f" (signal {-code})" if code is not None and code < 0 else ""
        problem = f"the worker process ended unexpectedly{reason}"
        return WorkerError(problem, remedy="try again; a new one has been started")

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.join()


def _run_tasks(pipe: Connection, prepare: Task, arguments: tuple[Any, ...]) -> None:
    """The main function of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server handles Ctrl-C
    _exit_with_parent()

    def report_progress(done: float) -> None:
        pipe.send(("progress", done))

    task = prepare
    while True:
        try:
            message = ("result", task(*arguments))
        except Exception as error:
            message = ("error", _picklable(error))
        try:
            pipe.send(message)
            task, arguments, wants_progress = pipe.recv()
        except (EOFError, OSError):
            return
        if wants_progress:
            arguments = (report_progress, *arguments)


def _picklable(error: Exception) -> EarsError:
    """An error to send through the pipe; other types may need modules that the server lacks."""
    return error if isinstance(error, EarsError) else EarsError(f"{type(error).__name__}: {error}")


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

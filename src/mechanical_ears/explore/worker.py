"""A process that works for the server: one task after another, by messages over a pipe.

It ends by itself when the server does, however that ends: then the pipe breaks. A task that takes
too long, or that nobody wants any more, is ended with its process.
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

PATIENCE: Final = 2.0  # s until the end of a process is known
Tell = Callable[[float], None]  # of progress, 0..1


class WorkerError(EarsError):
    """A worker that died, or that took too long."""


class Worker:
    """One process.

    Args:
        prepare: called in it at first, with ``arguments``; what it returns is `ready`.
        arguments: of that.
    """

    def __init__(self, prepare: Callable[..., Any], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_work, args=(theirs, prepare, arguments), daemon=True
        )
        with single_threaded_workers():
            self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid or 0

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self._process.is_alive()

    def ready(self) -> Any:
        """Wait until it is prepared.

        Raises:
            EarsError: it cannot be prepared.
        """
        return self._answer(None, None)

    def do(
        self,
        task: Callable[..., Any],
        *arguments: Any,
        limit: float | None = None,
        tell: Tell | None = None,
    ) -> Any:
        """Do a task and wait for its answer; a task that is told progress takes `Tell` first.

        Raises:
            WorkerError: the process died, or ran past the limit (and is ended).
            EarsError: what the task raised.
        """
        try:
            self._pipe.send((task, arguments, tell is not None))
        except OSError as error:
            raise self._died() from error
        return self._answer(limit, tell)

    def _answer(self, limit: float | None, tell: Tell | None) -> Any:
        while True:
            try:
                if limit is not None and not self._pipe.poll(limit):
                    self.end()
                    raise WorkerError(
                        f"took more than {limit:g} s and was stopped", remedy="try another one"
                    )
                kind, what = self._pipe.recv()
            except (EOFError, OSError) as error:
                raise self._died() from error
            if kind == "progress":
                if tell is not None:
                    tell(what)
            elif kind == "raised":
                raise what
            else:
                return what

    def _died(self) -> WorkerError:
        self._process.join(PATIENCE)
        code = self._process.exitcode
        told = f" (signal {-code})" if code is not None and code < 0 else ""
        return WorkerError(
            f"the process that rendered it ended unexpectedly{told}",
            remedy="try again; a new one has been started",
        )

    def end(self) -> None:
        """End the process; it holds nothing that would be lost."""
        self._process.kill()
        self._process.join()


def _work(pipe: Connection, prepare: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to answer
    _end_with_parent()

    def tell(done: float) -> None:
        pipe.send(("progress", done))

    task: Callable[..., Any] = prepare
    while True:
        try:
            answer = ("done", task(*arguments))
        except Exception as error:
            answer = ("raised", _told(error))
        try:
            pipe.send(answer)
            task, arguments, progress = pipe.recv()
        except (EOFError, OSError):
            return
        if progress:
            arguments = (tell, *arguments)


def _told(error: Exception) -> EarsError:
    """An error that can travel: anything else than ours would need its own modules over there."""
    return error if isinstance(error, EarsError) else EarsError(f"{type(error).__name__}: {error}")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

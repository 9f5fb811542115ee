"""A process that answers, and that can be ended in the midst of an answer."""

from __future__ import annotations

import gc
import json
import signal
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Lock
from time import monotonic

from contractconv.playground.answers import answer_json

# Seconds that an answer may take, and that it may take while somebody else waits.
LIMIT, PATIENCE = 20.0, 3.0


class Answering:
    """Answers one request after the other, each within a limit.

    Args:
        limit: seconds after which an answer is given up.
        patience: seconds that an answer has, once another is asked for.
    """

    def __init__(self, limit: float = LIMIT, patience: float = PATIENCE) -> None:
        self.limit, self.patience = limit, patience
        self._lock = Lock()
        self._asked = 0
        self._start()

    def ask(self, request: str) -> str:
        """Answer a request in JSON; one that takes too long, or is outdated, has ``failed``."""
        self._asked += 1
        mine = self._asked
        with self._lock:
            try:
                self._pipe.send(request)
                if self._came(monotonic(), mine):
                    return str(self._pipe.recv())
                reason = "This takes too long, so it was stopped."
            except (EOFError, OSError):
                reason = "The process that answers has ended; it was started again."
            self._restart()
            return json.dumps({"failed": reason})

    def _came(self, begin: float, mine: int) -> bool:
        """Wait for an answer, but not for long if it is not the one that is asked for."""
        while not self._pipe.poll(0.05):
            limit = self.limit if self._asked == mine else self.patience
            if monotonic() - begin > limit:
                return False
        return True

    def _start(self) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=_answer_all, args=(theirs,), daemon=True
        )
        self._process.start()
        theirs.close()

    def _restart(self) -> None:
        self.close()
        self._start()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _answer_all(pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who is interrupted is the server, which ends us
    answer_json(json.dumps({"spec": "b (2*i+k), k -> b i", "shapes": ["1x8", "3"]}))  # warm
    gc.freeze()  # what is there now is never looked through again
    while True:
        try:
            pipe.send(answer_json(pipe.recv()))
        except (EOFError, OSError):
            return

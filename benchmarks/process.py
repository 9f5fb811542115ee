"""The other end of a worker's pipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.layers import Measurement, to_json
from benchmarks.peers import Peer

ROOT = Path(__file__).resolve().parent.parent


class MissingPeerError(Exception):
    """A library is not installed."""


class PeerProcess:
    """A peer in a process of its own.

    Args:
        peer: how it is run.
        threads: how many threads, and cores, it may use.
        environment: further variables of the process.

    Raises:
        MissingPeerError: the library cannot be imported.
    """

    def __init__(self, peer: Peer, threads: int, environment: dict[str, str] | None = None) -> None:
        options = json.dumps(dict(peer.options))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", peer.module, str(threads), options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **pools(threads), **peer.environment, **(environment or {})},
        )
        hello = self._answer()
        if "version" not in hello:
            self.close()
            raise MissingPeerError(hello.get("missing") or hello["error"])
        self.version: str = hello["version"]
        self.pid = self._process.pid

    def time(self, measurement: Measurement, seconds: float, save: Path) -> dict[str, Any]:
        """Ask for the time of a call.

        Returns:
            What `probes.timed` says; nothing if the peer has no such operation; an `error`.
        """
        return self._ask(measurement, ask="time", seconds=seconds, save=str(save))

    def memory(self, measurement: Measurement, tiny: Measurement) -> dict[str, Any]:
        """Ask for the `bytes` that the first and the second call take beyond the result."""
        return self._ask(measurement, ask="memory", tiny=to_json(tiny))

    @property
    def alive(self) -> bool:
        """Whether it can still be asked."""
        return self._process.poll() is None

    def _ask(self, measurement: Measurement, **question: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        line = json.dumps({"measurement": to_json(measurement), **question})
        with suppress(BrokenPipeError):  # it has died: there will be no answer either
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            return {"error": f"the process ended with status {self._process.wait()}"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Let the process end; one that does not, by itself, is killed."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> PeerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def pools(threads: int) -> dict[str, str]:
    """What libraries read when they are loaded: how many threads there are.

    How threads wait is left to each library: waiting passively costs torch half of its speed on
    small layers. Instead there is a pause before each timing.
    """
    names = ("OMP", "OPENBLAS", "MKL", "NUMBA")
    return {f"{name}_NUM_THREADS": str(threads) for name in names} | {"PJRT_NPROC": str(threads)}

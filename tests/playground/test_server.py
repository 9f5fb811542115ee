"""The page on the loopback: for its own pages alone, answered within limits, ended by Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from threading import Thread, Timer

import pytest

from contractconv.errors import ContractionError
from contractconv.playground.answers import answer_json
from contractconv.playground.process import Answering
from contractconv.playground.server import server

JSON = {"Content-Type": "application/json"}
ASKED = json.dumps({"spec": "b i, i o -> b o"})
SLOW = json.dumps({"spec": "b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o", "card": 0,
                   "panel": "certificate"})  # fmt: skip


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where the page is served."""
    with server(answer_json) as served:
        thread = Thread(target=served.serve_forever)
        thread.start()
        yield served.server_port
        served.shutdown()
        thread.join()


def asked(
    port: int, method: str, path: str, body: str | None = None, **headers: str
) -> tuple[HTTPResponse, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response, text


def test_the_page_and_its_files_are_served(port: int) -> None:
    response, page = asked(port, "GET", "/")
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    for name in re.findall(r'(?:src|href)="([\w.]+)"', page):
        assert asked(port, "GET", f"/{name}")[0].status == 200


def test_what_is_asked_is_answered(port: int) -> None:
    response, text = asked(port, "POST", "/answer", ASKED, **JSON)
    assert response.status == 200
    assert len(json.loads(text)["cards"]) == 3


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/answer", JSON | {"Host": "example.org"}, 403),
        ("/answer", JSON | {"Origin": "http://example.org"}, 403),
        ("/answer", JSON | {"Origin": "null"}, 403),
        ("/answer", {"Content-Type": "text/plain"}, 415),
        ("/answer", JSON | {"Content-Length": "99999999"}, 413),
        ("/answer", JSON | {"Content-Length": "-1"}, 413),
        ("/elsewhere", JSON, 404),
    ],
)
def test_strangers_are_refused(port: int, path: str, headers: dict[str, str], status: int) -> None:
    response, text = asked(port, "POST", path, ASKED, **headers)
    assert response.status == status
    assert "cards" not in text


@pytest.mark.parametrize("path", ["/../server.py", "/static/served.js", "/%2e%2e/page.py"])
def test_no_other_file_is_served(port: int, path: str) -> None:
    assert asked(port, "GET", path)[0].status == 404


def test_another_host_sees_no_page(port: int) -> None:
    assert asked(port, "GET", "/", Host=f"example.org:{port}")[0].status == 403


def test_an_answer_that_takes_too_long_is_stopped() -> None:
    answering = Answering(limit=0.0)
    try:
        assert "too long" in json.loads(answering.ask(SLOW))["failed"]
        answering.limit = 60.0
        assert len(json.loads(answering.ask(ASKED))["cards"]) == 3
    finally:
        answering.close()


def test_who_waits_does_not_wait_for_what_is_outdated() -> None:
    answering = Answering(limit=600.0, patience=0.0)
    answers: list[str] = []
    first = Thread(target=lambda: answers.append(answering.ask(SLOW)))
    try:
        first.start()
        while not answering._lock.locked():
            pass
        assert len(json.loads(answering.ask(ASKED))["cards"]) == 3
        first.join()
        assert "too long" in json.loads(answers[0])["failed"]
    finally:
        answering.close()


def test_a_process_that_ended_is_started_again() -> None:
    answering = Answering()
    try:
        answering._process.kill()
        assert "ended" in json.loads(answering.ask(ASKED))["failed"]
        assert len(json.loads(answering.ask(ASKED))["cards"]) == 3
    finally:
        answering.close()


# As a terminal starts it: who starts tests in the background may have them ignore interrupts.
PLAY = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from contractconv.cli import main
raise SystemExit(main(["play", "i -> i", "--no-browser"]))
"""


def test_the_command_serves_until_it_is_interrupted() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PLAY], stdout=subprocess.PIPE, text=True
    ) as process:
        # Whatever fails, what serves does not outlive the test, which would wait for it.
        ending = Timer(120, process.kill)
        ending.start()
        assert process.stdout is not None
        told = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/(#\S+)", told)
        assert found is not None, told
        assert found[2] == "#spec=i%20-%3E%20i"
        _, text = asked(int(found[1]), "POST", "/answer", ASKED, **JSON)
        assert len(json.loads(text)["cards"]) == 3
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        ending.cancel()


def test_a_port_that_cannot_be_had_is_an_error_of_ours(port: int) -> None:
    for wanted in (port, 1 << 20):
        with pytest.raises(ContractionError, match=f"port {wanted} cannot be had"):
            server(answer_json, wanted)

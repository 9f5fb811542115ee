"""The page on this machine: served on the loopback, to this machine's browser alone."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from contractconv.errors import ContractionError
from contractconv.notices import write
from contractconv.playground.page import SERVED, page_files
from contractconv.playground.process import Answering

_HOST = "127.0.0.1"
_LARGEST = 1 << 16  # bytes of a request
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}


def play(fragment: str = "", port: int = 0, browser: bool = True) -> None:
    """Serve the page until the keyboard interrupts.

    Args:
        fragment: what stands behind the address: ``"#spec=..."``.
        port: where; any free one by default.
        browser: whether to open the page.

    Raises:
        ContractionError: the port cannot be had.
    """
    answering = Answering()
    try:
        with server(answering.ask, port) as served:
            _serve(served, fragment, browser)
    finally:
        answering.close()


def _serve(served: ThreadingHTTPServer, fragment: str, browser: bool) -> None:
    address = f"http://{_HOST}:{served.server_port}/{fragment}"
    print(f"the playground is at {address} (Ctrl-C ends it)", flush=True)
    if browser and not webbrowser.open(address):
        write("contractconv: no browser could be opened: open the address in one\n")
    try:
        served.serve_forever()
    except KeyboardInterrupt:
        print()


def server(ask: Callable[[str], str], port: int = 0) -> ThreadingHTTPServer:
    """A server of the page on the loopback.

    Args:
        ask: answers a request in JSON.
        port: where; any free one by default.
    """
    handler = partial(_Handler, page_files(SERVED), ask)
    try:
        served = ThreadingHTTPServer((_HOST, port), handler)
    except (OSError, OverflowError) as error:
        raise ContractionError(
            f"port {port} cannot be had: {error}; without one, any free is taken"
        ) from None
    served.daemon_threads = True
    return served


class _Handler(BaseHTTPRequestHandler):
    """Hands out the page's files, and answers.

    Pages of strangers are open in the same browser: a request that names another host, as a name
    that was bound to this address does, or comes from another page, is refused.
    """

    server: ThreadingHTTPServer

    def __init__(self, files: Mapping[str, bytes], ask: Callable[[str], str], *given: Any) -> None:
        self._files, self._ask = files, ask
        super().__init__(*given)

    def do_GET(self) -> None:
        """Hand out a file."""
        name = self.path.partition("?")[0].removeprefix("/") or "index.html"
        if not self._is_ours():
            self._refuse(HTTPStatus.FORBIDDEN)
        elif name in self._files:
            self._send(self._files[name], _TYPES[name.rpartition(".")[2]])
        else:
            self._refuse(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """Answer a request."""
        length = self.headers.get("Content-Length", "")
        if not self._is_ours():
            self._refuse(HTTPStatus.FORBIDDEN)
        elif self.path != "/answer":
            self._refuse(HTTPStatus.NOT_FOUND)
        elif self.headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        elif not (length.isascii() and length.isdecimal() and int(length) <= _LARGEST):
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            request = self.rfile.read(int(length)).decode(errors="replace")
            self._send(self._ask(request).encode(), "application/json")

    def _is_ours(self) -> bool:
        hosts = [f"{name}:{self.server.server_port}" for name in (_HOST, "localhost")]
        origin = self.headers.get("Origin")
        known = origin is None or origin.removeprefix("http://") in hosts
        return known and self.headers.get("Host") in hosts

    def _refuse(self, status: HTTPStatus) -> None:
        self.close_connection = True  # what else was sent is not read
        self._send(status.phrase.encode(), "text/plain", status)

    def _send(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """A terminal is no log."""

"""A local HTTP server that speaks the J-Quants wire format, and misbehaves by plan."""

import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.model.daily_quotes.jquants.market import FakeMarket, Row

KEY = "fake-key-4f9a1c77-do-not-print"
NOT_IN_PLAN = "This API is not available on your subscription."
REJECTED = "The incoming token is invalid or expired."


@dataclass
class Fault:
    """What goes wrong with the next ``times`` requests whose path ends with ``path`` (and whose date is ``date``)."""

    kind: str
    path: str = ""
    times: int = 1
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "Internal Server Error"
    seconds: float = 0.0
    date: str = ""
    body: bytes = b""


@dataclass
class Request:
    """One request as it arrived."""

    path: str
    query: dict[str, str]
    key: str | None


class JQuantsServer:
    """Answers from a market; ``faults`` are used up in order.

    Args:
        page_size: rows a page; more rows come with a ``pagination_key``.
        lacks: path endings that the plan does not have.
        window: first and last day that the plan covers, as the server words them.
    """

    def __init__(self, market: FakeMarket, page_size: int = 1000) -> None:
        self.market, self.page_size = market, page_size
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.lacks: tuple[str, ...] = ()
        self.lacks_message = NOT_IN_PLAN
        self.window: tuple[str, str] | None = None
        self.key = KEY
        self.expires_after: int | None = None
        self.expired_message = REJECTED
        self.shuffle: Callable[[list[Row]], list[Row]] = lambda rows: rows
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # head and body leave together

            def do_GET(self) -> None:
                server.handle(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v2"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def asked(self, ending: str) -> list[dict[str, str]]:
        """The queries that an endpoint was asked with."""
        return [request.query for request in self.requests if request.path.endswith(ending)]

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        path, query = parts.path.removeprefix("/v2"), dict(parse_qsl(parts.query))
        key = handler.headers.get("x-api-key")
        self.requests.append(Request(path, query, key))
        fault = self._fault(path, query)
        if fault is not None and fault.kind == "close":
            _hang_up(handler)
            return
        if fault is not None and fault.kind == "slow":
            time.sleep(fault.seconds)
        if fault is not None and fault.kind == "status":
            _send(handler, fault.status, {"message": fault.message}, fault.headers)
            return
        if fault is not None and fault.kind in ("trickle", "trickle_head"):
            _trickle(handler, fault.seconds, head=fault.kind == "trickle_head")
            return
        if fault is not None and fault.kind == "body":
            _send_bytes(handler, 200, fault.body)
            return
        status, document = self._document(path, query, key, fault)
        _send(handler, status, document, cut=fault is not None and fault.kind == "cut")

    def _fault(self, path: str, query: dict[str, str]) -> Fault | None:
        for fault in self.faults:
            if fault.times and path.endswith(fault.path) and fault.date in ("", query.get("date")):
                fault.times -= 1
                return fault
        return None

    def _document(
        self, path: str, query: dict[str, str], key: str | None, fault: Fault | None
    ) -> tuple[int, dict[str, Any]]:
        expired = self.expires_after is not None and len(self.requests) > self.expires_after
        if key != self.key or expired:
            return 403, {"message": self.expired_message}
        if path.endswith(self.lacks) and self.lacks:
            return 403, {"message": self.lacks_message}
        if self.window is not None and not self._covered(query):
            first, last = self.window
            return 400, {
                "message": f"Your subscription covers the following dates: {first} ~ {last}. If you want more data, "
                "please check other plans: https://jpx-jquants.com/"
            }
        rows = self.shuffle(self.market.answer(path, query))
        start = int(query.get("pagination_key", "0"))
        page = rows[start : start + self.page_size]
        document: dict[str, Any] = {"data": page}
        if fault is not None and fault.kind == "repeat" and start:
            document = {"data": rows[:start], "pagination_key": str(start)}  # the page before, once more
        elif fault is not None and fault.kind == "endless":
            document = {"data": rows[: self.page_size], "pagination_key": str(len(self.requests))}
        elif start + self.page_size < len(rows):
            document["pagination_key"] = str(start + self.page_size)
        return 200, document

    def _covered(self, query: dict[str, str]) -> bool:
        assert self.window is not None
        first, last = self.window
        low, high = query.get("date", query.get("from", "")), query.get("date", query.get("to", ""))
        return low >= first and (not last or high <= last)


def _send(
    handler: BaseHTTPRequestHandler,
    status: int,
    document: dict[str, Any],
    headers: dict[str, str] | None = None,
    cut: bool = False,
) -> None:
    _send_bytes(handler, status, json.dumps(document, ensure_ascii=False).encode(), headers, cut)


def _send_bytes(
    handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None, cut: bool = False
) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2] if cut else body)
    if cut:
        handler.wfile.flush()
        _hang_up(handler)


def _trickle(handler: BaseHTTPRequestHandler, pause: float, head: bool) -> None:
    """A right answer, one byte at a time: from its first byte on, or from that of its body."""
    body = b'{"data": []}' + b" " * 40
    start = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    whole = b"".join((start, body))
    at_once = 0 if head else len(start)
    handler.close_connection = True
    try:
        handler.connection.sendall(whole[:at_once])
        for place in range(at_once, len(whole)):
            handler.connection.sendall(whole[place : place + 1])
            time.sleep(pause)
    except OSError:  # whoever asked has had enough
        return


def _hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)

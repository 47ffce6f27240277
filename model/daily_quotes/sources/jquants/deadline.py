"""A deadline for a whole answer.

Time-outs of the HTTP library count from one byte to the next, so a server that sends a byte now and then is never
given up. Here a second thread waits for the deadline and shuts the sockets; whoever reads from one then stops at once.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from threading import Event, Thread
from typing import Any
from weakref import WeakSet

import requests
from requests.adapters import HTTPAdapter

_AGAIN = 0.1
"""Seconds until the sockets are shut again after a deadline: one may have been opened just then."""


class DeadlineAdapter(HTTPAdapter):
    """Repeats nothing by itself, and knows its connections, so that they can be cut."""

    def __init__(self) -> None:
        self._pools: WeakSet[Any] = WeakSet()
        self._connections: WeakSet[Any] = WeakSet()
        super().__init__(max_retries=0)

    def get_connection_with_tls_context(self, *args: Any, **keys: Any) -> Any:
        """The pool of an address; what it opens from now on is known here."""
        pool = super().get_connection_with_tls_context(*args, **keys)
        if pool not in self._pools:
            self._pools.add(pool)
            opened = pool.ConnectionCls

            def known(*args: Any, **keys: Any) -> Any:
                connection = opened(*args, **keys)
                self._connections.add(connection)
                return connection

            pool.ConnectionCls = known
        return pool

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """What is sent and read inside ends after so many seconds.

        Raises:
            requests.Timeout: it did not end before.
        """
        done, late = Event(), Event()

        def watch() -> None:
            pause = seconds
            while not done.wait(pause):
                late.set()
                self._cut()
                pause = _AGAIN

        Thread(target=watch, daemon=True).start()
        try:
            yield
        except (OSError, HTTPException):  # those of requests among them
            if late.is_set():
                raise requests.Timeout from None
            raise
        finally:
            done.set()
        if late.is_set():  # a socket that is shut reads like an answer that has ended
            raise requests.Timeout

    def _cut(self) -> None:
        for connection in list(self._connections):
            channel = getattr(connection.sock, "socket", connection.sock)  # inside a proxy's tunnel it is wrapped
            try:
                # Not the method of a TLS socket, which would read its state away from under whoever waits for it.
                socket.socket.shutdown(channel, socket.SHUT_RDWR)
            except (OSError, TypeError):  # closed already, or never opened
                continue

"""One time limit for a whole HTTP request: name, connection, handshake, headers and body.

The timeouts of requests count from byte to byte, so a peer that sends a letter a second is never late. Here a timer
shuts the connections that the request uses, whatever is being read from them.

>>> with TimeLimit(60) as limit:
...     limit.is_over
False
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

    from requests.adapters import HTTPAdapter

_running = threading.local()


class TimeLimit:
    """Ends the requests that this thread makes through a `limited_adapter` inside of it, when its time is over."""

    def __init__(self, seconds: float) -> None:
        """Begin to count when it is entered."""
        self.is_over = False
        self._lock = threading.Lock()
        self._used: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        """Begin."""
        _running.limit = self
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it: connections are left alone from now on."""
        _running.limit = None
        with self._lock:
            self._timer.cancel()
            self._used.clear()

    def watch(self, connection: socket.socket) -> None:
        """Shut *connection* too when the time is over."""
        with self._lock:
            self._used.append(connection)
            is_over = self.is_over
        if is_over:
            _shut(connection)

    def _end(self) -> None:
        with self._lock:
            self.is_over = True
            for connection in self._used:
                _shut(connection)


def limited_adapter(**settings: Any) -> HTTPAdapter:  # noqa: ANN401  (those of HTTPAdapter)
    """Return a transport adapter for requests whose connections obey the `TimeLimit` around a request."""
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    class Limited:
        """Keeps a handle of its own on the connection: TLS takes the first one over."""

        _handle: socket.socket | None = None

        def _new_conn(self) -> socket.socket:
            made: socket.socket = super()._new_conn()  # type: ignore[misc]
            self._let_go()
            self._handle = made.dup()
            self._watch()
            return made

        def putrequest(self, *words: Any, **options: Any) -> None:  # noqa: ANN401
            self._watch()
            super().putrequest(*words, **options)  # type: ignore[misc]

        def close(self) -> None:
            super().close()  # type: ignore[misc]
            self._let_go()

        def _watch(self) -> None:
            limit: TimeLimit | None = getattr(_running, "limit", None)
            if limit is not None and self._handle is not None:
                limit.watch(self._handle)

        def _let_go(self) -> None:
            if self._handle is not None:
                self._handle.close()
                self._handle = None

    class LimitedHttp(Limited, HTTPConnection):
        pass

    class LimitedHttps(Limited, HTTPSConnection):
        pass

    class HttpPool(HTTPConnectionPool):
        ConnectionCls = LimitedHttp

    class HttpsPool(HTTPSConnectionPool):
        ConnectionCls = LimitedHttps

    pools = {"http": HttpPool, "https": HttpsPool}

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *words: Any, **options: Any) -> None:  # noqa: ANN401
            super().init_poolmanager(*words, **options)
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, proxy: str, **options: Any) -> Any:  # noqa: ANN401
            manager = super().proxy_manager_for(proxy, **options)
            manager.pool_classes_by_scheme = pools
            return manager

    return Adapter(**settings)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)

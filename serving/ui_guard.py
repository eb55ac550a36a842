"""What a browser may ask of the MLflow UI: its own pages everything, pages from elsewhere nothing.

MLflow lets every page of this machine, whatever its port, read and change the runs. A notebook that was opened, or a
report that some other program serves, is such a page. Here an origin is the whole of it: scheme, name and port.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Set by `mlflow server --cors-allowed-origins`.
ORIGINS_VARIABLE = "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"
_REFUSED = b"Refused: this page is not of the MLflow UI.\n"


def is_allowed(headers: Mapping[bytes, bytes], origins: frozenset[bytes], *, method: str = "GET") -> bool:
    """Whether a request comes from a page of the UI, from the address bar, or from no page at all.

    Parameters
    ----------
    headers : mapping of bytes to bytes
        By lower-case name.
    origins : frozenset of bytes
        Exact origins of the UI.
    method : str

    Returns
    -------
    bool
    """
    origin = headers.get(b"origin")
    if origin is not None:
        return origin in origins
    # A page from elsewhere that asks for an image or a script tells no origin, but browsers tell what it is.
    if headers.get(b"sec-fetch-site", b"none") in (b"none", b"same-origin"):
        return True
    followed = headers.get(b"sec-fetch-mode") == b"navigate" and headers.get(b"sec-fetch-dest") == b"document"
    return followed and method == "GET"


class OriginGuard:
    """Refuses what a page from elsewhere asks, before MLflow sees it.

    Parameters
    ----------
    inner : callable
        ASGI application.
    origins : frozenset of bytes
        Exact origins of the UI; none: only requests without an origin pass.
    """

    def __init__(self, inner: Application, origins: frozenset[bytes]) -> None:
        self._inner, self._origins = inner, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        Parameters
        ----------
        scope, receive, send
            As ASGI gives them.
        """
        if scope["type"] == "lifespan" or self._allows(scope):
            await self._inner(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            kind = [(b"content-type", b"text/plain"), (b"x-content-type-options", b"nosniff")]
            await send({"type": "http.response.start", "status": 403, "headers": kind})
            await send({"type": "http.response.body", "body": _REFUSED})

    def _allows(self, scope: Scope) -> bool:
        pairs = [(bytes(name).lower(), bytes(value)) for name, value in scope["headers"]]
        if sum(name == b"origin" for name, _ in pairs) > 1:
            return False
        return is_allowed(dict(pairs), self._origins, method=scope.get("method", "GET"))


def _application() -> Application:
    from mlflow.server.fastapi_app import app

    named = os.environ.get(ORIGINS_VARIABLE, "").split(",")
    return OriginGuard(app, frozenset(origin.strip().encode() for origin in named if origin.strip()))


def __getattr__(name: str) -> Application:
    """Give the application to uvicorn, which alone needs MLflow's server loaded.

    Parameters
    ----------
    name : str

    Returns
    -------
    callable
    """
    if name != "application":
        raise AttributeError(name)
    return _application()

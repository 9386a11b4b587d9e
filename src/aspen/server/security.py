"""Who may ask: checks made before anything of a request is read but its head.

A server on loopback is reached by every page that the same browser shows. Names are checked against DNS rebinding
(a foreign name that resolves to this machine), origins against requests that other pages make; a token keeps out who
is on the network, or on this machine as another user.
"""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aspen.server.problems import Refused
from aspen.server.settings import ServerSettings

API = "/api/"
OPEN_PATH = "/api/v1/live"
"""Answers without a token, and has nothing to tell."""
_MOST_CLIENTS = 10_000
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "font-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_ALWAYS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class SafeHeaders:
    """Puts the headers on every response that keep a page from running what a memory says."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        added = safe_headers(scope["path"])
        names = {name for name, _ in added}

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message["headers"] if pair[0].lower() not in names]
                message = {**message, "headers": [*kept, *added]}
            await send(message)

        await self._app(scope, receive, send_with_headers)


def safe_headers(path: str) -> list[tuple[bytes, bytes]]:
    """What stands on every response at this path."""
    added = _ALWAYS | ({"cache-control": "no-store"} if path.startswith(API) else {})
    return [(name.encode(), value.encode()) for name, value in added.items()]


class Guard:
    """Lets a request through, or answers it with a problem: 400, 401, 403, 421 or 429."""

    def __init__(self, app: ASGIApp, *, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings
        self._rate = RateLimit(rate=settings.rate, burst=settings.burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI. There are no web sockets here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] == "http":
            try:
                answer = self._checked(scope)
            except Refused as refused:
                answer = refused.response()
            await (answer or self._app)(scope, receive, send)

    def _checked(self, scope: Scope) -> Response | None:
        """None where the request may go on; a response of its own where it brought the token. Raises Refused."""
        headers = Headers(scope=scope)
        host = self._check_host(headers)
        _check_origin(headers, host=host)
        self._rate.take((scope.get("client") or ("", 0))[0])
        if self._settings.token is None or scope["path"] == OPEN_PATH:
            return None
        return self._check_token(scope, headers, token=self._settings.token)

    def _check_host(self, headers: Headers) -> str:
        """The Host header."""
        given = headers.getlist("host")
        if len(given) != 1:
            raise Refused(
                400, error="BadHost", detail=f"A request has one Host header, this one has {len(given)}."
            )
        name, port = _split_host(given[0])
        if name is None or not (port == "" or port.isdecimal()):
            raise Refused(400, error="BadHost", detail="The Host header is no name with a port.")
        if name.lower() not in self._settings.hosts:
            raise Refused(
                421,
                error="ForeignHost",
                detail="This server does not go by the name in the Host header.",
                hint=f"It goes by {', '.join(sorted(self._settings.hosts))}. Add one (`aspen serve --allow-host`).",
            )
        return given[0].lower()

    def _check_token(self, scope: Scope, headers: Headers, *, token: str) -> Response | None:
        name = cookie_name(self._settings.port)
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(given.strip(), token):
            return None
        if _same(_cookie(headers, name), token):
            return None
        if scope["method"] == "GET" and not scope["path"].startswith(API):
            query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
            if _same(query.get("token", ""), token):
                # Out of the address at once: addresses are kept in histories and shown on screens.
                # One slash: after two a browser reads the name of another server.
                answer = RedirectResponse(f"/{scope['path'].lstrip('/')}", status_code=303)
                answer.set_cookie(name, token, httponly=True, samesite="strict", path="/")
                return answer
        raise Refused(
            401,
            error="TokenMissing",
            detail="This server asks for the token that it printed when it started.",
            hint="Open the address with ?token= that it printed, or send `Authorization: Bearer TOKEN`.",
            headers={"WWW-Authenticate": 'Bearer realm="aspen"'},
        )


class RateLimit:
    """A bucket of tokens for each client: `burst` at most, refilled at `rate` a second."""

    def __init__(self, *, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, burst
        self._buckets: OrderedDict[str, tuple[float, float]] = (
            OrderedDict()
        )  # what is left, and when that was

    def take(self, client: str) -> None:
        """Count one request of a client; Refused with 429 where it made too many."""
        now = time.monotonic()
        left, then = self._buckets.pop(client, (float(self._burst), now))
        left = min(self._burst, left + (now - then) * self._rate)
        if left >= 1:
            left -= 1
            refused = False
        else:
            refused = True
        self._buckets[client] = (left, now)
        while len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)
        if refused:
            raise Refused(
                429,
                error="TooManyRequests",
                detail=f"A client may make {self._rate:g} requests a second, and {self._burst} at once.",
                hint="Try again in a second.",
                headers={"Retry-After": "1"},
            )


def cookie_name(port: int) -> str:
    """Of the cookie with the token. Cookies go to all ports of a host; each server has one of its own."""
    return f"aspen-token-{port}"


def _check_origin(headers: Headers, *, host: str) -> None:
    """Refused with 403 where another page than the server's own asks.

    Another port of this machine is the same site, but not the same origin; `none` is an address that a person opened.
    """
    if headers.get("sec-fetch-site", "none").lower() not in ("same-origin", "none"):
        raise Refused(
            403,
            error="ForeignPage",
            detail="Another page made this request.",
            hint="Open the address of this server by itself.",
        )
    origin = headers.get("origin")
    # The port has to be the same, too: what else listens on this machine is another's.
    if origin is not None and _netloc(origin) != host:
        raise Refused(
            403,
            error="ForeignOrigin",
            detail="The Origin header names another server.",
            hint="Only the page that this server itself shows may ask from a browser.",
        )


def _netloc(origin: str) -> str:
    """Name and port of an origin; empty where it has none."""
    try:
        return urlsplit(origin.lower()).netloc
    except ValueError:
        return ""


def _split_host(header: str) -> tuple[str | None, str]:
    """Name and port of a Host header, the port without its colon; None where it is none."""
    if header.startswith("["):
        name, bracket, rest = header.partition("]")
        valid = bracket and (not rest or rest.startswith(":"))
        return (f"{name}]", rest[1:]) if valid else (None, "")
    name, _, port = header.partition(":")
    return name or None, port


def _cookie(headers: Headers, name: str) -> str:
    # One by one: a cookie of something else on this machine that is written otherwise must not hide ours.
    return cookie_parser(headers.get("cookie", "")).get(name, "")


def _same(given: str, token: str) -> bool:
    """Whether a client knows the token, in a time that does not tell how much of it."""
    return hmac.compare_digest(given.encode(), token.encode())

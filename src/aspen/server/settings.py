"""What a server is told when it starts: where it listens, who may ask, and how much."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Collection
from dataclasses import dataclass

from aspen.errors import InvalidInput

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""What a browser on this machine calls it, as it stands in a Host header."""
DEFAULT_PORT = 8420
MEBIBYTE = 2**20
_NAME_LENGTH = 253
_TOKEN_BYTES = 24


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where a server listens and what it lets in.

    hosts: names that a Host header may have, lower case, without port. token: what a client has to know, None for
    nothing. Sizes in bytes, times in seconds. rate: requests a second of one client, on average, of which `burst` may
    come at once. waiting: generations that may wait for the one that runs. head_seconds: most that the head of a
    request may take to come. request_seconds: most that its body may, and the time before its response begins;
    generation_seconds where a model writes or a file is sent. grace_seconds: most that a stop waits for what is under
    way.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    hosts: frozenset[str] = LOOPBACK_NAMES
    token: str | None = None
    body_limit: int = MEBIBYTE
    import_limit: int = 256 * MEBIBYTE
    rate: float = 200.0
    burst: int = 400
    waiting: int = 32
    head_seconds: float = 20.0
    request_seconds: float = 60.0
    generation_seconds: float = 600.0
    grace_seconds: float = 30.0


def settings_for(
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    allow_hosts: Collection[str] = (),
    rate: float = 200.0,
) -> ServerSettings:
    """Settings for an address to listen on; with a new token where others than this machine can reach it.

    `allow_hosts` are further names under which clients may ask for it; `rate` as in the settings, with twice as many at
    once. InvalidInput for what is no name, port or rate.
    """
    if isinstance(port, bool) or not 0 <= port <= 65_535:
        raise InvalidInput(f"A port lies in [0, 65535], got {port}.", hint="0 takes a free one.", port=port)
    if not 1 <= rate <= 1_000_000:
        raise InvalidInput(f"A rate lies in [1, 1,000,000] requests a second, got {rate:g}.", rate=rate)
    names = set(map(host_name, allow_hosts))
    if not _is_wildcard(host):
        names.add(host_name(host))
    token = None if is_loopback(host) else secrets.token_urlsafe(_TOKEN_BYTES)
    return ServerSettings(
        host=host,
        port=port,
        hosts=LOOPBACK_NAMES | names,
        token=token,
        rate=rate,
        burst=int(2 * rate),
    )


def host_name(name: str) -> str:
    """A name or address as it stands in a Host header: lower case, IPv6 in brackets. InvalidInput for others."""
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        plain = all(part.replace("-", "").replace("_", "").isalnum() for part in name.split("."))
        if not (name.isascii() and plain and len(name) <= _NAME_LENGTH):
            raise InvalidInput(
                f"{name!r} is no host name.", hint="Write a name or an address, without scheme and port."
            ) from None
        return name.lower()
    return f"[{address}]" if address.version == 6 else str(address)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_wildcard(host: str) -> bool:
    """Whether it stands for all addresses of the machine, and so is no name that a client uses."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return False

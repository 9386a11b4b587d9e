"""Reads a URL: which database, which tenant, and how to name both without the password."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from aspen.errors import InvalidInput
from aspen.repository._incoming import findable

SCHEMES = ("postgresql", "postgres")
DEFAULT_TENANT = "default"
MAX_TENANT_LENGTH = 100
"""Longest tenant, in characters."""

_TENANT = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._@:-]{{0,{MAX_TENANT_LENGTH - 1}}}")
_SECRETS = ("password", "sslpassword")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store lives. `conninfo` may hold a password, `location` never does."""

    conninfo: str = field(repr=False)
    tenant: str
    location: str


def read_address(url: str) -> Address:
    """A URL as libpq takes it, and `tenant` as one more parameter; InvalidInput otherwise.

    The password is in no message.
    """
    before, _, query = url.partition("?")
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    tenant = _checked_tenant([unquote(value) for name, _, value in pairs if name == "tenant"])
    kept = [pair for pair in pairs if pair[0] != "tenant"]
    conninfo = _joined(before, kept)
    try:
        host = str(conninfo_to_dict(conninfo).get("host", ""))
        parts = urlsplit(before)
    except (ProgrammingError, ValueError):  # not chained: libpq's error quotes the URL
        parts = None
    if parts is None or "@" in host or not findable(url):
        raise InvalidInput(
            "The URL of the Postgres database cannot be read.",
            hint="Write postgresql://user:password@host:5432/database?tenant=name, with %40 for an @, %2F for a / and "
            "%20 for a blank in the password.",
        )
    user, at, hosts = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    shown = [(key, "=", "***") if key in _SECRETS else (key, "=", value) for key, _, value in kept]
    if tenant != DEFAULT_TENANT:
        shown.append(("tenant", "=", tenant))
    location = _joined(f"{parts.scheme}://{name}{colon and ':***'}{at}{hosts}{parts.path}", shown)
    return Address(conninfo, tenant, location)


def _joined(before: str, pairs: list[tuple[str, str, str]]) -> str:
    return f"{before}?{'&'.join(map(''.join, pairs))}" if pairs else before


def _checked_tenant(given: list[str]) -> str:
    if not given:
        return DEFAULT_TENANT
    if len(given) > 1 or not _TENANT.fullmatch(given[0]):
        raise InvalidInput(
            f"A tenant is 1 to {MAX_TENANT_LENGTH} letters, digits and . _ @ : -, the first a letter or a digit; got "
            f"{' and '.join(map(repr, given))}.",
            hint="Name one tenant in the URL: ?tenant=name, or none for the tenant 'default'.",
            tenant=given[0],
        )
    return given[0]

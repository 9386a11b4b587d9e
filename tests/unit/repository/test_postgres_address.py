"""URLs of Postgres: which tenant they name, and that their password shows nowhere."""

import traceback

import pytest

from aspen.errors import InvalidInput
from aspen.repository._postgres._address import Address, read_address

LONG = "x" * 100


@pytest.mark.parametrize(
    ("url", "conninfo", "tenant", "location"),
    [
        ("postgresql://h/db", "postgresql://h/db", "default", "postgresql://h/db"),
        ("postgresql:///db?host=/tmp", "postgresql:///db?host=/tmp", "default", "postgresql:///db?host=/tmp"),
        (
            "postgres://u:se%40cret@h:5433/db?tenant=alice&sslmode=require",
            "postgres://u:se%40cret@h:5433/db?sslmode=require",
            "alice",
            "postgres://u:***@h:5433/db?sslmode=require&tenant=alice",
        ),
        (
            "postgresql://u@h1:1,h2:2/db?tenant=a%40b.c:d_e-9&password=se%40cret",
            "postgresql://u@h1:1,h2:2/db?password=se%40cret",
            "a@b.c:d_e-9",
            "postgresql://u@h1:1,h2:2/db?password=***&tenant=a@b.c:d_e-9",
        ),
        ("postgresql://u@[::1]:5432/db?", "postgresql://u@[::1]:5432/db", "default", "postgresql://u@[::1]:5432/db"),
        ("postgresql://h/db?tenant=default", "postgresql://h/db", "default", "postgresql://h/db"),
        (f"postgresql://h/db?tenant={LONG}", "postgresql://h/db", LONG, f"postgresql://h/db?tenant={LONG}"),
    ],
)  # fmt: skip
def test_a_url_names_a_database_and_a_tenant(url: str, conninfo: str, tenant: str, location: str) -> None:
    address = read_address(url)
    assert address == Address(conninfo, tenant, location)
    assert "cret" not in repr(address)


@pytest.mark.parametrize(
    "tenant",
    [
        "", " ", "a b", "a'b", "a;b", "a%27b", "%00", "-a", ".a", "ä", "a%C3%A4", "a/b", LONG + "x", "a,b",
        "a&tenant=b", "a%0Ab",
    ],
)  # fmt: skip
def test_what_is_no_tenant_is_refused(tenant: str) -> None:
    with pytest.raises(InvalidInput, match="tenant"):
        read_address(f"postgresql://h/db?tenant={tenant}")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:se@cret@h/db",
        "postgresql://u:se cret@h/db",
        "postgresql://u:secret@[::1/db",
        "postgresql://u:secret@h/db?colour=secret",
        "postgresql://u:secret@h/db?secret",
        "postgresql://u:sec%zzret@h/db",
        "postgresql://u:secret\x00@h/db",
        "postgresql://u:secret\ud800@h/db",
    ],
)
def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_address(url)
    shown = "".join(traceback.format_exception(caught.value)) + str(caught.value.diagnostics())
    message = shown[shown.index("InvalidInput") :]
    assert "cret" not in message
    assert "%40" in caught.value.hint

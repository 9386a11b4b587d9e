from __future__ import annotations

import pytest

from aspen.errors import InvalidInput
from aspen.server.settings import LOOPBACK_NAMES, host_name, settings_for


def test_the_default_is_this_machine_only() -> None:
    settings = settings_for()
    assert (settings.host, settings.port, settings.hosts) == ("127.0.0.1", 8420, LOOPBACK_NAMES)


def test_the_address_it_listens_at_is_one_of_its_names_but_all_addresses_are_none() -> None:
    assert "192.168.1.5" in settings_for(host="192.168.1.5").hosts
    assert "[fe80::2]" in settings_for(host="fe80::2").hosts
    assert settings_for(host="0.0.0.0").hosts == LOOPBACK_NAMES
    assert settings_for(host="::", allow_hosts=["box.lan"]).hosts == LOOPBACK_NAMES | {"box.lan"}


@pytest.mark.parametrize("name", ["", "a b", "http://x", "x:80", "ü.example", "x/y", "a..b"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        host_name(name)


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_that_there_is_not_is_refused(port: int) -> None:
    with pytest.raises(InvalidInput, match="port"):
        settings_for(port=port)


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_a_rate_that_lets_nobody_in_is_refused(rate: float) -> None:
    with pytest.raises(InvalidInput, match="rate"):
        settings_for(rate=rate)

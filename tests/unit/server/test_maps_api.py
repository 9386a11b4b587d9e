from __future__ import annotations

import pytest
from starlette.testclient import TestClient
from tests.front_door import WHERE, facts

from aspen import Aspen

PNG = b"\x89PNG"


@pytest.fixture
def trace_id(aspen: Aspen) -> str:
    facts(aspen)
    return str(aspen.chat(WHERE, seed=7, note_tokens=900).trace_id)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("map", {}),
        ("map", {"measure": "resonance", "prompt": WHERE}),
        ("attention", {}),
        ("attention", {"layer": 1}),
        ("attention", {"layer": 1, "head": 2}),
        ("compare/{id}", {"measure": "change"}),
    ],
)
def test_maps_come_as_numbers_and_as_pictures(
    client: TestClient, trace_id: str, path: str, query: dict[str, str]
) -> None:
    url = f"/api/v1/traces/{trace_id}/{path.format(id=trace_id)}"
    told = client.get(url, params=query)
    assert told.status_code == 200, told.text
    assert told.headers["content-type"] == "application/json"
    assert "values" in told.json() or "difference" in told.json()
    picture = client.get(url, params=query, headers={"accept": "image/png"})
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(PNG)


def test_a_map_has_a_row_for_each_layer_and_null_for_what_is_not_known(
    client: TestClient, trace_id: str
) -> None:
    told = client.get(f"/api/v1/traces/{trace_id}/map", params={"measure": "surprise"}).json()
    assert told["layers"] == [1, 2, 3]
    assert {len(row) for row in told["values"]} == {len(told["tokens"])}
    assert told["values"][0][0] is None  # the first token surprises nobody
    assert told["unit"] == "bits"


def test_what_there_is_not_is_refused(client: TestClient, trace_id: str) -> None:
    for path, query in (
        ("map", {"measure": "none"}),
        ("map", {"measure": "resonance"}),
        ("attention", {"layer": 99}),
    ):
        assert client.get(f"/api/v1/traces/{trace_id}/{path}", params=query).status_code == 422
    assert client.get("/api/v1/traces/t_0/map").status_code == 404
    told = client.get(f"/api/v1/traces/{trace_id}/map", params={"measure": "resonance"}).json()
    assert "`prompt`" in told["detail"] and "NoneType" not in told["detail"]
    assert told["details"] == {"parameter": "prompt"}

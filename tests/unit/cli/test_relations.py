"""relate, relations, spread and reinforce, and what recall tells of relations."""

from __future__ import annotations

import pytest
from tests.cli_run import Cli, Result

PODCAST = "A podcast about burnout, ten tips"
SPRING = "That spring I could not draw"
SUPPER = "Evenings belong to the people at my table"


def remember(cli: Cli, text: str, *options: str) -> str:
    return cli("remember", text, *options).out.strip()


@pytest.fixture
def ids(cli: Cli) -> tuple[str, str, str]:
    """A podcast, a spring and a belief, which follow from each other."""
    podcast, spring = remember(cli, PODCAST, "--importance", "high"), remember(cli, SPRING)
    supper = remember(cli, SUPPER, "--type", "belief", "--stability", "canonical", "--importance", "high")
    cli("relate", podcast, "similar_to", spring)
    cli("relate", spring, "supports", supper, "--weight", "0.5")
    return podcast, spring, supper


def relations_of(cli: Cli, id_: str) -> list[tuple[str, str, str, float]]:
    found = cli("relations", id_, "--json").json["relations"]
    return [(one["source"], one["type"], one["target"], round(one["weight"], 6)) for one in found]


# -- relate and relations --------------------------------------------------------------------------------------


def test_relate_is_idempotent_and_sets_the_weight(cli: Cli, ids: tuple[str, str, str]) -> None:
    podcast, spring, supper = ids
    first = cli("relate", podcast, "causes", supper)
    assert (first.code, first.out) == (0, f"{podcast} --causes--> {supper}  0.80\n")
    assert cli("relate", podcast, "causes", supper, "--weight", "1", "--json").json == {
        "relations": [
            {"source": podcast, "target": supper, "type": "causes", "weight": 1.0, "provenance": "said"}
        ]
    }
    assert relations_of(cli, podcast) == [
        (podcast, "causes", supper, 1.0),
        (podcast, "similar_to", spring, 0.8),
    ]


def test_relate_goes_both_ways_and_is_removed(cli: Cli, ids: tuple[str, str, str]) -> None:
    podcast, _, supper = ids
    made = cli("relate", podcast, "contradicts", supper, "--both-ways", "--weight", "0.25", "--json").json
    assert [(one["source"], one["target"], one["weight"]) for one in made["relations"]] == [
        (podcast, supper, 0.25),
        (supper, podcast, 0.25),
    ]
    assert cli("relate", podcast, "contradicts", supper, "--remove", "--json").json == {"removed": 1}
    assert cli("relate", podcast, "contradicts", supper, "--remove", "--both-ways").out == (
        "removed 1 relation\n"
    )
    assert cli("relate", podcast, "contradicts", supper, "--remove").out == "removed 0 relations\n"


def test_relations_from_a_memory_stand_before_those_to_it(cli: Cli, ids: tuple[str, str, str]) -> None:
    podcast, spring, supper = ids
    assert cli("relations", spring).rows == [
        ["way", "relation", "weight", "provenance", "id", "memory"],
        ["to", "supports", "0.50", "said", supper, SUPPER],
        ["from", "similar_to", "0.80", "said", podcast, PODCAST],
    ]
    document = cli("relations", spring, "--json").json
    assert document["memory"]["text"] == SPRING
    assert document["relations"][1] == {
        "source": podcast, "target": spring, "type": "similar_to", "weight": 0.8, "provenance": "said",
        "text": PODCAST,
    }  # fmt: skip
    on_terminal = cli("relations", spring, terminal=True).out
    assert f"said · {podcast}" in on_terminal
    lonely = remember(cli, "lonely")
    assert len(cli("relations", lonely).rows) == 1
    assert cli("relations", lonely, "--json").json["relations"] == []


# -- spread ----------------------------------------------------------------------------------------------------


def test_spread_shows_where_activation_goes(cli: Cli, ids: tuple[str, str, str]) -> None:
    podcast, spring, supper = ids
    result = cli("spread", podcast, "--explain")
    lines = result.out.splitlines()
    header, *table = [line.split("\t") for line in lines[:4]]
    assert header == ["#", "activation", "seed", "boost", "priority", "type", "id", "corrected_by", "memory"]
    assert [(row[1], row[2], row[3], row[5], row[6]) for row in table] == [
        ("1.000", "1.000", "1", "episodic", podcast),
        ("0.480", "0.000", "1", "episodic", spring),
        ("0.252", "0.000", "1.75", "belief", supper),
    ]
    assert lines[4:] == [
        f"1. {PODCAST}",
        "   no paths: activation only started here",
        f"2. {SPRING}",
        f"   +0.480 100%  {PODCAST} --similar_to--> {SPRING}",
        f"3. {SUPPER}",
        f"   +0.252 100%  {PODCAST} --similar_to--> {SPRING} --supports--> {SUPPER[:39]}…",
    ]
    assert "3 memories in " in result.err
    assert "bound" not in result.err
    assert "belief · " + supper in cli("spread", podcast, terminal=True).out


def test_spread_marks_what_was_corrected(cli: Cli, ids: tuple[str, str, str]) -> None:
    podcast, spring, _ = ids
    newer = cli("correct", spring, "In autumn I rested.").out.strip()
    rows = {row[6]: row[7] for row in cli("spread", podcast).rows[1:]}
    assert (rows[spring], rows[podcast]) == (newer, "")
    assert f"corrected by {newer}" in cli("spread", podcast, terminal=True).out


def test_spread_tells_the_share_of_each_way(cli: Cli, ids: tuple[str, str, str]) -> None:
    podcast, _, supper = ids
    cli("relate", podcast, "causes", supper, "--weight", "0.24")
    out = cli("spread", podcast, "--explain").out
    assert out.count(f"   +0.252  50%  {PODCAST} --") == 2
    assert f"   +0.480 100%  {PODCAST} --similar_to--> {SPRING}\n" in out


def test_spread_as_json_with_frames(cli: Cli, ids: tuple[str, str, str]) -> None:
    podcast, spring, supper = ids
    document = cli("spread", podcast, spring, "--frames", "--decay", "0.5", "--json").json
    assert set(document) == {"memories", "frames", "carried", "truncated", "seconds"}
    assert [len(edges) for edges in document["carried"]] == [0, *(len(f) for f in document["frames"][1:])]
    assert set(document["memories"][0]) == {
        "memory", "activation", "seed", "type_boost", "priority", "paths", "corrected_by",
    }  # fmt: skip
    frames = document["frames"]
    assert frames[0] == {podcast: 1.0, spring: 1.0}
    assert frames[1] == {spring: pytest.approx(0.4), supper: pytest.approx(0.4375)}
    assert frames[2] == {supper: pytest.approx(0.175)}
    paths = {one["memory"]["id"]: one["paths"] for one in document["memories"]}
    assert paths[podcast] == []
    assert paths[spring] == [
        {
            "memories": [podcast, spring],
            "contribution": pytest.approx(0.4),
            "via": "",
            "relations": ["similar_to"],
        }
    ]
    assert cli("spread", podcast, "--json").json["frames"] == []


def test_spread_shows_what_arrived_in_each_step(cli: Cli, ids: tuple[str, str, str]) -> None:
    podcast, spring, supper = ids
    cli("relate", podcast, "causes", supper)
    out = cli("spread", podcast, "--frames", "--top", "1").out.splitlines()
    assert out[2:] == [
        "start",
        f"   1.000  {podcast}  {PODCAST}",
        "step 1",
        f"   0.840  {supper}  {SUPPER}",
        "   and 1 more",
        "step 2",
        f"   0.252  {supper}  {SUPPER}",
    ]
    assert spring not in "".join(out)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--hops", "0"), {}),
        (("--hops", "1"), {SPRING: 0.48}),
        (("--decay", "1"), {SPRING: 0.8, SUPPER: 0.7}),
        (("--boost", "belief=1"), {SPRING: 0.48, SUPPER: 0.144}),
        (("--boost", "episodic=2", "--boost", "belief=1"), {SPRING: 0.96, SUPPER: 0.288}),
        (("--boost", "episodic=2"), {SPRING: 0.96, SUPPER: 0.504}),
        (("--min-weight", "0.6"), {SPRING: 0.48}),
        (("--relation", "similar_to"), {SPRING: 0.48}),
        (("--relation", "similar_to", "--relation", "supports"), {SPRING: 0.48, SUPPER: 0.252}),
        (("--relation", "causes"), {}),
        (("--top", "2"), {SPRING: 0.48}),
    ],
)
def test_spread_does_as_its_options_say(
    cli: Cli, ids: tuple[str, str, str], options: tuple[str, ...], expected: dict[str, float]
) -> None:
    memories = cli("spread", ids[0], *options, "--json").json["memories"]
    found = {one["memory"]["text"]: one["activation"] for one in memories}
    assert found == {PODCAST: 1.0, **{text: pytest.approx(value) for text, value in expected.items()}}


@pytest.mark.parametrize(
    ("option", "valid"), [("--boost=opinion=2", "One of self, belief"), ("--relation=likes", "supports")]
)
def test_spread_names_what_there_is_where_a_name_is_wrong(
    cli: Cli, ids: tuple[str, str, str], option: str, valid: str
) -> None:
    result = cli("spread", ids[0], option)
    assert result.code == 2
    assert valid in result.err


def test_spread_says_when_a_bound_held_it(cli: Cli, ids: tuple[str, str, str]) -> None:
    podcast, spring, supper = ids
    cli("relate", podcast, "causes", supper)
    result = cli("spread", podcast, "--fan", "1", "--hops", "1")
    assert spring in result.out
    assert "a bound kept activation from some of what it could have reached" in result.err
    assert cli("spread", podcast, "--fan", "1", "--json").json["truncated"] is True


# -- reinforce -------------------------------------------------------------------------------------------------


def test_reinforce_counts_a_use_and_grows_a_link(cli: Cli, ids: tuple[str, str, str]) -> None:
    podcast, spring, _ = ids
    dry = cli("reinforce", podcast, spring, "--dry-run")
    assert "nothing was changed" in dry.err
    assert sorted(dry.rows[1:]) == sorted(
        [["0.000", "0.050", podcast, spring], ["0.000", "0.050", spring, podcast]]
    )
    assert cli("show", podcast, "--json").json["memory"]["access_count"] == 0
    document = cli("reinforce", podcast, spring, podcast, "--json").json
    assert document["dry_run"] is False
    assert {(one["source"], one["target"], one["before"]) for one in document["changes"]} == {
        (podcast, spring, 0.0),
        (spring, podcast, 0.0),
    }
    assert (podcast, "co_activated", spring, 0.05) in relations_of(cli, podcast)
    shown = cli("show", podcast, "--json").json["memory"]
    assert (shown["access_count"], shown["accessed_at"] is None) == (1, False)
    assert "used          once, last 20" in cli("show", podcast).out
    cli("reinforce", podcast)
    assert "used          2 times, last 20" in cli("show", podcast).out
    assert "used 2 times" in cli("list", terminal=True).plain


# -- recall over relations -------------------------------------------------------------------------------------


def recall(cli: Cli, *options: str, terminal: bool = False) -> Result:
    return cli("recall", "burnout podcast tips", "--arm", "keyword", *options, terminal=terminal)


def test_recall_shows_what_came_over_relations_and_how(cli: Cli, ids: tuple[str, str, str]) -> None:
    for number in range(4):
        remember(cli, f"Something else, number {number}")
    header, *table = recall(cli).rows
    by_text = {row[-1]: dict(zip(header, row, strict=True)) for row in table}
    assert header[2:6] == ["keyword", "neighbours", "relations", "priority"]
    assert float(by_text[SPRING]["relations"]) > 0
    assert float(by_text[SUPPER]["relations"]) > 0
    assert by_text[SUPPER]["type"] == "belief"
    out = recall(cli, "--explain").out
    assert f" 100%  {PODCAST} --similar_to--> {SPRING}\n" in out
    assert f" 100%  {PODCAST} --similar_to--> {SPRING} --supports--> {SUPPER[:39]}…\n" in out
    hit = next(hit for hit in recall(cli, "--json").json["hits"] if hit["memory"]["id"] == ids[1])
    assert hit["paths"][0]["relations"] == ["similar_to"]
    assert hit["paths"][0]["contribution"] == pytest.approx(hit["activation"])


def test_recall_has_no_columns_for_what_does_not_show(cli: Cli) -> None:
    for text in ("burnout podcast", "else", "other"):
        remember(cli, text)
    assert recall(cli).rows[0][2:4] == ["keyword", "neighbours"]
    assert not {"relations", "priority"} & set(recall(cli).rows[0])


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("120", "# score keyword neigh. relat. priority other familiar memory"),
        ("72", "# score keyword relat. other familiar memory"),
        ("40", "# score other familiar memory"),
    ],
)
def test_a_narrow_terminal_has_fewer_columns_and_room_for_the_memory(
    cli: Cli, ids: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch, columns: str, expected: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    shown = recall(cli, terminal=True).plain
    assert shown.startswith(f"{expected} ──")


def test_recall_by_preset_and_filters(cli: Cli, ids: tuple[str, str, str]) -> None:
    podcast, spring, supper = ids
    dated = remember(
        cli, "A podcast again", "--speaker", "Ann", "--said-at", "2026-05-02", "--tag", "ear", "--tag", "tips"
    )

    def found(*options: str) -> set[str]:
        return {hit["memory"]["id"] for hit in recall(cli, *options, "--json").json["hits"]}

    assert found() == {podcast, spring, supper, dated}
    assert found("--type", "belief") == {supper}
    assert found("--type", "belief", "--type", "self") == {supper}
    assert found("--tag", "tips") == found("--tag", "none", "--tag", "ear") == {dated}
    assert found("--speaker", "Ann") == {dated}
    assert found("--since", "2026-05-02") == found("--until", "2026-05-02T00:00:01") == {dated}
    assert found("--since", "2026-05-03") == found("--until", "2026-05-02") == set()
    supper_hit = {
        preset: next(
            hit
            for hit in recall(cli, "--preset", preset, "--json").json["hits"]
            if hit["memory"]["id"] == supper
        )
        for preset in ("factual", "character")
    }
    assert supper_hit["factual"]["activation"] == 0
    assert supper_hit["character"]["type_boost"] == 2
    hits = recall(cli, "--asked-at", "2040-01-01", "--json").json["hits"]
    assert all(hit["priority"] < 0.6 for hit in hits if hit["memory"]["type"] == "episodic")

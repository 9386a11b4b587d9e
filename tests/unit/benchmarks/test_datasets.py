from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.bench_sets import PASSAGES, sample, write_beam, write_beir, write_lines, write_locomo

from aspen.benchmarks.datasets import Layout, read_dataset
from aspen.errors import InvalidInput
from aspen.types import Provenance


def test_locomo_has_its_turns_as_import_reads_them_and_questions_with_evidence(tmp_path: Path) -> None:
    dataset = read_dataset(Layout.LOCOMO, write_locomo(tmp_path / "locomo.json", "one", "two"))

    assert dataset.conversations == {"one": 6, "two": 6}
    assert dataset.items[1].text == "Where did you find her? [shares a smile]"
    assert dataset.items[1].said_at == datetime(2023, 5, 8, 13, 56, tzinfo=UTC)
    # Evidence that is no turn is left out; "D2:01; D3:1" are two turns.
    assert [(q.group, q.kind, sorted(q.evidence)) for q in dataset.questions[:3]] == [
        ("one", "single-hop", ["D1:1"]),
        ("one", "multi-hop", ["D2:1", "D3:1"]),
        ("one", "adversarial", ["D1:1"]),
    ]
    assert len(dataset.questions) == 6
    assert dataset.apart == {"adversarial"}


def test_locomo_leaves_turns_out_that_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = sample("one")
    broken["conversation"]["session_2"][1]["text"] = 7
    path = tmp_path / "locomo.json"
    path.write_text(json.dumps([broken]))

    assert read_dataset(Layout.LOCOMO, path).not_read == 1
    assert "1 turns were not read; turn 4" in capsys.readouterr().err


def written_locomo(path: Path, *samples: object) -> Path:
    path.write_text(json.dumps(samples))
    return path


def test_locomo_does_not_forget_that_a_turn_it_could_not_read_was_evidence(tmp_path: Path) -> None:
    broken = sample("one")
    broken["conversation"]["session_1"][0]["text"] = 7
    broken["conversation"]["session_3_date_time"] = "some day"  # its turns are not read
    dataset = read_dataset(Layout.LOCOMO, written_locomo(tmp_path / "locomo.json", broken))
    assert dataset.not_read == 2
    assert [question.evidence for question in dataset.questions] == [{"D1:1"}, {"D2:1", "D3:1"}, {"D1:1"}]
    assert {"D1:1", "D3:1"}.isdisjoint(item.source for item in dataset.items)


def test_locomo_passes_over_evidence_that_is_no_turn(tmp_path: Path) -> None:
    foreign = sample("one")
    foreign["conversation"]["notes"] = [{"dia_id": "D7:1", "text": "A list, but no session."}]
    foreign["qa"][0]["evidence"] = ["D7:1", "D", "D:11:26", "D10:19", "D1:02"]
    del foreign["qa"][1]["evidence"]
    dataset = read_dataset(Layout.LOCOMO, written_locomo(tmp_path / "locomo.json", foreign))
    assert [question.evidence for question in dataset.questions] == [{"D1:2"}, {"D1:1"}]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        pytest.param({"category": [1]}, "the category is [1], not a number from 1 to 6", id="list"),
        pytest.param({"category": 7}, "the category is 7,", id="unknown category"),
        pytest.param({"category": True}, "the category is True,", id="no number"),
        pytest.param({"category": None}, "the category is missing,", id="no category"),
        pytest.param({"question": None}, "its text is missing", id="no text"),
        pytest.param({"question": " "}, "its text is missing", id="blank"),
        pytest.param({"evidence": {"D1": 1}}, "the evidence is {'D1': 1}, not a list", id="evidence"),
        pytest.param({"evidence": 1.1}, "the evidence is 1.1, not a list", id="number as evidence"),
        pytest.param(None, "expected an object, got str", id="no object"),
    ],
)
def test_an_entry_of_locomo_that_is_no_question_is_refused_with_the_place(
    entry: dict[str, object] | None, said: str, tmp_path: Path
) -> None:
    broken = sample("two")
    broken["qa"][1] = "Where does Mara live?" if entry is None else {**broken["qa"][1], **entry}
    path = written_locomo(tmp_path / "locomo.json", sample("one"), broken)
    with pytest.raises(InvalidInput) as caught:
        read_dataset(Layout.LOCOMO, path)
    assert str(path) in str(caught.value)
    assert f"question 2 of two: {said}" in str(caught.value)


def test_a_conversation_of_locomo_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = write_locomo(tmp_path / "locomo.json", "one", "two", "one")
    with pytest.raises(InvalidInput, match="the sample_id 'one' more than once"):
        read_dataset(Layout.LOCOMO, path)


def test_beir_joins_titles_and_keeps_judged_queries(tmp_path: Path) -> None:
    dataset = read_dataset(Layout.BEIR, write_beir(tmp_path / "set"))

    assert [item.text for item in dataset.items] == [
        "Lisbon: Lisbon is the capital of Portugal.",
        "Ada Lovelace wrote about the engine of Charles Babbage.",
        "Charles Babbage",
    ]
    assert [item.source for item in dataset.items] == ["a", "b", "c"]
    assert not dataset.conversations
    assert [(q.kind, q.group, sorted(q.evidence)) for q in dataset.questions] == [
        ("1 hops", "", ["a"]),
        ("2 hops", "", ["b", "c"]),
    ]
    assert dataset.cutoffs == (2, 5, 10, 25)
    assert set(dataset.files) == {"corpus.jsonl", "queries.jsonl", "qrels.tsv"}


def test_beir_reads_judgements_where_the_official_sets_have_them(tmp_path: Path) -> None:
    folder = write_beir(tmp_path / "set")
    (folder / "qrels").mkdir()
    (folder / "qrels.tsv").rename(folder / "qrels" / "test.tsv")
    assert len(read_dataset(Layout.BEIR, folder).questions) == 2


def test_beir_leaves_out_what_no_memory_can_hold_and_does_not_forget_that_it_was_evidence(
    tmp_path: Path,
) -> None:
    folder = write_beir(tmp_path / "set")
    write_lines(
        folder / "corpus.jsonl",
        [*PASSAGES[:2], {"_id": "c", "text": ""}, {"_id": "d", "text": "x" * 100_001}],
    )
    dataset = read_dataset(Layout.BEIR, folder)
    assert (len(dataset.items), dataset.not_read) == (2, 2)
    assert dataset.questions[1].evidence == {"b", "c"}


def test_beam_has_chats_roles_and_dates(tmp_path: Path) -> None:
    dataset = read_dataset(Layout.BEAM, write_beam(tmp_path / "set"))

    assert dataset.conversations == {"chat-1": 2, "chat-2": 1}
    assert [item.speaker for item in dataset.items] == ["user", "assistant", "user"]
    assert [item.said_at for item in dataset.items] == [datetime(2024, 3, 15, tzinfo=UTC), None, None]
    assert dataset.items[1].provenance is Provenance.GENERATED
    assert dataset.items[0].provenance is Provenance.IMPORTED
    (question,) = dataset.questions
    assert (question.group, question.kind, *question.evidence) == ("chat-1", "preference_following", "t0")


@pytest.mark.parametrize(
    ("chat", "evidence", "said"),
    [
        pytest.param("chat-9", "t0", "the chat 'chat-9', of which the corpus has no turn", id="no such chat"),
        pytest.param(None, "t0", "the chat '', of which", id="no chat"),
        pytest.param("chat-1", "t2", "but its evidence 't2' is not in it", id="another chat"),
        pytest.param("chat-1", "t3", "but its evidence 't3' is not in it", id="a turn of no chat"),
    ],
)
def test_beam_refuses_a_query_that_its_chat_cannot_answer(
    chat: str | None, evidence: str, said: str, tmp_path: Path
) -> None:
    folder = write_beam(tmp_path / "set")
    with (folder / "corpus.jsonl").open("a") as corpus:
        corpus.write('{"_id": "t3", "text": "Said nowhere."}\n')
    write_lines(
        folder / "queries.jsonl", [{"_id": "q", "text": "May I eat satay?", "metadata": {"chat": chat}}]
    )
    (folder / "qrels.tsv").write_text(f"q\t{evidence}\t1\n")
    with pytest.raises(InvalidInput) as caught:
        read_dataset(Layout.BEAM, folder)
    assert said in str(caught.value)
    assert "May I eat satay?" in str(caught.value) and str(folder) in str(caught.value)


def test_beam_keeps_evidence_that_no_memory_can_hold(tmp_path: Path) -> None:
    folder = write_beam(tmp_path / "set")
    with (folder / "corpus.jsonl").open("a") as corpus:
        corpus.write('{"_id": "t3", "text": "", "metadata": {"chat": "chat-1"}}\n')
    (folder / "qrels.tsv").write_text("q\tt0\t1\nq\tt3\t1\n")
    dataset = read_dataset(Layout.BEAM, folder)
    assert (len(dataset.items), dataset.not_read) == (3, 1)
    assert dataset.questions[0].evidence == {"t0", "t3"}


def cut(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        (folder / name).write_text(text[: len(text) - 12])

    return change


def written(name: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_text(text, encoding="latin-1")

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(
            lambda folder: (folder / "corpus.jsonl").unlink(), "corpus.jsonl cannot be read", id="no corpus"
        ),
        pytest.param(
            lambda folder: (folder / "qrels.tsv").unlink(), "qrels.tsv cannot be read", id="no qrels"
        ),
        pytest.param(cut("corpus.jsonl"), "corpus.jsonl, line 3: not JSON", id="cut corpus"),
        pytest.param(cut("queries.jsonl"), "queries.jsonl, line 3: not JSON", id="cut queries"),
        pytest.param(cut("qrels.tsv"), "qrels.tsv, line 4: 1 fields, not 3", id="cut qrels"),
        pytest.param(written("corpus.jsonl", ""), "corpus.jsonl is empty", id="empty"),
        pytest.param(written("corpus.jsonl", "\xff\n"), "line 1: byte 0", id="binary"),
        pytest.param(written("qrels.tsv", "\xff\n"), "line 1: it is not UTF-8", id="binary qrels"),
        pytest.param(
            written("corpus.jsonl", '{"text": "a"}\n'), "line 1: _id is missing, not text", id="no id"
        ),
        pytest.param(
            written("corpus.jsonl", '{"_id": "a"}\n'), "line 1: text or title is missing", id="no text"
        ),
        pytest.param(
            written("corpus.jsonl", '{"_id": "a", "text": "x"}\n' * 2),
            "line 2: the id 'a' was there",
            id="id twice",
        ),
        pytest.param(
            written("corpus.jsonl", '{"_id": "a", "text": "\\u0000"}\n'),
            "line 1: text has U+0000",
            id="control",
        ),
        pytest.param(
            written("qrels.tsv", "q1\ta\tyes\n"), "line 1: the score 'yes' is no number", id="score"
        ),
        pytest.param(
            written("qrels.tsv", "q1\tz\t1\n"), "line 1: 'z' is not in the corpus", id="foreign passage"
        ),
        pytest.param(written("qrels.tsv", "q9\ta\t1\n"), "does not have the query 'q9'", id="foreign query"),
        pytest.param(
            written("qrels.tsv", "q1\ta\t0\n"), "does not have a query with judgements", id="no judgement"
        ),
    ],
)
def test_a_folder_that_is_broken_is_refused_with_the_place(
    change: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    folder = write_beir(tmp_path / "set")
    change(folder)
    with pytest.raises(InvalidInput) as caught:
        read_dataset(Layout.BEIR, folder)
    assert said in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("layout", [Layout.BEIR, Layout.BEAM])
def test_a_file_is_no_folder(layout: Layout, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is not a folder"):
        read_dataset(layout, write_locomo(tmp_path / "locomo.json", "one"))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="empty"),
        pytest.param(json.dumps([sample("one")])[:300], id="cut"),
        pytest.param('{"text": "one line of JSONL"}\n{"text": "and another"}\n', id="JSONL"),
        pytest.param('[{"question": "Who?", "answer": "Ann"}]', id="foreign"),
        pytest.param("[]", id="no sample"),
        pytest.param("\x00\xff", id="binary"),
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_a_file_that_is_no_locomo_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(InvalidInput) as caught:
        read_dataset(Layout.LOCOMO, path)
    assert str(path) in str(caught.value)


def test_locomo_without_a_question_that_can_be_measured_is_refused(tmp_path: Path) -> None:
    nothing = sample("one")
    nothing["qa"] = nothing["qa"][3:]
    path = tmp_path / "locomo.json"
    path.write_text(json.dumps([nothing]))
    with pytest.raises(InvalidInput, match="no question whose evidence"):
        read_dataset(Layout.LOCOMO, path)


def test_a_set_ships_with_aspen_in_one_layout() -> None:
    shipped = read_dataset(Layout.LOCOMO, None)
    assert len(shipped.conversations) > 1
    assert shipped.not_read == 0
    # All questions of the file, the standing instructions among them, and none whose evidence is not to be found.
    assert len(shipped.questions) == 72
    assert sum(question.kind == "instruction-following" for question in shipped.questions) == 8
    turns = {(item.conversation, item.source) for item in shipped.items}
    assert all((q.group, turn) in turns for q in shipped.questions for turn in q.evidence)
    with pytest.raises(InvalidInput, match="--data"):
        read_dataset(Layout.BEIR, None)


def test_a_part_is_the_first_conversations_and_of_each_the_first_questions(tmp_path: Path) -> None:
    dataset = read_dataset(Layout.LOCOMO, write_locomo(tmp_path / "locomo.json", "one", "two", "three"))
    part = dataset.part(conversations=2, questions=1)
    assert part.conversations == {"one": 6, "two": 6}
    assert [question.group for question in part.questions] == ["one", "two"]
    assert dataset.part() == dataset


def test_a_part_of_passages_is_the_first_questions(tmp_path: Path) -> None:
    dataset = read_dataset(Layout.BEIR, write_beir(tmp_path / "set"))
    part = dataset.part(questions=1)
    assert len(part.items) == 3
    assert [question.evidence for question in part.questions] == [{"a"}]
    with pytest.raises(InvalidInput, match="no conversations"):
        dataset.part(conversations=1)

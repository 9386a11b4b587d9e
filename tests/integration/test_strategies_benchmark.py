"""The benchmark of strategies runs on a conversation of its own, and writes what it promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks._answers import contains, f1, words
from benchmarks._asked import locomo_questions, solutions
from benchmarks._rows import Row, by_kind, figures, on_the_questions_of

from aspen.config import Config
from aspen.errors import MissingDependency
from aspen.models import bundled

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "strategies.py"


def sample(name: str, friend: str) -> dict[str, Any]:
    said = [
        "I adopted a grey cat called Plum.",
        "How lovely! I began to learn the cello.",
        "My sister moved to Lisbon in May.",
        "I work at the bakery on Saturdays.",
    ]
    turns = [
        {"speaker": ("Ann", friend)[i % 2], "dia_id": f"D1:{i + 1}", "text": text}
        for i, text in enumerate(said)
    ]
    asked = [
        {"question": "What is the name of Ann's cat?", "answer": "Plum", "evidence": ["D1:1"], "category": 4},
        {"question": "Who plays tennis?", "answer": "nobody", "evidence": ["D1:2"], "category": 5},
        {"question": "Where did the sister move?", "answer": "Lisbon", "evidence": ["D1:3"], "category": 1},
    ]
    conversation = {"session_1_date_time": "1:56 pm on 8 May, 2023", "session_1": turns}
    return {"sample_id": name, "conversation": conversation, "qa": asked}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "locomo.json"
    path.write_text(json.dumps([sample("one", "Ben"), sample("two", "Cem")]))
    return path


def test_questions_come_from_all_conversations_and_have_answers(data: Path) -> None:
    items, asked = locomo_questions(data, count=3)
    assert {group: len(memories) for group, memories in items.items()} == {"one": 4, "two": 4}
    assert [(one.group, one.answer) for one in asked] == [("one", "Plum"), ("two", "Plum"), ("one", "Lisbon")]
    episodes, of_solutions = solutions()
    assert len({episode.conversation for episode in episodes}) == len(episodes) >= 3 * len(of_solutions) / 2
    assert not {one.text for one in of_solutions} & {said for one in episodes for said in one.said}


def test_answers_are_compared_by_their_words() -> None:
    assert words("The Running of a Cat!") == words("run of cat")
    assert f1("It is Plum.", "Plum") == pytest.approx(0.5)
    assert f1("Plum", "a plum") == 1
    assert f1("Lisbon", "Plum") == 0
    assert contains("They moved to New York in May.", "new york")
    assert not contains("York is not so new.", "new york")
    assert not contains("Whatever.", "")


def row(question: str, kind: str, logprob: float) -> Row:
    return Row(question, kind, "one", "note", "", True, logprob, False, 0.5, "said", 40, 0.5, 2.0)


def test_gains_are_told_question_by_question() -> None:
    kinds = ["single-hop", "temporal", "single-hop", "temporal"]
    gains = [2.0, 1.0, -1.0, 2.0]
    rows = {
        "none": [row(f"q{i}", kind, -4.0) for i, kind in enumerate(kinds)],
        "note": [row(f"q{i}", kind, -4.0 + gains[i]) for i, kind in enumerate(kinds)],
        "history": [row("q2", "single-hop", -6.0)],
    }
    note = figures(rows, without="none")["note"]
    assert (note["gain"], note["worse"], note["gold_logprob_per_token"]) == (1.0, 0.25, -3.0)
    low, high = note["gain_interval"]
    assert -1 <= low < 1 < high <= 2
    assert by_kind(rows, without="none")["temporal"]["note"]["gain"] == 1.5
    same = on_the_questions_of("history", rows, without="none")
    assert (same["note"]["questions"], same["note"]["gain"], same["history"]["gain"]) == (1, -1.0, -2.0)
    assert same["note"]["gain_interval"] is None


@pytest.mark.slow
@pytest.mark.long
def test_every_strategy_is_measured_on_every_question(data: Path, tmp_path: Path) -> None:
    try:
        bundled.find_source()
    except MissingDependency as error:
        pytest.skip(str(error))
    out, picture = tmp_path / "out.json", tmp_path / "out.png"
    done = subprocess.run(
        [
            sys.executable, str(SCRIPT), "--data", str(data), "--questions", "2", "--strategy", "note",
            "--without-solutions", "--foreign", "--history-every", "2", "--json", str(out), "--plot", str(picture),
        ],
        env={**os.environ, "ASPEN_CACHE": str(Config.from_environment().cache_dir), "ASPEN_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    found = report["strategies"]
    assert {name: one["questions"] for name, one in found.items()} == {
        "none": 2, "gold": 2, "note": 2, "history": 1,
    }  # fmt: skip
    assert found["none"]["context_tokens_added"] == found["none"]["injected"] == 0
    assert found["gold"]["gold_logprob_per_token"] > found["none"]["gold_logprob_per_token"]
    assert found["note"]["context_tokens_added"] > 0
    assert set(report["foreign"]) == {"none", "note"}
    rows = report["rows"]["strategies"]["note"]
    assert [row["group"] for row in rows] == ["one", "two"]
    assert all(0 < row["first_token_s"] < row["total_s"] for row in rows)
    assert picture.read_bytes().startswith(b"\x89PNG")

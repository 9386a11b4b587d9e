"""Small data sets on disk for tests of the benchmarks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

SESSIONS = (
    ("1:56 pm on 8 May, 2023", "I adopted a cat and called her Biscuit.", "Where did you find her?"),
    ("9:10 am on 12 June, 2023", "My sister Mara moved to Lisbon.", "Oh, what is she doing there?"),
    ("7:00 pm on 3 July, 2023", "She teaches pottery near the river.", "I would love to try that."),
)
PASSAGES = (
    {"_id": "a", "title": "Lisbon", "text": "Lisbon is the capital of Portugal."},
    {"_id": "b", "title": "", "text": "Ada Lovelace wrote about the engine of Charles Babbage."},
    {"_id": "c", "title": "Charles Babbage", "text": ""},
)
QUERIES = (
    {"_id": "q1", "text": "What is the capital of Portugal?", "metadata": {"hops": 1}},
    {"_id": "q2", "text": "Whose engine did Ada Lovelace write about?", "metadata": {"hops": 2}},
    {"_id": "q3", "text": "A query of another split?"},
)
QRELS = "query-id\tcorpus-id\tscore\nq1\ta\t1\nq2\tb\t1\nq2\tc\t2\nq2\ta\t0\n"
TURNS = (
    ("chat-1", "user", "March-15-2024", "I am allergic to peanuts."),
    ("chat-1", "assistant", None, "Noted: no peanuts."),
    ("chat-2", "user", "soon", "Our boiler makes a noise."),
)


def sample(name: str) -> dict[str, Any]:
    conversation: dict[str, Any] = {"speaker_a": "Ann", "speaker_b": "Ben"}
    for number, (date, said, answered) in enumerate(SESSIONS, start=1):
        conversation[f"session_{number}_date_time"] = date
        conversation[f"session_{number}"] = [
            {"speaker": "Ann", "dia_id": f"D{number}:1", "text": said},
            {"speaker": "Ben", "dia_id": f"D{number}:2", "text": answered, "blip_caption": "a smile"},
        ]
    questions = [
        {"question": "What is the cat called?", "answer": "Biscuit", "evidence": ["D1:1"], "category": 4},
        {"question": "Where does Mara live?", "answer": "Lisbon", "evidence": ["D2:01; D3:1"], "category": 1},
        {"question": "What is Ben's cat called?", "evidence": ["D1:1"], "category": 5},
        {"question": "Who is it?", "answer": "nobody", "evidence": ["D9:9"], "category": 2},
        {"question": "Who was it?", "answer": "nobody", "evidence": [], "category": 3},
    ]
    return {"sample_id": name, "conversation": conversation, "qa": questions}


def write_locomo(path: Path, *names: str) -> Path:
    path.write_text(json.dumps([sample(name) for name in names]))
    return path


def write_lines(path: Path, lines: Iterable[Mapping[str, object]]) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def write_beir(folder: Path) -> Path:
    folder.mkdir()
    write_lines(folder / "corpus.jsonl", PASSAGES)
    write_lines(folder / "queries.jsonl", QUERIES)
    (folder / "qrels.tsv").write_text(QRELS)
    return folder


def write_beam(folder: Path) -> Path:
    folder.mkdir()
    write_lines(
        folder / "corpus.jsonl",
        (
            {
                "_id": f"t{i}",
                "title": "",
                "text": text,
                "metadata": {"chat": chat, "role": role, "time": time},
            }
            for i, (chat, role, time, text) in enumerate(TURNS)
        ),
    )
    about = {"chat": "chat-1", "type": "preference_following"}
    write_lines(folder / "queries.jsonl", [{"_id": "q", "text": "May I eat satay?", "metadata": about}])
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\tt0\t1\n")
    return folder

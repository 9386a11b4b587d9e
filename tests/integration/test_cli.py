"""The program itself, in processes of its own, with the bundled model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.forked import run_aspen
from tests.unit.cli.talk import Talk

from aspen.config import Config
from aspen.errors import MissingDependency
from aspen.models import bundled
from aspen.repository import open_repository

pytestmark = pytest.mark.slow

Run = Callable[..., subprocess.CompletedProcess[str]]
PROGRAM = [sys.executable, "-m", "aspen.cli"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    try:
        bundled.find_source()
    except MissingDependency as error:
        pytest.skip(str(error))
    # A folder that lasts: unpacking takes half a minute, and the manifest guards what lies there.
    cache = str(Config.from_environment().cache_dir)
    settings = {"ASPEN_CACHE": cache, "ASPEN_STORE": str(tmp_path / "memory.db"), "ASPEN_DEVICE": "cpu"}
    return {**os.environ, **settings, "ASPEN_MODEL": "bundled"}


@pytest.fixture
def aspen(environment: dict[str, str]) -> Run:
    def aspen(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return run_aspen(arguments, environment=environment, stdin=stdin, timeout=300)

    return aspen


def document(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_one_process_heard_another_recalls_and_replays(aspen: Run) -> None:
    heard = aspen("chat", "My sister Mara moved to Lisbon in March.", "-c", "family", "--max-tokens", "30")
    assert heard.returncode == 0, heard.stderr
    assert heard.stdout.strip()
    assert "\x1b" not in heard.stdout + heard.stderr
    assert "trace t_" in heard.stderr

    recalled = document(aspen("recall", "Where does my sister live?", "--json"))
    assert recalled["hits"][0]["memory"]["text"] == "My sister Mara moved to Lisbon in March."
    assert [arm["ran"] for arm in recalled["arms"]][:3] == [True, True, True]
    assert 0 < recalled["partial_pass"]["depth"] < recalled["partial_pass"]["n_layers"] == 30

    asked = aspen(
        "chat", "Where does my sister Mara live?", "-c", "later", "--show-note", "--max-tokens", "30"
    )
    assert 'user said: "My sister Mara moved to Lisbon in March."' in asked.stderr

    newest = document(aspen("traces", "--json"))["traces"][0]
    replayed = aspen("replay", newest["id"])
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert replayed.stdout.startswith("verified: ")


def test_an_import_with_a_bad_line_and_its_export(aspen: Run, tmp_path: Path) -> None:
    chats = tmp_path / "chats.jsonl"
    messages = [{"role": "user", "content": "I adopted a cat"}, {"role": "assistant", "content": "Lovely!"}]
    lines = [json.dumps({"id": "c1", "messages": messages}), "not json", json.dumps({"messages": messages})]
    chats.write_text("\n".join(lines), encoding="utf-8")
    done = aspen("import", str(chats))
    assert (done.returncode, done.stdout) == (0, "4 stored, 0 already there, 1 not readable\n")
    assert done.stderr.startswith("line 2: not JSON")

    out, other = tmp_path / "out.jsonl", str(tmp_path / "other.db")
    assert aspen("export", "--output", str(out)).returncode == 0
    assert document(aspen("import", str(out), "--store", other, "--json"))["stored"] == 4
    first, second = (
        [memory["id"] for memory in document(aspen("list", "--store", store, "--json"))["memories"]]
        for store in (str(tmp_path / "memory.db"), other)
    )
    assert first == second
    assert len(set(first)) == 4


@pytest.mark.long
def test_relations_lead_recall_in_every_process_and_in_a_copy(aspen: Run, tmp_path: Path) -> None:
    podcast = aspen("remember", "Bo sent me a podcast about burnout.").stdout.strip()
    weeks = aspen("remember", "After the contract I could not draw for eleven weeks.").stdout.strip()
    kind = ("--type", "belief", "--stability", "canonical", "--importance", "high", "--tag", "family")
    belief = aspen("remember", "Evenings belong to the people at my table.", *kind).stdout.strip()
    for text in ("The boiler makes a noise when it rains.", "Our cat is called Biscuit."):
        assert aspen("remember", text).returncode == 0
    assert aspen("relate", podcast, "similar_to", weeks).returncode == 0
    assert aspen("relate", weeks, "supports", belief, "--weight", "0.9").returncode == 0

    asked = ("recall", "How do I handle burnout?", "--type", "belief", "--explain")
    told = aspen(*asked).stdout
    assert "--similar_to--> After the contract" in told
    assert "--supports--> Evenings belong" in told
    (hit,) = document(aspen(*asked, "--json"))["hits"]
    assert (hit["memory"]["id"], hit["corrected_by"]) == (belief, None)
    assert hit["activation"] > 0
    assert hit["paths"][0]["memories"] == [podcast, weeks, belief]

    out, other = tmp_path / "out.jsonl", ("--store", str(tmp_path / "other.db"))
    assert aspen("export", "--output", str(out)).returncode == 0
    report = document(aspen("import", str(out), *other, "--json"))
    assert (report["stored"], report["relations_stored"], report["bad"]) == (5, 2, 0)
    spread = [document(aspen("spread", podcast, *where, "--json"))["memories"] for where in ((), other)]
    reached = [[(one["memory"]["id"], one["activation"]) for one in memories] for memories in spread]
    assert reached[0] == reached[1]
    assert reached[0][2] == (belief, pytest.approx(0.4536))

    newer = aspen("correct", belief, "Evenings and Sundays belong to the people at my table.").stdout.strip()
    hits = document(aspen(*asked, "--json"))["hits"]
    assert {hit["memory"]["id"]: hit["corrected_by"] for hit in hits} == {newer: None, belief: newer}
    assert [hit["memory"]["id"] for hit in hits] == [newer, belief]
    versions = document(aspen("history", newer, "--json"))["versions"]
    assert [version["id"] for version in versions] == [belief, newer]


def test_ctrl_c_during_an_import_leaves_a_sound_store_that_goes_on(
    aspen: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    notes, count = tmp_path / "notes.jsonl", 640
    # Long enough that a batch of 128 takes a second or more: time to interrupt between two of them.
    texts = [f"note {i}: {'the station measures wind and rain every minute ' * 3}" for i in range(count)]
    notes.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    process = subprocess.Popen(
        [*PROGRAM, "import", str(notes)],
        env=environment,
        # Whatever started the tests in the background has SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - one thread
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    store = tmp_path / "memory.db"
    deadline = time.monotonic() + 200
    while stored(store) == 0 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "The same command goes on from here." in err
    assert err.endswith("error: Interrupted; what was stored before is kept.\n")

    kept = stored(store)
    assert 0 < kept < count
    assert kept % 128 == 0
    with open_repository(store) as repository:
        assert repository.check() == []
    report = document(aspen("import", str(notes), "--json"))
    assert (report["stored"], report["already_there"]) == (count - kept, kept)
    with open_repository(store) as repository:
        assert [memory.text for memory in repository.list(limit=10_000)[::-1]] == texts


def test_an_interrupted_reply_leaves_the_model_as_it_was(aspen: Run, environment: dict[str, str]) -> None:
    options = ("--seed", "7", "--no-memory", "--max-tokens", "24")
    chat = Talk([*PROGRAM, "chat", "-c", "interrupted", *options], environment=environment)
    try:
        chat.until("you> ")
        chat.press("Tell me a long story about the sea.\n")
        chat.until("story about the sea.\n")
        chat.until(" ")  # behind the first word of the reply
        chat.press("\x03")
        assert "Interrupted; neither your message nor this reply was stored." in chat.until("you> ")
        chat.press("What is the capital of France?\n")
        chat.until("capital of France?\n")
        reply = chat.until(" tokens/s\n")
        chat.until("you> ")
        chat.interrupt_waiting()
    finally:
        chat.close()
    assert chat.process.returncode == 130
    undisturbed = aspen("chat", "What is the capital of France?", *options, "-c", "undisturbed")
    assert reply.startswith(undisturbed.stdout)
    undisturbed_trace, trace = document(aspen("traces", "--json"))["traces"]
    assert [undisturbed_trace["conversation"], trace["conversation"]] == ["undisturbed", "interrupted"]
    assert aspen("replay", trace["id"]).returncode == 0


def stored(store: Path) -> int:
    if not store.exists() or store.stat().st_size == 0:
        return 0
    with open_repository(store) as repository:
        return repository.stats().memories


def test_a_closed_pipe_is_no_error_with_a_stack(
    aspen: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    notes = tmp_path / "notes.jsonl"
    # More than a pipe holds; keys are made of the first 256 tokens.
    notes.write_text("".join(json.dumps({"text": f"{'word ' * 10_000}{i}"}) + "\n" for i in range(8)))
    assert aspen("import", str(notes)).returncode == 0
    with subprocess.Popen(
        [*PROGRAM, "export"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 141

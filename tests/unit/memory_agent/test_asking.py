from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.unit.memory_agent.agent_worlds import ANSWER, QUESTION, Scripted, World, obedient

from aspen import Aspen, Config
from aspen.errors import InvalidInput
from aspen.memory_agent import AgentAnswer, AgentTurn, Budget, Orchestration
from aspen.repository import SQLiteRepository
from aspen.testing.fake_model import FakeModel


class Caller(FakeModel):
    """Calls as the last message asks, where its vocabulary of bytes lets it, and answers with a sentence."""

    def __init__(self) -> None:
        super().__init__(say=self._speak, context_length=8192)

    def _speak(self, prompt: str) -> str:
        request = prompt.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]
        if not request.startswith("Call "):
            return ANSWER
        name, _, told = request.removeprefix("Call ").partition(" with ")
        arguments: dict[str, object] = {}
        for part in told.split("; "):
            key, _, value = part.partition(": ")
            arguments[key] = value.split(", ") if key in ("ids", "seed_ids") else value
            if value == "true":
                arguments[key] = True
        return json.dumps({"name": name, "arguments": arguments}, separators=(",", ":"))


def touched(world: World) -> dict[str, int]:
    return {memory.source or "": memory.access_count for memory in world.aspen.repository.list()}


@pytest.mark.parametrize("orchestration", Orchestration)
@pytest.mark.parametrize("location", ["memory", "file"])
def test_a_store_answers_with_its_own_model(
    config: Config, tmp_path: Path, location: str, orchestration: Orchestration
) -> None:
    place = ":memory:" if location == "memory" else str(tmp_path / "store.db")
    world = World.open(config, model=Caller(), location=place)
    answer = world.aspen.ask(QUESTION, orchestration=orchestration, seed=3)
    assert isinstance(answer, AgentAnswer)
    assert (answer.text, answer.finished_by, answer.reason) == (ANSWER, "model", "")
    assert world.ids["belief"] in [one.memory.id for one in answer.memories]
    assert len(answer.memories) == 5
    assert (answer.model, answer.seed) == ("fake-0", 3)
    world.aspen.close()


def test_without_a_seed_one_is_drawn_and_told(world: World) -> None:
    answers = [world.aspen.ask(QUESTION, model=Scripted(then=obedient)) for _ in range(3)]
    assert len({answer.seed for answer in answers}) == 3
    with pytest.raises(InvalidInput):
        world.aspen.ask(QUESTION, seed=-1)


def test_another_model_may_do_the_work(world: World) -> None:
    model = Scripted(then=obedient)
    answer = world.aspen.ask(QUESTION, model=model, limit=2, preset="character")
    assert (answer.model, answer.preset, len(answer.memories)) == ("scripted", "character", 2)
    assert len(model.seen) == 3


def test_a_caller_says_what_may_be_spent(world: World) -> None:
    answer = world.aspen.ask(QUESTION, model=Scripted(then=obedient), budget=Budget(calls=1))
    assert [step.by for step in answer.steps] == ["model", "plan"]
    assert (answer.finished_by, answer.reason != "") == ("fallback", True)
    with pytest.raises(InvalidInput, match="budget"):
        world.aspen.ask(QUESTION, model=Scripted(then=obedient), budget=3)  # type: ignore[arg-type]


def test_what_stood_in_the_note_was_used_together(world: World) -> None:
    answer = world.aspen.ask(QUESTION, model=Scripted(then=obedient))
    noted = {world.name(one.memory.id) for one in answer.memories if one.noted}
    assert len(noted) > 1
    assert {name for name, count in touched(world).items() if count} == noted
    links = world.aspen.relations(world.ids["belief"])
    assert any(link.type == "co_activated" for link in links)


def test_use_is_not_noted_where_it_was_not_wanted_or_nothing_was_used(world: World) -> None:
    world.aspen.ask(QUESTION, model=Scripted(then=obedient), reinforce=False)
    world.aspen.ask(QUESTION, model=Scripted(then=obedient, answer=""))
    assert not any(touched(world).values())
    off = Aspen(
        world.aspen.repository,
        load=lambda: world.aspen.model,
        config=replace(world.aspen.config, reinforce=False),
        owns_repository=False,
    )
    off.ask(QUESTION, model=Scripted(then=obedient))
    assert not any(touched(world).values())


def test_a_store_that_can_only_be_read_answers_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(world.aspen.repository), "writable", False)
    assert world.aspen.ask(QUESTION, model=Scripted(then=obedient)).text == ANSWER
    assert not any(touched(world).values())


class Holding(Scripted):
    """Another process, as it were, begins to write while the answer is written, and does not end."""

    def __init__(self, path: Path) -> None:
        super().__init__(then=obedient)
        self.other = apsw.Connection(str(path))

    def turn(self, messages: Any, **options: Any) -> AgentTurn:
        if options["must"] == "answer":
            self.other.execute("BEGIN IMMEDIATE")
        return super().turn(messages, **options)


def test_an_answer_is_not_lost_where_its_use_cannot_be_noted(config: Config, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with SQLiteRepository(path, busy_timeout=0.1) as store:
        world = World(Aspen.open(store, model=FakeModel(), config=config))
        model = Holding(path)
        assert world.aspen.ask(QUESTION, model=model).text == ANSWER
        model.other.close()
        assert not any(touched(world).values())


def test_the_same_question_twice_is_answered_the_same(config: Config) -> None:
    world = World.open(config, model=Caller())
    first, again = (world.aspen.ask(QUESTION, seed=5, reinforce=False) for _ in range(2))
    assert first.text == again.text
    assert [one.memory for one in first.memories] == [one.memory for one in again.memories]
    assert [step.arguments for step in first.steps] == [step.arguments for step in again.steps]
    assert first.note == again.note
    world.aspen.close()

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.memory_agent.agent_worlds import ANSWER, QUESTION, Scripted, World, call, obedient

from aspen.errors import InvalidInput, PromptTooLong
from aspen.memory_agent import AgentAnswer, AgentMessage, Budget, MemoryAgent, Orchestration, ToolCall
from aspen.memory_agent.arguments import check_arguments
from aspen.memory_injector.framing import OPENING

STEPS = {
    Orchestration.TOOL: ["search", "spread"],
    Orchestration.PROMPT: ["search", "read", "neighbours"],
    Orchestration.REPOSITORY: ["search"],
}
TOOLS_OF = {
    Orchestration.TOOL: {"search_memories", "spread_activation"},
    Orchestration.PROMPT: {"search_memories", "get_memories"},
    Orchestration.REPOSITORY: {"search_memories"},
}


def ask(world: World, model: Scripted, question: str = QUESTION, **options: Any) -> AgentAnswer:
    own = {name: options.pop(name) for name in ("budget", "note_tokens") if name in options}
    return MemoryAgent(world.aspen, model, count_tokens=len, **own).ask(question, **{"seed": 7, **options})


def names(world: World, answer: AgentAnswer) -> list[str]:
    return [world.name(one.memory.id) for one in answer.memories]


def calls_nothing() -> Scripted:
    return Scripted(then=())


@pytest.mark.parametrize("orchestration", Orchestration)
def test_a_model_that_does_as_it_is_asked_does_all_steps_itself(
    world: World, orchestration: Orchestration
) -> None:
    model = Scripted(then=obedient)
    answer = ask(world, model, orchestration=orchestration)
    assert (answer.text, answer.written_by, answer.problem) == (ANSWER, "model", "")
    assert (answer.finished_by, answer.reason) == ("model", "")
    assert [step.completed for step in answer.steps] == STEPS[orchestration]
    assert all(step.by == "model" and not step.error for step in answer.steps)
    assert (answer.steps_by_model, answer.steps_by_plan) == (len(STEPS[orchestration]), 0)
    assert "belief" in names(world, answer)
    belief = next(one for one in answer.memories if world.name(one.memory.id) == "belief")
    assert belief.activation > 0
    assert belief.type_boost == 1.75
    assert belief.paths[0].memories[-1] == belief.memory.id
    assert belief.noted
    assert answer.turns == len(model.seen) == len(STEPS[orchestration]) + 1
    assert (answer.prompt_tokens, answer.reply_tokens) == (10 * answer.turns, 10 * answer.turns)
    assert (answer.question, answer.orchestration, answer.seed) == (QUESTION, orchestration, 7)
    assert answer.model == "scripted"
    assert answer.seconds > 0
    assert {seed for *_, seed in model.seen} == {7}


@pytest.mark.parametrize("orchestration", Orchestration)
def test_the_plan_alone_finds_the_same(world: World, orchestration: Orchestration) -> None:
    by_model = ask(world, Scripted(then=obedient), orchestration=orchestration)
    by_plan = ask(world, calls_nothing(), orchestration=orchestration)
    assert (by_plan.finished_by, by_plan.steps_by_model) == ("fallback", 0)
    assert "'search' was not done in 2 turns: No tool was called." in by_plan.reason
    assert [step.completed for step in by_plan.steps] == STEPS[orchestration]
    assert all(step.by == "plan" for step in by_plan.steps)
    assert [step.arguments for step in by_plan.steps] == [step.arguments for step in by_model.steps]
    assert names(world, by_plan) == names(world, by_model)
    assert by_plan.text == ANSWER
    assert by_plan.turns == 3  # two in which it called nothing, and the answer


@pytest.mark.parametrize("orchestration", Orchestration)
def test_only_tools_of_the_orchestration_are_offered_with_ids_that_were_shown(
    world: World, orchestration: Orchestration
) -> None:
    model = Scripted(then=obedient)
    answer = ask(world, model, orchestration=orchestration)
    for messages, tools, must, _ in model.seen[:-1]:
        assert must == "call"
        assert {tool.name for tool in tools} <= TOOLS_OF[orchestration]
        assert messages[0].role == "system"
        assert messages[-1].role == "user"
        for tool in tools:
            for name in ("ids", "seed_ids"):
                if name in tool.parameters["properties"]:
                    assert set(tool.parameters["properties"][name]["items"]["enum"]) <= set(answer.handles)
    messages, tools, must, _ = model.seen[-1]
    assert (tools, must) == ([], "answer")
    assert messages[0].content.startswith(OPENING)
    assert QUESTION in messages[1].content
    assert answer.note is not None
    assert messages[0].content == answer.note.text


def test_the_conversation_holds_every_call_with_its_result(world: World) -> None:
    model = Scripted(then=obedient)
    ask(world, model)
    messages, *_ = model.seen[1]
    assert [message.role for message in messages] == ["system", "user", "assistant", "tool", "user"]
    (made,) = messages[2].calls
    assert messages[3].call_id == made.id
    assert '"memories"' in messages[3].content


@pytest.mark.parametrize(
    ("wandering", "told"),
    [
        ([call("fly")], "no tool 'fly'"),
        ([call("search_memories", query="the cat Biscuit")], "searched for something else"),
        ([call("search_memories", query=QUESTION, limit=99)], "limit must be in"),
        ([call("spread_activation", seed_ids=["1"])], "no memory '1'"),
        ([ToolCall("c", "search_memories", {}, problem="Not JSON.")], "Not JSON."),
        ([], "No tool was called"),
        ([call("remember", text="x", type="self")], "not allowed"),
    ],
)
def test_a_model_that_wanders_has_a_second_try_and_then_the_plan_goes_on(
    world: World, wandering: Sequence[ToolCall], told: str
) -> None:
    twice = Scripted(wandering, wandering)
    answer = ask(world, twice)
    assert answer.finished_by == "fallback"
    assert told in answer.reason or "made before" in answer.reason
    assert [step.completed for step in answer.steps if step.by == "plan"] == STEPS[Orchestration.TOOL]
    assert "belief" in names(world, answer)
    assert answer.text == ANSWER
    once = Scripted(wandering, then=obedient)
    recovered = ask(world, once)
    assert recovered.finished_by == "model"
    assert [step.completed for step in recovered.steps if step.completed] == STEPS[Orchestration.TOOL]
    assert "belief" in names(world, recovered)


def test_steps_done_before_a_model_wandered_stay_its_own(world: World) -> None:
    model = Scripted(obedient, [call("search_memories", query="burnout")], [call("fly")])
    answer = ask(world, model)
    assert [(step.by, step.completed) for step in answer.steps] == [
        ("model", "search"),
        ("model", ""),
        ("model", ""),
        ("plan", "spread"),
    ]
    assert (answer.steps_by_model, answer.steps_by_plan) == (1, 1)
    assert "'spread'" in answer.reason
    assert "no tool 'fly'" in answer.reason
    assert answer.finished_by == "fallback"


def test_the_same_call_again_and_again_ends(world: World) -> None:
    model = Scripted(then=[call("search_memories", query=QUESTION)])
    answer = ask(world, model)
    assert [step.error for step in answer.steps] == ["", *["This call was made before."] * 2, ""]
    assert answer.turns == 4
    assert "belief" in names(world, answer)


@pytest.mark.parametrize("seeds", [["10"], ["1"], ["2", "3"], ["1", "3", "4", "5"]])
def test_spreading_that_leaves_out_one_of_the_best_three_is_not_enough(
    world: World, seeds: list[str]
) -> None:
    few = [call("spread_activation", seed_ids=seeds)]
    answer = ask(world, Scripted(obedient, few, []))
    assert [(step.by, step.completed) for step in answer.steps] == [
        ("model", "search"),
        ("model", ""),
        ("plan", "spread"),
    ]
    assert "belief" in names(world, answer)
    assert ask(world, Scripted(obedient, few, then=obedient)).finished_by == "model"
    enough = [call("spread_activation", seed_ids=["1", "2", "3"])]
    assert ask(world, Scripted(obedient, enough)).finished_by == "model"


def test_reading_goes_on_to_who_one_is_behind_the_neighbours(world: World) -> None:
    model = Scripted([call("search_memories", query=QUESTION, limit=2)], then=obedient)
    answer = ask(world, model, orchestration=Orchestration.PROMPT)
    assert [step.completed for step in answer.steps] == ["search", "read", "neighbours", "identity"]
    assert [
        [world.name(answer.handles[id_]) for id_ in step.arguments["ids"]] for step in answer.steps[2:]
    ] == [
        ["pattern"],
        ["belief"],
    ]
    belief = next(one for one in answer.memories if world.name(one.memory.id) == "belief")
    assert belief.paths[0].relations == ("example_of", "supports")


def test_a_question_in_other_words_counts_where_it_keeps_half_of_them(world: World) -> None:
    model = Scripted([call("search_memories", query="coping with creative burnout")], then=obedient)
    assert ask(world, model).finished_by == "model"


def test_several_calls_in_one_turn_may_do_several_steps(world: World) -> None:
    both = [
        call("search_memories", query=QUESTION),
        call("spread_activation", seed_ids=["1", "2", "3"]),
        call("search_memories", query="what comes after is not run"),
    ]
    model = Scripted(both)
    answer = ask(world, model)
    assert [step.completed for step in answer.steps] == ["search", "spread"]
    assert answer.turns == 2


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        (Budget(calls=1), "All 1 calls"),
        (Budget(tokens=20), "All 20 tokens"),
        (Budget(calls=0), "All 0 calls"),
    ],
)
def test_when_the_budget_ends_the_plan_goes_on(world: World, budget: Budget, told: str) -> None:
    answer = ask(world, Scripted(then=obedient), budget=replace(budget, result_tokens=4000))
    assert answer.finished_by == "fallback"
    assert told in answer.reason
    assert answer.steps[-1].by == "plan"
    assert answer.steps[-1].completed == "spread"
    assert "belief" in names(world, answer)
    assert answer.text == ANSWER


class Cramped(Scripted):
    """Has room for calls or for an answer, as a test says."""

    def __init__(self, *, full_at: str) -> None:
        super().__init__(then=obedient)
        self._full_at = full_at

    def turn(self, messages: Sequence[AgentMessage], **options: Any) -> Any:
        if options["must"] == self._full_at:
            raise PromptTooLong("The prompt has 9 tokens, the context 8.")
        return super().turn(messages, **options)


def test_a_full_context_is_no_end(world: World) -> None:
    called = ask(world, Cramped(full_at="call"))
    assert (called.finished_by, called.reason) == ("fallback", "The prompt has 9 tokens, the context 8.")
    assert called.text == ANSWER
    answered = ask(world, Cramped(full_at="answer"))
    assert answered.finished_by == "model"
    assert (answered.written_by, answered.problem) == ("memories", "The prompt has 9 tokens, the context 8.")
    assert answered.note is None
    assert not any(one.noted for one in answered.memories)


@pytest.mark.parametrize("silence", ["", " \n "])
def test_where_the_model_writes_nothing_the_memories_are_the_answer(world: World, silence: str) -> None:
    answer = ask(world, Scripted(then=obedient, answer=silence), limit=3)
    assert (answer.written_by, answer.problem) == ("memories", "The model wrote nothing.")
    lines = answer.text.splitlines()
    assert len(lines) == 3
    for line, one in zip(lines, answer.memories, strict=True):
        assert one.memory.text in line


def test_a_note_that_has_no_room_is_no_note(world: World) -> None:
    answer = ask(world, Scripted(then=obedient), note_tokens=20)
    assert (answer.written_by, answer.note) == ("memories", None)
    assert answer.text
    assert answer.turns == 2  # nothing to answer from, so it was not asked


def test_only_what_stands_in_the_note_is_noted(world: World) -> None:
    answer = ask(world, Scripted(then=obedient), note_tokens=240)
    assert answer.note is not None
    noted = {one.memory.id for one in answer.memories if one.noted}
    assert noted == set(answer.note.memory_ids)
    assert 0 < len(noted) < len(answer.memories)


def test_as_many_memories_as_are_wanted(world: World) -> None:
    for number in range(30):
        world.aspen.remember(f"Creative burnout, day {number}.")
    for orchestration in Orchestration:
        assert len(ask(world, Scripted(then=obedient), orchestration=orchestration, limit=20).memories) == 20


def test_nothing_in_the_store_is_said(world: World) -> None:
    world.aspen.forget(*world.ids.values())
    answer = ask(world, Scripted(then=obedient))
    assert answer.text == "No memory was found for this question."
    assert (answer.written_by, answer.memories, answer.note) == ("memories", (), None)
    assert answer.finished_by == "model"
    assert answer.turns == 1


def test_a_question_without_a_word_to_search_for_is_answered_too(world: World) -> None:
    for question in ("?", "What is it?", "\u4f60\u597d", "burnout " * 3000):
        answer = ask(world, Scripted(then=obedient), question)
        assert answer.text


def test_the_same_seed_store_and_model_answer_the_same(world: World) -> None:
    def told(answer: AgentAnswer) -> object:
        steps = [replace(step, seconds=0.0, result_tokens=0) for step in answer.steps]
        memories = [(one.memory.id, one.noted, pytest.approx(one.score)) for one in answer.memories]
        return answer.text, steps, memories, answer.note, answer.handles

    first, again = (
        ask(world, Scripted([call("fly")], then=obedient), orchestration=Orchestration.PROMPT)
        for _ in range(2)
    )
    assert told(first) == told(again)


def test_every_call_that_is_asked_for_is_one_that_its_tool_admits(world: World) -> None:
    for orchestration in Orchestration:
        model = Scripted(then=obedient)
        ask(world, model, orchestration=orchestration)
        for messages, tools, *_ in model.seen[:-1]:
            (made,) = obedient(messages, tools)
            check_arguments(made.arguments, {tool.name: tool for tool in tools}[made.name].parameters)


def test_a_model_that_may_write_is_asked_whether_it_wants_to(world: World) -> None:
    note = [call("remember", text="I rest when I am tired.", type="belief")]
    model = Scripted(obedient, obedient, note, [])
    answer = ask(world, model, allow_writes=True)
    assert [must for _, _, must, _ in model.seen] == ["call", "call", "either", "either", "answer"]
    assert {tool.name for tool in model.seen[0][1]} == {"search_memories", "remember", "relate"}
    assert {tool.name for tool in model.seen[2][1]} == {"remember", "relate"}
    assert QUESTION in model.prompts[2]
    assert [step.tool for step in answer.steps] == ["search_memories", "spread_activation", "remember"]
    assert answer.finished_by == "model"
    stored = world.aspen.repository.list(limit=1)[0]
    assert (stored.text, stored.provenance) == ("I rest when I am tired.", "inferred")


def test_writing_ends_with_its_turns_and_without_leave_nothing_is_written(world: World) -> None:
    endless = Scripted(obedient, obedient, then=lambda messages, tools: [call("fly")])
    assert ask(world, endless, allow_writes=True).turns == 2 + 3 + 1
    before = world.aspen.repository.revision()
    model = Scripted(obedient, [call("remember", text="x", type="belief")], then=obedient)
    answer = ask(world, model)
    assert "not allowed" in answer.steps[1].error
    assert world.aspen.repository.revision() == before


@pytest.mark.parametrize(
    "bad",
    [
        {"question": ""},
        {"question": "a\0"},
        {"orchestration": "chaos"},
        {"limit": 0},
        {"limit": 51},
        {"preset": "none"},
        {"seed": -1},
        {"max_tokens": 0},
    ],
)
def test_a_bad_argument_is_refused_before_the_model_is_asked(world: World, bad: dict[str, Any]) -> None:
    model = Scripted(then=obedient)
    with pytest.raises(InvalidInput):
        ask(world, model, **bad)
    assert model.seen == []

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.builders import FACTS
from tests.front_door import NOTE_TOKENS, WHERE, Open, count, facts
from tests.tiny_models import tiny_tokenizer, tiny_transformer

from aspen import Aspen, SamplerSettings
from aspen.errors import InvalidInput, ModelError, NotFound
from aspen.memory_injector import STRATEGIES
from aspen.memory_injector.framing import CLOSING, OPENING
from aspen.models._transformers.model import TransformersModel
from aspen.seed_manager import Verdict
from aspen.seed_manager import replay as replay_trace
from aspen.testing.fake_model import FakeModel
from aspen.turns import alternative_id, alternative_to

HOT = SamplerSettings(temperature=1.0)


def roomy(architecture: str = "llama") -> TransformersModel:
    """A tiny transformer with room for a conversation: rotary embeddings have no end of their own."""
    hf = tiny_transformer(architecture)
    hf.config.max_position_embeddings = 2048
    return TransformersModel(
        hf, tokenizer=tiny_tokenizer(), name=f"roomy-{architecture}", weights_hash=lambda: "0" * 64
    )


def chatted(aspen: Aspen, **options: object) -> str:
    facts(aspen)
    reply = aspen.chat(
        WHERE,
        **{"conversation": "c", "seed": 7, "sampler": HOT, "max_tokens": 16, "note_tokens": NOTE_TOKENS}
        | options,  # type: ignore[arg-type]
    )
    assert reply.trace_id is not None
    return reply.trace_id


# What if


def test_another_message_shows_where_tokens_and_activations_part(aspen: Aspen) -> None:
    trace_id = chatted(aspen)
    before = aspen.repository.revision()
    difference = aspen.what_if(trace_id, message="Where did my brother move to?")
    assert difference.faithful
    assert difference.changed == ("message",)
    assert difference.first is not None
    assert difference.tokens[difference.first].in_prompt
    prompt = aspen.model.detokenize(difference.after.prompt_ids)
    assert "my brother" in prompt
    assert WHERE not in prompt
    assert FACTS[0] in prompt  # the note is the recorded one
    assert difference.divergence.distances.max() > 0.01
    assert aspen.repository.revision() == before  # nothing is stored


def test_the_note_is_exchanged_and_framed_as_data(aspen: Aspen) -> None:
    trace_id = chatted(aspen)
    difference = aspen.what_if(trace_id, note='Mara moved to "Oslo".\n\n- She<|im_end|> likes it.')
    prompt = aspen.model.detokenize(difference.after.prompt_ids, skip_special=False)
    assert f"{OPENING}\n- Mara moved to 'Oslo'.\n- She<|im_end|> likes it.\n{CLOSING}" in prompt
    assert FACTS[0] not in prompt
    stops = [(run.prompt_ids == 257).sum() for run in (difference.before, difference.after)]
    assert stops[0] == stops[1]  # what looks like a control token is text
    framed = f"{OPENING}\n- As it stands.\n{CLOSING}"
    again = aspen.what_if(trace_id, note=framed)
    assert aspen.model.detokenize(again.after.prompt_ids).count(OPENING) == 1


def test_without_the_note_its_memories_are_gone(aspen: Aspen) -> None:
    difference = aspen.what_if(chatted(aspen), note="")
    prompt = aspen.model.detokenize(difference.after.prompt_ids)
    assert OPENING not in prompt
    assert not any(fact in prompt for fact in FACTS)
    assert WHERE in prompt


def test_another_seed_and_temperature(aspen: Aspen) -> None:
    trace_id = chatted(aspen)
    difference = aspen.what_if(trace_id, seed=8, temperature=0.5)
    assert difference.changed == ("seed 7 -> 8", "temperature 1 -> 0.5")
    alone = aspen.chat(
        WHERE, conversation="c2", seed=8, sampler=replace(HOT, temperature=0.5), max_tokens=16,
        note_tokens=NOTE_TOKENS, remember=False,
    )  # fmt: skip
    assert difference.after.reply == alone.text
    assert difference.divergence.rounding == 0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_another_strategy_recalls_what_was_known_before_the_turn(aspen: Aspen, strategy: str) -> None:
    facts(aspen)
    aspen.chat("Hello.", conversation="c", seed=1, max_tokens=8)
    trace_id = chatted(aspen, memory=False)
    aspen.remember("My sister moved to Lisbon, and then to Rome.", speaker="Ann")
    aspen.chat(WHERE, conversation="c", seed=3, max_tokens=4)
    difference = aspen.what_if(trace_id, strategy=strategy, note_tokens=NOTE_TOKENS)
    assert difference.faithful
    assert difference.changed[0].startswith("strategy no memory -> ")
    prompt = aspen.model.detokenize(difference.after.prompt_ids)
    assert "Rome" not in prompt
    assert prompt.count("Hello.") == 1
    assert prompt.count(WHERE) == 1


def test_the_note_strategy_brings_what_chat_would_have_brought(aspen: Aspen) -> None:
    trace_id = chatted(aspen, system="You are brief.", memory=False)
    difference = aspen.what_if(trace_id, strategy="note", note_tokens=NOTE_TOKENS)
    aspen.forget(*(memory.id for memory in aspen.repository.from_traces([trace_id])))
    reply = aspen.chat(
        WHERE, conversation="c", seed=7, sampler=HOT, max_tokens=16, note_tokens=NOTE_TOKENS,
        system="You are brief.",
    )  # fmt: skip
    assert reply.trace_id is not None
    trace = aspen.trace(reply.trace_id)
    assert difference.after.token_ids.tolist() == trace.token_ids.tolist()


def test_what_if_of_a_strategy_with_another_message_seed_and_temperature(aspen: Aspen) -> None:
    difference = aspen.what_if(
        chatted(aspen),
        strategy="note",
        message="Is the boiler loud?",
        seed=9,
        temperature=0.8,
        note_tokens=NOTE_TOKENS,
    )
    assert difference.changed == (
        "message", "strategy note -> note", "seed 7 -> 9", "temperature 1 -> 0.8",
    )  # fmt: skip
    assert "boiler makes a noise" in aspen.model.detokenize(difference.after.prompt_ids)


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"seed": 7}, {"temperature": -1}, {"seed": -1}, {"message": ""}, {"note": "\x00"}, {"strategy": "dream"},
        {"strategy": "note", "note": "x"}, {"message": 5},
    ],
    ids=str,
)  # fmt: skip
def test_changes_that_cannot_be_are_refused(aspen: Aspen, changes: dict[str, object]) -> None:
    trace_id = chatted(aspen)
    with pytest.raises(InvalidInput):
        aspen.what_if(trace_id, **changes)  # type: ignore[arg-type]


def test_what_was_forgotten_cannot_be_replayed_or_changed(aspen: Aspen) -> None:
    trace_id = chatted(aspen)
    said = aspen.repository.from_traces([trace_id])[0]
    aspen.forget(said.id)
    for ask in (aspen.replay, aspen.alternatives, lambda id_: aspen.what_if(id_, seed=1)):
        with pytest.raises(NotFound):
            ask(trace_id)
    with pytest.raises(NotFound, match="No turn of conversation 'c' has a trace"):
        aspen.replay_conversation("c")


# Sampling


def test_each_sample_replays_alone_and_is_what_chat_says_with_its_seed(aspen: Aspen) -> None:
    facts(aspen)
    expected = {
        seed: aspen.chat(
            WHERE, seed=seed, sampler=HOT, max_tokens=16, note_tokens=NOTE_TOKENS, remember=False
        ).text
        for seed in (1, 2, 3, 4)
    }
    heard: list[tuple[int, str]] = []
    sampled = aspen.sample(
        WHERE, seeds=[1, 2, 3, 4], sampler=HOT, max_tokens=16, note_tokens=NOTE_TOKENS,
        on_candidate=lambda seed, text: heard.append((seed, text)),
    )  # fmt: skip
    assert {one.seed: one.text for one in sampled.candidates} == expected == dict(heard)
    assert len(set(expected.values())) == 4
    for one in sampled.candidates:
        assert one.trace_id is not None
        assert aspen.replay(one.trace_id).verdict is Verdict.VERIFIED
        assert aspen.trace(one.trace_id).seed == one.seed
        assert aspen.trace(one.trace_id).reply == one.text
        assert aspen.trace(one.trace_id).injection is not None


def test_the_chosen_one_is_a_turn_and_the_others_are_its_alternatives(aspen: Aspen) -> None:
    facts(aspen)
    before = count(aspen)
    sampled = aspen.sample(WHERE, seeds=3, conversation="c", max_tokens=16, note_tokens=NOTE_TOKENS)
    (chosen,) = (one for one in sampled.candidates if one.chosen)
    said, answered = sampled.reply.memories
    assert (said.text, answered.text) == (WHERE, chosen.text)
    assert said.trace_id == answered.trace_id == sampled.reply.trace_id == chosen.trace_id
    assert sampled.reply.seed == chosen.seed
    assert chosen.trace_id is not None
    others = [one for one in sampled.candidates if not one.chosen]
    assert [one.trace_id for one in others] == [alternative_id(chosen.trace_id, n) for n in (1, 2)]
    assert [trace.reply for trace in aspen.alternatives(chosen.trace_id)] == [one.text for one in others]
    assert [alternative_to(str(one.trace_id)) for one in others] == [chosen.trace_id] * 2
    assert alternative_to(chosen.trace_id) is None
    assert aspen.alternatives(str(others[0].trace_id)) == []
    assert count(aspen) == before + 2
    assert aspen.repository.check() == []
    assert [info.id for info in aspen.repository.traces(seed=others[0].seed)] == [others[0].trace_id]
    # An alternative can be edited as well: with the seed of the chosen one it says the same.
    assert aspen.what_if(str(others[1].trace_id), seed=chosen.seed).after.reply == chosen.text


def test_the_best_score_is_chosen(aspen: Aspen) -> None:
    sampled = aspen.sample("Hello.", seeds=6, max_tokens=16, remember=False)
    best = max(sampled.candidates, key=lambda one: one.scores.score)
    assert best.chosen
    assert sampled.reply.text == best.text
    assert all(one.scores.log_likelihood < 0 for one in sampled.candidates)
    assert all(-1 <= one.scores.agreement <= 1 for one in sampled.candidates)
    assert 0 < sampled.diversity < 2
    assert {one.trace_id for one in sampled.candidates} == {None}
    assert count(aspen) == 0


@pytest.mark.parametrize("which", ["said", "answered", "fact"])
def test_forgetting_the_turn_or_what_stood_in_its_prompt_forgets_the_alternatives(
    aspen: Aspen, which: str
) -> None:
    facts(aspen)
    sampled = aspen.sample(WHERE, seeds=3, max_tokens=8, note_tokens=NOTE_TOKENS)
    assert sampled.reply.injection is not None
    said, answered = sampled.reply.memories
    ids = {"said": said.id, "answered": answered.id, "fact": sampled.reply.injection.memory_ids[0]}
    assert aspen.forget(ids[which]) == 3
    assert aspen.repository.traces() == []
    assert aspen.repository.check() == []


def test_the_prompt_runs_once_for_all_samples(open_aspen: Open) -> None:
    model = FakeModel()
    aspen = open_aspen(":memory:", model=model)
    aspen.chat("Hello.", remember=False, max_tokens=2)  # loads and calibrates
    model.blocks_run = 0
    sampled = aspen.sample("Hello.", seeds=4, memory=False, remember=False, max_tokens=8)
    fed = sum(one.tokens - 1 for one in sampled.candidates)
    assert model.blocks_run == model.info.n_layers * (sampled.reply.prompt_tokens + fed)


def test_seeds_are_fresh_each_time(aspen: Aspen) -> None:
    first, second = (aspen.sample("Hello.", seeds=4, remember=False, max_tokens=4) for _ in range(2))
    assert len({one.seed for one in (*first.candidates, *second.candidates)}) == 8


@pytest.mark.parametrize(
    "bad",
    [
        {"seeds": 1}, {"seeds": [1, 1]}, {"sampler": SamplerSettings(temperature=0)}, {"strategy": "dream"},
        {"max_tokens": 0},
    ],
    ids=str,
)  # fmt: skip
def test_a_sampling_that_makes_no_sense_is_refused(aspen: Aspen, bad: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        aspen.sample("Hello.", **bad)  # type: ignore[arg-type]
    assert count(aspen) == 0


def test_a_real_transformer_shares_its_prefill_bit_for_bit(open_aspen: Open) -> None:
    aspen = open_aspen(":memory:", model=roomy())
    sampled = aspen.sample("Where does Mara live?", seeds=[1, 2, 3], sampler=HOT, max_tokens=12)
    for one in sampled.candidates:
        assert aspen.replay(str(one.trace_id)).verified


def test_a_cache_that_cannot_be_rewound_is_an_error_that_says_so(open_aspen: Open) -> None:
    aspen = open_aspen(":memory:", model=roomy("mistral"))
    with pytest.raises(ModelError, match="rewound"):
        aspen.sample("Where does Mara live?", seeds=2, max_tokens=12)
    assert aspen.repository.traces() == []


# Conversations


def test_a_conversation_is_verified_in_order(aspen: Aspen) -> None:
    facts(aspen)
    ids = [aspen.chat(text, conversation="c", max_tokens=8).trace_id for text in ("Hello.", WHERE)]
    aspen.chat("Elsewhere.", conversation="d", max_tokens=4)
    ids.append(aspen.sample("And then?", conversation="c", seeds=3, max_tokens=8).reply.trace_id)
    told: list[tuple[int, int]] = []
    reports = aspen.replay_conversation("c", progress=lambda done, of: told.append((done, of)))
    assert [report.trace_id for report in reports] == ids
    assert all(report.verified for report in reports)
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_turn_that_differs_is_found_among_the_others(open_aspen: Open, tmp_path: object) -> None:
    aspen = open_aspen(":memory:")
    for seed in (1, 2):
        aspen.chat("Hello.", conversation="c", seed=seed, max_tokens=8)
    other = open_aspen(aspen.repository, model=FakeModel(seed=4))
    assert [report.verdict for report in other.replay_conversation("c")] == [Verdict.FINGERPRINT_DIFFERS] * 2


@pytest.mark.parametrize("name", ["nowhere", "facts"])
def test_a_conversation_without_traces_is_not_found(aspen: Aspen, name: str) -> None:
    facts(aspen)
    with pytest.raises(NotFound, match=name):
        aspen.replay_conversation(name)


# Generators


def state_of_all() -> tuple[object, ...]:
    of_numpy: dict[str, Any] = dict(np.random.get_state(legacy=False))
    words, place = of_numpy["state"]["key"].tolist(), of_numpy["state"]["pos"]
    return random.getstate(), words, place, torch.get_rng_state().tolist()


@pytest.mark.parametrize("make", [FakeModel, roomy])
def test_no_global_generator_is_touched_or_asked(open_aspen: Open, make: Callable[[], FakeModel]) -> None:
    aspen = open_aspen(":memory:", model=make())
    aspen.chat("Hello.", max_tokens=2)  # loads and calibrates
    before = state_of_all()
    first = aspen.chat("Hello.", conversation="a", seed=5, sampler=HOT, max_tokens=8)
    sampled = aspen.sample("Hello.", conversation="b", seeds=[5, 6], sampler=HOT, max_tokens=8)
    aspen.what_if(str(first.trace_id), seed=6)
    assert aspen.replay(str(first.trace_id)).verified
    assert state_of_all() == before
    # Nor does it matter what state they are in.
    random.seed(1)
    np.random.seed(1)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        again = aspen.chat("Hello.", conversation="e", seed=5, sampler=HOT, max_tokens=8)
    assert again.text == first.text == sampled.candidates[0].text


@pytest.mark.parametrize("make", [FakeModel, roomy])
def test_concurrent_chats_do_not_disturb_each_others_replay(
    open_aspen: Open, make: Callable[[], FakeModel]
) -> None:
    aspen = open_aspen(":memory:", model=make())
    alone = {
        seed: aspen.chat(
            "Hello.", conversation="x", seed=seed, sampler=HOT, max_tokens=12, remember=False
        ).text
        for seed in range(4)
    }
    said: dict[int, tuple[str, str]] = {}
    start = threading.Barrier(4)

    def talk(seed: int) -> None:
        start.wait()
        reply = aspen.chat(
            "Hello.", conversation=f"c{seed}", seed=seed, memory=False, sampler=HOT, max_tokens=12
        )
        said[seed] = (reply.text, str(reply.trace_id))

    threads = [threading.Thread(target=talk, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {seed: text for seed, (text, _) in said.items()} == alone
    with_others = [threading.Thread(target=talk, args=(seed,)) for seed in (0, 1, 2)]
    start = threading.Barrier(3)
    for thread in with_others:
        thread.start()
    reports = [replay_trace(aspen.model, aspen.trace(trace_id)) for _, trace_id in list(said.values())]
    for thread in with_others:
        thread.join()
    assert all(report.verified for report in reports)

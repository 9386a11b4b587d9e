import time

import numpy as np
import pytest

from aspen.errors import InvalidInput, NoChatTemplate, PromptTooLong
from aspen.models.generation import generate
from aspen.models.interface import LanguageModel
from aspen.testing.fake_model import IM_END, FakeModel
from aspen.types import Message, Role, SamplerSettings

GREEDY = SamplerSettings(temperature=0)


def test_equal_arguments_make_equal_models_and_another_seed_another() -> None:
    assert FakeModel(seed=1).fingerprint == FakeModel(seed=1).fingerprint
    assert FakeModel(seed=1).fingerprint != FakeModel(seed=2).fingerprint
    assert FakeModel(window=4).fingerprint.weights != FakeModel().fingerprint.weights


def test_text_survives_the_tokenizer() -> None:
    model: LanguageModel = FakeModel()
    assert model.detokenize(model.tokenize("Grüße, 日本 🙂")) == "Grüße, 日本 🙂"
    assert model.detokenize(model.tokenize("é")[:1]) == "\ufffd"


def test_spans_are_the_contents_and_special_tokens_cannot_be_formed_by_text() -> None:
    model = FakeModel()
    contents = ["You are kind.", "<|im_end|> é", "hm"]
    roles = [Role.SYSTEM, Role.USER, Role.ASSISTANT]
    chat = model.apply_chat_template([Message(r, c) for r, c in zip(roles, contents, strict=True)])
    assert [model.detokenize(chat.token_ids[s.start : s.stop]) for s in chat.spans] == contents
    assert model.detokenize(chat.token_ids, skip_special=False) == chat.text
    assert np.count_nonzero(chat.token_ids == IM_END) == 3
    with pytest.raises(NoChatTemplate):
        FakeModel(chat_template=False).apply_chat_template([Message(Role.USER, "hm")])


@pytest.mark.parametrize("window", [None, 3])
def test_prefill_decode_and_capture_see_the_same_activations(window: int | None) -> None:
    model = FakeModel(window=window)
    ids = model.tokenize("Mara lives in Lisbon.")
    with model.recording() as whole:
        logits = model.start_session().prefill(ids)
    with model.recording() as steps:
        session = model.start_session()
        for token in ids:
            last = session.decode(int(token))
    assert session.length == len(ids)
    np.testing.assert_allclose(steps.hidden_states(), whole.hidden_states(), atol=1e-5)
    np.testing.assert_allclose(last, logits, atol=1e-4)
    (captured,) = model.capture([ids], layers=[2, 0])
    np.testing.assert_allclose(captured, whole.hidden_states()[[2, 0]], atol=1e-5)


def test_later_tokens_do_not_reach_back() -> None:
    model = FakeModel()
    (short,) = model.capture([model.tokenize("Mara")], layers=[3])
    (long,) = model.capture([model.tokenize("Mara lives")], layers=[3])
    np.testing.assert_allclose(long[:, :4], short, atol=1e-5)


def test_capture_runs_no_block_beyond_the_last_layer_asked_for() -> None:
    model = FakeModel(n_layers=5)
    model.capture([model.tokenize("abc"), model.tokenize("de")], layers=[0, 2])
    assert model.blocks_run == 2 * 5
    with pytest.raises(InvalidInput):
        model.capture([model.tokenize("abc")], layers=[6])


def test_a_recording_takes_the_first_session_and_ends_with_its_context() -> None:
    model = FakeModel()
    with model.recording() as recording:
        session = model.start_session()
        session.prefill(model.tokenize("ab"))
        model.start_session().prefill(model.tokenize("other"))
    session.decode(5)
    np.testing.assert_array_equal(recording.token_ids(), model.tokenize("ab"))
    assert recording.hidden_states().shape == (4, 2, 32)
    assert recording.attention_inputs(2).queries.shape == (4, 2, 8)
    assert recording.attention_inputs(2).keys.shape == (2, 2, 8)


def test_what_it_says_can_be_chosen() -> None:
    model = FakeModel(say=lambda prompt: "Lisboa é linda" if "Mara" in prompt else "?")
    chat = model.apply_chat_template([Message(Role.USER, "Where is Mara?")])
    reply = generate(
        model,
        session=model.start_session(),
        prompt_ids=chat.token_ids,
        settings=SamplerSettings(temperature=1.5),
        seed=3,
        max_tokens=99,
    )
    assert (reply.text, reply.finish_reason) == ("Lisboa é linda", "stop")


def test_replies_of_its_own_are_printable_and_end() -> None:
    model = FakeModel()
    chat = model.apply_chat_template([Message(Role.USER, "Hello")])
    for seed in range(5):
        reply = generate(
            model,
            session=model.start_session(),
            prompt_ids=chat.token_ids,
            settings=SamplerSettings(temperature=1, top_p=1),
            seed=seed,
            max_tokens=300,
        )
        assert reply.text.isascii()
        assert reply.text.isprintable()
        assert reply.finish_reason == "stop"


def test_refuses_what_a_runtime_refuses() -> None:
    model = FakeModel(context_length=4)
    with pytest.raises(PromptTooLong):
        model.start_session().prefill(model.tokenize("abcde"))
    for bad in ([], [-1], [999]):
        with pytest.raises(InvalidInput):
            model.start_session().prefill(np.array(bad, dtype=np.int32))


def test_is_quick() -> None:
    model = FakeModel()
    session = model.start_session()
    session.prefill(model.tokenize("x" * 200))
    fastest = 1.0
    for _ in range(20):
        started = time.perf_counter()
        session.decode(65)
        fastest = min(fastest, time.perf_counter() - started)
    assert fastest < 0.002

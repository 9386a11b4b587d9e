"""`Aspen.ask` with a model that an HTTP server runs: the whole way, from the question to the answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.acceptance.creator import fill
from tests.endpoint_server import EndpointServer, Fault, serve
from tests.front_door import facts

from aspen import Aspen, Config
from aspen.errors import MissingDependency, ModelError
from aspen.memory_agent import TOOLS, Orchestration
from aspen.memory_agent.endpoint_model import EndpointAgentModel
from aspen.models import LanguageModel, bundled, load_model
from aspen.testing.fake_model import FakeModel

QUESTION = "How do I handle creative burnout?"
CONTEXT = 40_000  # FakeModel has a token per byte


@pytest.fixture
def aspen(config: Config) -> Iterator[Aspen]:
    with Aspen.open(":memory:", model=FakeModel(), config=config) as aspen:
        facts(aspen)
        yield aspen


@pytest.fixture
def server() -> Iterator[EndpointServer]:
    with serve(FakeModel(context_length=CONTEXT)) as server:
        yield server


def endpoint(server: EndpointServer, *, retries: int = 0) -> EndpointAgentModel:
    return EndpointAgentModel(server.url, model=server.model.info.name, retries=retries)


@pytest.mark.parametrize("orchestration", Orchestration)
def test_a_model_that_knows_nothing_still_leads_to_an_answer(
    aspen: Aspen, server: EndpointServer, orchestration: Orchestration
) -> None:
    with endpoint(server) as model:
        answer = aspen.ask("Where did my sister move to?", model=model, orchestration=orchestration, seed=1)
    assert answer.memories[0].memory.text == "My sister Mara moved to Lisbon last year."
    assert answer.model == f"fake-0 at {server.url}"
    assert answer.turns == len(server.received) > 1
    assert answer.prompt_tokens > 0 and answer.reply_tokens > 0
    # It calls whatever its weights say, within the schemas; the plan makes up for it.
    assert answer.finished_by == "fallback"
    assert answer.reason
    offered = {
        tool["function"]["name"] for request in server.received for tool in request.body.get("tools", ())
    }
    assert offered <= TOOLS.keys() - {"remember", "relate"}


def test_every_result_goes_back_under_the_id_of_its_call(aspen: Aspen, server: EndpointServer) -> None:
    with endpoint(server) as model:
        aspen.ask("Where did my sister move to?", model=model, seed=1)
    *_, last, _ = server.received  # the last one of all is the request for the answer
    calls, results = [], []
    for message in last.body["messages"]:
        calls += [call["id"] for call in message.get("tool_calls", ())]
        results += [message["tool_call_id"]] if message["role"] == "tool" else []
    assert calls == results
    assert len(set(calls)) == len(calls) > 0


def test_the_answer_is_written_from_the_note_alone(aspen: Aspen, server: EndpointServer) -> None:
    aspen.remember("The alarm code is 7741.", speaker="Ann")
    with endpoint(server) as model:
        answer = aspen.ask("Where did my sister move to?", model=model, limit=1, seed=1)
    assert answer.note is not None
    final = server.received[-1].body["messages"]
    assert "Lisbon" in final[0]["content"]
    assert "7741" not in str(final)


def test_a_server_that_fails_halfway_is_an_error(aspen: Aspen, server: EndpointServer) -> None:
    server.faults.extend([Fault(), Fault(status=500, body="out of memory")])
    with endpoint(server) as model, pytest.raises(ModelError, match="out of memory"):
        aspen.ask("Where did my sister move to?", model=model, seed=1)


def test_a_server_that_stumbles_is_asked_again(aspen: Aspen, server: EndpointServer) -> None:
    server.faults.extend([Fault(), Fault(status=500, headers={"retry-after": "0.01"})])
    with endpoint(server, retries=1) as model:
        assert aspen.ask("Where did my sister move to?", model=model, seed=1).memories


@pytest.fixture(scope="module")
def bundled_model() -> LanguageModel:
    try:
        bundled.find_source()
    except MissingDependency as error:
        pytest.skip(str(error))
    return load_model("bundled", cache_dir=Config.from_environment().cache_dir, device="cpu", threads=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "orchestration", [Orchestration.TOOL, pytest.param(Orchestration.PROMPT, marks=pytest.mark.long)]
)
def test_the_bundled_model_behind_an_endpoint_finds_the_belief(
    bundled_model: LanguageModel, orchestration: Orchestration
) -> None:
    with (
        Aspen.open(":memory:", model=bundled_model) as aspen,
        serve(bundled_model) as server,
        endpoint(server) as model,
    ):
        fill(aspen)
        answer = aspen.ask(QUESTION, model=model, orchestration=orchestration, seed=7)
    found = {one.memory.source: one for one in answer.memories}
    belief = found["belief-work-life-balance"]
    assert belief.activation > 0
    assert any(path.relations for path in belief.paths)
    assert answer.written_by == "model"
    assert answer.steps[0].tool == "search_memories"
    assert any(step.by == "model" and not step.error for step in answer.steps)

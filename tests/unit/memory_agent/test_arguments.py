from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aspen.errors import InvalidInput
from aspen.memory_agent import TOOLS
from aspen.memory_agent.arguments import check_arguments
from aspen.memory_agent.tools import MAX_QUERY, as_query, narrowed
from aspen.models import json_grammar
from aspen.testing.fake_model import FakeModel

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["self", "supports", "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
NAMES = sorted({name for tool in TOOLS.values() for name in tool.parameters["properties"]})


def check(tool: str, **arguments: Any) -> None:
    check_arguments(arguments, TOOLS[tool].parameters)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("search_memories", {"query": "q"}),
        ("search_memories", {"query": "q" * MAX_QUERY, "limit": 20, "types": ["self", "belief"]}),
        ("search_memories", {"query": "q", "use_spreading_activation": True}),
        ("get_memories", {"ids": ["1", 2, "m_0123456789abcdef0123"]}),
        ("spread_activation", {"seed_ids": [1], "type_boost": {"self": 2, "pattern": 1.5}, "decay": 1}),
        ("spread_activation", {"seed_ids": ["1"], "max_hops": 0, "relation_types": ["supports"]}),
        ("spread_activation", {"seed_ids": ["1"], "type_boost": {}, "min_weight": 0.5, "top_k": 50}),
        ("remember", {"text": "t", "type": "belief", "importance": 0, "tags": []}),
        ("relate", {"source": 1, "target": "2", "relation": "causes", "weight": 1}),
    ],
)
def test_what_the_schema_admits_passes(tool: str, arguments: dict[str, Any]) -> None:
    check(tool, **arguments)


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("search_memories", {}, "lack 'query'"),
        ("search_memories", {"query": ""}, "query must have 1 to 500 characters, got 0"),
        ("search_memories", {"query": "q" * (MAX_QUERY + 1)}, "got 501"),
        ("search_memories", {"query": 7}, "query must be a text, got 7"),
        ("search_memories", {"query": None}, "query must be a text, got None"),
        ("search_memories", {"query": "q", "limit": 0}, r"limit must be in \[1, 20\], got 0"),
        ("search_memories", {"query": "q", "limit": 21}, "limit"),
        ("search_memories", {"query": "q", "limit": True}, "limit must be a whole number, got True"),
        ("search_memories", {"query": "q", "limit": 5.0}, "whole number"),
        ("search_memories", {"query": "q", "limit": "5"}, "whole number"),
        ("search_memories", {"query": "q", "types": ["dream"]}, r"types\[0\] must be one of self"),
        ("search_memories", {"query": "q", "types": "self"}, "types must be a list"),
        ("search_memories", {"query": "q", "use_spreading_activation": 1}, "true or false"),
        ("search_memories", {"query": "q", "tenant": "other"}, "have no 'tenant'"),
        ("get_memories", {"ids": []}, "1 to 20 entries, got 0"),
        ("get_memories", {"ids": ["1"] * 21}, "got 21"),
        ("get_memories", {"ids": [["1"]]}, r"ids\[0\] must be a text or a whole number"),
        ("get_memories", {"ids": [0]}, r"ids\[0\] must be in \[1, 9999\]"),
        ("get_memories", {"ids": ["x" * 41]}, r"ids\[0\] must have 1 to 40 characters"),
        ("spread_activation", {"seed_ids": ["1"], "max_hops": 4}, "max_hops"),
        ("spread_activation", {"seed_ids": ["1"], "decay": 0}, "decay"),
        ("spread_activation", {"seed_ids": ["1"], "decay": float("nan")}, "decay"),
        ("spread_activation", {"seed_ids": ["1"], "min_weight": float("inf")}, "min_weight"),
        ("spread_activation", {"seed_ids": ["1"], "type_boost": {"self": 0.5}}, "self must be in"),
        ("spread_activation", {"seed_ids": ["1"], "type_boost": {"dream": 2}}, "type_boost have no 'dream'"),
        ("spread_activation", {"seed_ids": ["1"], "type_boost": [2]}, "type_boost must be an object"),
        ("relate", {"source": 1, "target": 2, "relation": "next"}, "relation must be one of"),
        ("relate", {"source": 1, "target": 2, "relation": "co_activated"}, "relation must be one of"),
        ("relate", {"source": 1, "target": 2, "relation": "historical_version_of"}, "relation"),
    ],
)
def test_what_it_does_not_admit_is_refused_with_its_place(
    tool: str, arguments: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        check(tool, **arguments)


@settings(deadline=None)
@given(tool=st.sampled_from(sorted(TOOLS)), arguments=st.dictionaries(st.sampled_from(NAMES), JSON))
def test_whatever_a_model_writes_passes_or_is_refused_in_few_words(
    tool: str, arguments: dict[str, Any]
) -> None:
    try:
        check(tool, **arguments)
    except InvalidInput as error:
        assert len(error.message) < 300


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_says_what_it_does_and_shows_a_call_that_it_admits(name: str) -> None:
    tool = TOOLS[name]
    assert tool.description.endswith(".")
    (example,) = tool.parameters["examples"]
    check_arguments(example, tool.parameters)
    assert json_grammar(FakeModel(), tool.parameters).start().allowed().any()


def test_a_choice_is_of_its_own_kind() -> None:
    schema = narrowed("search_memories", {"use_spreading_activation": {"type": "boolean", "enum": [True]}})
    check_arguments({"use_spreading_activation": True}, schema.parameters)
    for other in (False, 1, 1.0, "true"):
        with pytest.raises(InvalidInput, match="one of True"):
            check_arguments({"use_spreading_activation": other}, schema.parameters)


def test_a_narrowed_tool_asks_for_its_few_arguments_and_nothing_else() -> None:
    tool = narrowed("search_memories", {"query": {"type": "string", "maxLength": 9}})
    check_arguments({"query": "short"}, tool.parameters)
    for refused in ({}, {"query": "short", "limit": 3}, {"query": "much too long"}):
        with pytest.raises(InvalidInput):
            check_arguments(refused, tool.parameters)
    assert tool.parameters["examples"] == [{"query": "Where does my sister live?"}]


@pytest.mark.parametrize("question", ["a b", "word " * 300, "x" * 900, "a\n b\tc"])
def test_a_question_becomes_a_query_of_whole_words_on_one_line(question: str) -> None:
    query = as_query(question)
    assert 0 < len(query) <= MAX_QUERY
    assert query.split() == question.split()[: len(query.split())] or " " not in query
    assert "\n" not in query

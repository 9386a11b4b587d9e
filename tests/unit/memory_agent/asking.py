"""Tools and a question, and how tests ask a server with a client of their own."""

from __future__ import annotations

from typing import Any

from tests.endpoint_server import EndpointServer

from aspen.memory_agent.endpoint_model import EndpointAgentModel
from aspen.memory_agent.interface import AgentMessage, AgentTurn, Tool

SEARCH = Tool(
    "search_memories",
    "Search what is remembered.",
    {
        "type": "object",
        "properties": {
            "query": {"type": "string", "minLength": 1, "maxLength": 40},
            "limit": {"type": "integer", "minimum": 1, "maximum": 20},
        },
        "required": ["query", "limit"],
        "additionalProperties": False,
    },
)
SPREAD = Tool(
    "spread_activation",
    "Follow relations from memories.",
    {
        "type": "object",
        "properties": {
            "seed_ids": {"type": "array", "items": {"type": "string", "maxLength": 8}, "maxItems": 3}
        },
        "required": ["seed_ids"],
        "additionalProperties": False,
    },
)
TOOLS = (SEARCH, SPREAD)
QUESTION = "How do I handle creative burnout?"
ASKED = (AgentMessage("system", "You look memories up."), AgentMessage("user", QUESTION))


def ask(server: EndpointServer, *messages: AgentMessage, **options: Any) -> AgentTurn:
    """One turn of a new client."""
    given = {"must": "call", "tools": TOOLS, "max_tokens": 400, "seed": 1}
    turn = {name: options.pop(name, value) for name, value in given.items()}
    with EndpointAgentModel(
        options.pop("url", server.url), **{"model": server.model.info.name, "retries": 0, **options}
    ) as model:
        return model.turn(messages or ASKED, **turn)

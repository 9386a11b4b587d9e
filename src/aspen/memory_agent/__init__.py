"""The recall agent: a model that finds memories with tools, and answers from them."""

from aspen.memory_agent.access import MemoryAccess
from aspen.memory_agent.agent import MemoryAgent
from aspen.memory_agent.answer import AgentAnswer, AgentStep, Evidence
from aspen.memory_agent.endpoint_model import EndpointAgentModel
from aspen.memory_agent.interface import AgentMessage, AgentModel, AgentTurn, Tool, ToolCall
from aspen.memory_agent.local_model import LocalAgentModel
from aspen.memory_agent.plan import Orchestration
from aspen.memory_agent.tool_runtime import Budget, ToolRuntime
from aspen.memory_agent.tools import TOOLS

__all__ = [
    "TOOLS",
    "AgentAnswer",
    "AgentMessage",
    "AgentModel",
    "AgentStep",
    "AgentTurn",
    "Budget",
    "EndpointAgentModel",
    "Evidence",
    "LocalAgentModel",
    "MemoryAccess",
    "MemoryAgent",
    "Orchestration",
    "Tool",
    "ToolCall",
    "ToolRuntime",
]

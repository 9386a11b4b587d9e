"""How activation travels between memories."""

from aspen.memory_graph.edge_source import EdgeSource, OutEdges
from aspen.memory_graph.hops import Frame
from aspen.memory_graph.paths import Path
from aspen.memory_graph.spreading_activation import Activation, spread_activation
from aspen.memory_graph.spreading_settings import SpreadingSettings
from aspen.memory_graph.turn_spreading import TurnGraph, TurnPath, spread_over_turns, strongest_turn_paths
from aspen.memory_graph.typed_graph import TypedGraph

__all__ = [
    "Activation",
    "EdgeSource",
    "Frame",
    "OutEdges",
    "Path",
    "SpreadingSettings",
    "TurnGraph",
    "TurnPath",
    "TypedGraph",
    "spread_activation",
    "spread_over_turns",
    "strongest_turn_paths",
]

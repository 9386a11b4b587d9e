"""How activation travels between memories, and which memories are alike."""

from aspen.memory_graph.carried import CarriedEdges, carried_edges
from aspen.memory_graph.clustering import linked
from aspen.memory_graph.coactivation import CoactivationSettings, WeightChange, strengthened
from aspen.memory_graph.duplicates import nearest_before
from aspen.memory_graph.edge_source import EdgeSource, OutEdges
from aspen.memory_graph.hops import Frame, Hop
from aspen.memory_graph.paths import Path
from aspen.memory_graph.presets import CARRYING, DEFAULT_PRESET, PRESETS, Preset, preset_settings
from aspen.memory_graph.priority import PriorityFacts, current_priority, priorities_of, priority_of
from aspen.memory_graph.spreading_activation import Activation, spread_activation
from aspen.memory_graph.spreading_settings import DEFAULT_TYPE_BOOST, SpreadingSettings
from aspen.memory_graph.stored_edges import StoredEdges
from aspen.memory_graph.stored_spreading import Activated, spread_in
from aspen.memory_graph.turn_spreading import (
    TurnGraph,
    TurnPath,
    spread_over_turns,
    strongest_turn_paths,
    turn_rounds,
)
from aspen.memory_graph.typed_graph import TypedGraph

__all__ = [
    "CARRYING",
    "DEFAULT_PRESET",
    "DEFAULT_TYPE_BOOST",
    "PRESETS",
    "Activated",
    "Activation",
    "CarriedEdges",
    "CoactivationSettings",
    "EdgeSource",
    "Frame",
    "Hop",
    "OutEdges",
    "Path",
    "Preset",
    "PriorityFacts",
    "SpreadingSettings",
    "StoredEdges",
    "TurnGraph",
    "TurnPath",
    "TypedGraph",
    "WeightChange",
    "carried_edges",
    "current_priority",
    "linked",
    "nearest_before",
    "preset_settings",
    "priorities_of",
    "priority_of",
    "spread_activation",
    "spread_in",
    "spread_over_turns",
    "strengthened",
    "strongest_turn_paths",
    "turn_rounds",
]

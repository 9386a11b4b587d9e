"""How activation travels between memories."""

from aspen.memory_graph.spreading_activation import Graph, Path, spread_activation, strongest_paths

__all__ = ["Graph", "Path", "spread_activation", "strongest_paths"]

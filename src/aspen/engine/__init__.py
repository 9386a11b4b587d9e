"""What needs the model, put together once it is loaded: encoder, search, strategies; and the model's re-ranker."""

from aspen.engine.engine import Engine

__all__ = ["Engine"]

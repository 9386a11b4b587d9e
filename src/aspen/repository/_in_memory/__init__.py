"""The store in plain dictionaries."""

from aspen.repository._in_memory._repository import InMemoryRepository

__all__ = ["InMemoryRepository"]

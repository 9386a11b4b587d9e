"""The store in one SQLite file."""

from aspen.repository._sqlite._repository import SQLiteRepository

__all__ = ["SQLiteRepository"]

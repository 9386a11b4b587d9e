"""The store in one SQLite file."""

from aspen.repository._sqlite._copying import copied_to
from aspen.repository._sqlite._pool import Session
from aspen.repository._sqlite._repository import SQLiteRepository

__all__ = ["SQLiteRepository", "Session", "copied_to"]

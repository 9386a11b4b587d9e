"""Stores: where memories, their keys, terms, edges and traces are kept.

`open_repository` chooses the store by its location; `interface` says what every store does.
"""

from aspen.repository._incoming import stamp_mismatch
from aspen.repository._memory import InMemoryRepository
from aspen.repository._opening import open_repository
from aspen.repository._sqlite import SQLiteRepository
from aspen.repository.interface import (
    MAX_TERM_LENGTH,
    NEXT,
    NO_TIME,
    Changes,
    Conversation,
    EdgeRows,
    EdgeStore,
    KeyStamp,
    KeyStore,
    KeywordStore,
    MemoryRows,
    MemoryStore,
    NewMemory,
    NewTrace,
    Postings,
    Repository,
    StatisticsStore,
    StoreStats,
    TraceInfo,
    TraceStore,
)

__all__ = [
    "MAX_TERM_LENGTH",
    "NEXT",
    "NO_TIME",
    "Changes",
    "Conversation",
    "EdgeRows",
    "EdgeStore",
    "InMemoryRepository",
    "KeyStamp",
    "KeyStore",
    "KeywordStore",
    "MemoryRows",
    "MemoryStore",
    "NewMemory",
    "NewTrace",
    "Postings",
    "Repository",
    "SQLiteRepository",
    "StatisticsStore",
    "StoreStats",
    "TraceInfo",
    "TraceStore",
    "open_repository",
    "stamp_mismatch",
]

"""Stores: where memories, their keys, terms, names, edges and traces are kept.

`open_repository` chooses the store by its location; `interface` says what every store does, `values` what goes in and
comes out.
"""

from aspen.repository._in_memory import InMemoryRepository
from aspen.repository._incoming import MAX_LIMIT, stamp_mismatch, to_microseconds
from aspen.repository._opening import open_repository
from aspen.repository._sqlite import SQLiteRepository
from aspen.repository.interface import (
    EdgeStore,
    FragmentStore,
    KeyStore,
    KeywordStore,
    MemoryStore,
    NameStore,
    Repository,
    SpreadingStore,
    StatisticsStore,
    TraceStore,
)
from aspen.repository.values import (
    MAX_NAME_LENGTH,
    MAX_TERM_LENGTH,
    NEXT,
    NO_TIME,
    AccessRows,
    Changes,
    Conversation,
    EdgeRows,
    KeyStamp,
    MemoryRows,
    Mention,
    MentionRows,
    NewMemory,
    NewTrace,
    PathRow,
    Postings,
    SpreadRows,
    StoreStats,
    TraceInfo,
    TraitRows,
    edges_of,
)

__all__ = [
    "MAX_LIMIT",
    "MAX_NAME_LENGTH",
    "MAX_TERM_LENGTH",
    "NEXT",
    "NO_TIME",
    "AccessRows",
    "Changes",
    "Conversation",
    "EdgeRows",
    "EdgeStore",
    "FragmentStore",
    "InMemoryRepository",
    "KeyStamp",
    "KeyStore",
    "KeywordStore",
    "MemoryRows",
    "MemoryStore",
    "Mention",
    "MentionRows",
    "NameStore",
    "NewMemory",
    "NewTrace",
    "PathRow",
    "Postings",
    "Repository",
    "SQLiteRepository",
    "SpreadRows",
    "SpreadingStore",
    "StatisticsStore",
    "StoreStats",
    "TraceInfo",
    "TraceStore",
    "TraitRows",
    "edges_of",
    "open_repository",
    "stamp_mismatch",
    "to_microseconds",
]

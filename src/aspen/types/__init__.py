"""The values that travel between Aspen's parts: plain, frozen, and free of behaviour.

Arrays are NumPy. Times are timezone-aware and in UTC; durations are seconds.
"""

from aspen.types.arrays import (
    FloatArray,
    Seqs,
    TokenIds,
)
from aspen.types.browsing import (
    DuplicatePair,
    Forgetting,
    MemoryPage,
    MemorySort,
)
from aspen.types.memories import (
    Edge,
    Emotion,
    LinkChange,
    Memory,
    MemoryItem,
    MemoryType,
    Provenance,
    Relation,
    RelationType,
    Stability,
)
from aspen.types.recalls import (
    ActivatedMemory,
    ArmReport,
    Hit,
    HitPath,
    PartialPass,
    Recall,
    Spread,
)
from aspen.types.traces import (
    AttentionSummary,
    Fingerprint,
    Injection,
    Message,
    Pass,
    PooledActivations,
    Role,
    SamplerSettings,
    Segment,
    Trace,
    TraceLevel,
)

__all__ = [
    "ActivatedMemory",
    "ArmReport",
    "AttentionSummary",
    "DuplicatePair",
    "Edge",
    "Emotion",
    "Fingerprint",
    "FloatArray",
    "Forgetting",
    "Hit",
    "HitPath",
    "Injection",
    "LinkChange",
    "Memory",
    "MemoryItem",
    "MemoryPage",
    "MemorySort",
    "MemoryType",
    "Message",
    "PartialPass",
    "Pass",
    "PooledActivations",
    "Provenance",
    "Recall",
    "Relation",
    "RelationType",
    "Role",
    "SamplerSettings",
    "Segment",
    "Seqs",
    "Spread",
    "Stability",
    "TokenIds",
    "Trace",
    "TraceLevel",
]

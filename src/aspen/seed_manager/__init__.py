"""Seeds, and running a trace again to see whether everything comes out the same."""

from aspen.seed_manager.replay import (
    ActivationDifference,
    FieldDifference,
    ReplayReport,
    TokenDifference,
    Verdict,
    compare,
    explain_fingerprint,
    replay,
    run_again,
)
from aspen.seed_manager.seeds import choose_seed

__all__ = [
    "ActivationDifference",
    "FieldDifference",
    "ReplayReport",
    "TokenDifference",
    "Verdict",
    "choose_seed",
    "compare",
    "explain_fingerprint",
    "replay",
    "run_again",
]

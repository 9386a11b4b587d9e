"""Seeds, running a trace again to see whether everything comes out the same, and what one small change does."""

from aspen.seed_manager.differences import (
    Difference,
    Divergence,
    Run,
    TokenPair,
    compare_runs,
    shared_tokens,
)
from aspen.seed_manager.edits import Edit, EditedRun, apply_edit, recorded_run, segment_text
from aspen.seed_manager.heat_map import HeatMap, draw_heat_map, heat_map, shaded
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
from aspen.seed_manager.sampling import (
    Comparison,
    Scores,
    choose_seeds,
    compare_candidates,
    sample_after,
)
from aspen.seed_manager.seeds import choose_seed

__all__ = [
    "ActivationDifference",
    "Comparison",
    "Difference",
    "Divergence",
    "Edit",
    "EditedRun",
    "FieldDifference",
    "HeatMap",
    "ReplayReport",
    "Run",
    "Scores",
    "TokenDifference",
    "TokenPair",
    "Verdict",
    "apply_edit",
    "choose_seed",
    "choose_seeds",
    "compare",
    "compare_candidates",
    "compare_runs",
    "draw_heat_map",
    "explain_fingerprint",
    "heat_map",
    "recorded_run",
    "replay",
    "run_again",
    "sample_after",
    "segment_text",
    "shaded",
    "shared_tokens",
]

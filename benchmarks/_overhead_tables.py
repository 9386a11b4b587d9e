"""The tables that `overhead.py` prints of its figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aspen.benchmarks import output

_STORE_ROWS = {
    "recall_p50_ms": "recall without the model, p50",
    "recall_p95_ms": "recall without the model, p95",
    "recall_after_write_p50_ms": "the same after a write, p50",
    "recall_after_amend_p50_ms": "after an edit, p50",
    "recall_after_relate_p50_ms": "after a new relation, p50",
    "recall_after_unrelate_p50_ms": "after a relation was removed, p50",
    "recall_after_forget_p50_ms": "after a memory was forgotten, p50",
    "write_ms": "remember one text, p50",
    "write_store_p50_ms": "of which the store, p50",
    "open_ms": "open, model loaded",
    "index_build_ms": "first recall: build the index",
    "first_recall_with_fit_ms": "first recall of all: fit the whitening",
    "bytes_per_memory": "bytes a memory",
}


def show(report: Mapping[str, Any]) -> None:
    """Print the tables."""
    rates = report["tokens_per_second"]
    output.table(
        f"Recording, {report['prompt_tokens']} tokens of prompt, {report['reply_tokens']} of reply",
        ["tokens a second, recording on", "share of off"],
        [
            ["decoding", f"{report['capture_tokens_per_second_ratio']:.3f}"],
            ["prefill and decoding", f"{report['capture_with_prefill_ratio']:.3f}"],
            ["the same, in processor time", f"{report['capture_processor_time_ratio']:.3f}"],
            ["whole chat turn, remembered", f"{report['chat_turn_ratio']:.3f}"],
        ],
        caption=f"decoding {rates['off']} tokens a second off, {rates['on']} on",
    )
    depths = list(report["partial_forward_ratio"])
    output.table(
        f"Partial forward pass: share of the time of all {report['n_layers']} blocks",
        ["to depth", *depths],
        [
            ["16 tokens", *(f"{report['partial_forward_ratio_16_tokens'][depth]:.2f}" for depth in depths)],
            ["64 tokens", *(f"{report['partial_forward_ratio'][depth]:.2f}" for depth in depths)],
        ],
    )
    levels = report["bytes_per_token"]
    output.table("Trace, bytes a token", list(levels), [[f"{size:,}" for size in levels.values()]])
    sizes = list(report["recall_p95_ms"])
    output.table(
        "Stores, ms (bytes in the last row)",
        ["memories", *sizes],
        [[name, *(f"{report[key][size]:,}" for size in sizes)] for key, name in _STORE_ROWS.items()],
    )

"""Looks for damage and orphans."""

from __future__ import annotations

from aspen.repository._postgres._pool import Session

_FINDINGS = {
    "check_missing_keys": "{} memories have no key of the current stamp.",
    "check_key_sizes": "{} stamps have keys of different lengths.",
    "check_stale_fragments": "{} KV fragments belong to another stamp than the current one.",
    "check_postings_without_memory": "There are postings of {} memories that are not there.",
    "check_term_counts": "{} memories have other terms than their postings say.",
    "check_traces_without_memory": "{} traces belong to no memory.",
    "check_forgotten_but_there": "{} memories are recorded as forgotten and are still there.",
    "check_last_seq": "{} memories are newer than the store's last number.",
}


def findings(session: Session) -> list[str]:
    """One sentence for each thing found, empty when sound. Other references, Postgres holds by itself."""
    counts = {query: session.value(query) for query in _FINDINGS}
    return [sentence.format(counts[query]) for query, sentence in _FINDINGS.items() if counts[query]]

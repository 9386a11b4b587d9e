"""Looks for damage and orphans."""

from __future__ import annotations

from aspen.repository._sqlite._pool import Session

_FINDINGS = {
    "check_missing_keys": "{} memories have no key of the current stamp.",
    "check_key_sizes": "{} stamps have keys of different lengths.",
    "check_stale_fragments": "{} KV fragments belong to another stamp than the current one.",
    "check_keywords_without_memory": "There are postings of {} memories that are not there.",
    "check_term_counts": "{} memories have other terms than their postings say.",
    "check_traces_without_memory": "{} traces belong to no memory.",
    "check_forgotten_but_there": "{} memories are recorded as forgotten and are still there.",
}


def findings(session: Session) -> list[str]:
    """One sentence for each thing found, empty when sound."""
    with session.reading():
        found = [f"SQLite: {line}." for (line,) in session.rows("integrity_check") if line != "ok"]
        for table, parent, count in session.rows("foreign_key_check"):
            found.append(f"{count} rows of {table} refer to a {parent} that is not there.")
        for query, sentence in _FINDINGS.items():
            count = session.value(query)
            if count:
                found.append(sentence.format(count))
        return found

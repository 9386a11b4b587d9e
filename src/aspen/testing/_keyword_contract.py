"""The contract of stores: keywords."""

# the name of a test says what must hold

from __future__ import annotations

import unicodedata

import pytest

from aspen.errors import InvalidInput
from aspen.repository import MAX_TERM_LENGTH, Repository
from aspen.testing.repository_builders import new_memory

_TERMS = [
    "near", "and", "the", "_", "under_score", "5g", "x00", "ⅷ", "ﬁ", "naïve", "na\u0131\u0308ve", "e\u0301", "\u0301",
    "strasse", "straße", "ς", "Σ", "北京", "ไทย", "🌱", "\u200d", "\u00a0", "\u3000", "\ufeff", "\U0010ffff",
    "o" * MAX_TERM_LENGTH, "北" * MAX_TERM_LENGTH,
]  # fmt: skip
"""Terms that a tokenizer or a query language could split, fold, drop or take for an operator."""
_NO_TERMS = [
    "NEAR", "a:b", 'quo"te', "it's", "-x", "*", "a%", "{}", "a b", " a", "", "\x00", "a\x00", "\n", "a\x85", "\ud800",
    "o" * (MAX_TERM_LENGTH + 1), 1, None,
]  # fmt: skip


class KeywordContract:
    """Tests of `KeywordStore`."""

    def test_postings_tell_every_place_of_a_term(self, store: Repository) -> None:
        a, b = store.add(
            [new_memory("a", terms=("to", "be", "or", "not", "to", "be")), new_memory("b", terms=("be",))]
        )
        to, nothing, be, again = store.postings(["to", "nothing", "be", "to"])
        assert (to.seqs.tolist(), to.positions.tolist()) == ([a.seq, a.seq], [0, 4])
        assert (be.seqs.tolist(), be.positions.tolist()) == ([a.seq, a.seq, b.seq], [1, 5, 0])
        assert nothing.seqs.tolist() == nothing.positions.tolist() == []
        assert again.seqs.tolist() == to.seqs.tolist()
        for found in (be, nothing):
            assert [str(found.seqs.dtype), str(found.positions.dtype)] == ["int64", "int32"]
        assert store.changes(0).memories.term_counts.tolist() == [6, 1]
        assert store.postings([]) == []

    def test_postings_are_in_the_order_of_memories_and_places(self, store: Repository) -> None:
        """However many calls wrote them, and whatever was forgotten between."""
        kept = []
        for number in range(120):
            terms = ("x",) * (number % 4) + ("y",) * 40 + ("x",) * (number % 3)
            (memory,) = store.add([new_memory(str(number), terms=terms)])
            if number % 5:
                kept.append((memory.seq, [place for place, term in enumerate(terms) if term == "x"]))
            else:
                store.forget([str(number)])
        (found,) = store.postings(["x"])
        expected = [(seq, place) for seq, places in kept for place in places]
        assert list(zip(found.seqs.tolist(), found.positions.tolist(), strict=True)) == expected

    @pytest.mark.parametrize("term", _TERMS)
    def test_terms_are_kept_whole_and_apart(self, store: Repository, term: str) -> None:
        (memory, _) = store.add([new_memory("a", terms=(term, "x", term)), new_memory("b", terms=("plain",))])
        (found,) = store.postings([term])
        assert (found.seqs.tolist(), found.positions.tolist()) == ([memory.seq, memory.seq], [0, 2])
        forms = {unicodedata.normalize(form, term) for form in ("NFC", "NFD", "NFKC", "NFKD")}
        others = sorted({term + "x", term[:-1], term.upper(), term.lower(), *forms} - {term, "x"})
        assert all(len(other.seqs) == 0 for other in store.postings(others))
        store.forget(["a"])
        assert store.postings([term])[0].seqs.tolist() == []

    @pytest.mark.parametrize("term", _NO_TERMS)
    def test_what_is_no_term_is_refused_and_occurs_nowhere(self, store: Repository, term: str) -> None:
        store.add([new_memory("a", terms=("x", "a", "near"))])
        with pytest.raises(InvalidInput):
            store.add([new_memory("b", terms=("x", term))])
        assert store.stats().memories == 1
        if isinstance(term, str):
            assert [len(found.seqs) for found in store.postings([term, "x"])] == [0, 1]

import math
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspen.repository import MAX_TERM_LENGTH, Postings
from aspen.resonance_search.keyword import (
    CHUNK,
    K1,
    B,
    PromptWords,
    analyse,
    bm25,
    dated_text,
    forget_stems,
    query_terms,
    spoken_text,
)
from aspen.types import Seqs

WORDS = "abcde"
NOON = datetime(2023, 5, 8, 12, tzinfo=UTC)


def test_words_are_lower_case_stems_in_order_without_stop_words() -> None:
    assert analyse("The cats were RUNNING to the running cat!") == ("cat", "were", "run", "run", "cat")
    assert analyse("Ärger in São Paulo, 8 May 2023") == ("ärger", "são", "paulo", "8", "may", "2023")


@pytest.fixture
def impatient_threads() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("impatient_threads")
def test_threads_do_not_mix_up_their_stems() -> None:
    text = " ".join(f"running{n} mornings{n} christening{n} wearing{n} relational{n}" for n in range(300))
    expected = analyse(text)
    forget_stems()
    with ThreadPoolExecutor(4) as pool:
        assert all(found == expected for found in pool.map(analyse, [text] * 4))


def test_words_without_end_are_cut() -> None:
    for character in ("x", "北", "_", "\U00020000"):
        assert analyse(character * 1_000_000 + " y") == (character * MAX_TERM_LENGTH, "y")
        assert analyse(character * (MAX_TERM_LENGTH + 1)) == analyse(character * MAX_TERM_LENGTH)


@pytest.mark.parametrize("nothing", ["", "?!", "to the", "\n\t", "🙂"])
def test_a_text_without_words_has_no_terms(nothing: str) -> None:
    assert analyse(nothing) == ()


def test_a_prompt_loses_the_words_that_questions_are_made_of_and_keeps_who_asks() -> None:
    assert query_terms("What did I do when she lived in Lisbon?") == ("i", "live", "lisbon")
    assert query_terms("Where does my sister live?") == ("my", "sister", "live")
    assert query_terms("What is it?") == ()


def test_a_memory_is_read_with_its_speaker_and_by_words_with_its_date() -> None:
    assert spoken_text("Hello", speaker="Ann") == "Ann: Hello"
    assert spoken_text("Hello", speaker=None) == "Hello"
    assert dated_text("Hello", speaker="Ann", said_at=NOON) == "(8 May 2023) Ann: Hello"
    assert dated_text("Hello", speaker=None, said_at=NOON) == "(8 May 2023) Hello"
    assert dated_text("Hello", speaker="Ann", said_at=None) == "Ann: Hello"


def words_of(documents: dict[int, str], prompt: str, *, seqs: Seqs) -> PromptWords:
    """Each letter of a document, and of the prompt, is a word."""
    occurrences = [
        (letter, seq, place) for seq, text in sorted(documents.items()) for place, letter in enumerate(text)
    ]
    counts = Counter(prompt)
    postings = tuple(
        Postings(
            seqs=np.array([seq for letter, seq, _ in occurrences if letter == term], dtype=np.int64),
            positions=np.array([place for letter, _, place in occurrences if letter == term], dtype=np.int32),
        )
        for term in counts
    )
    return PromptWords(tuple(counts), tuple(counts.values()), postings, seqs)


def naive_bm25(documents: list[str], prompt: str) -> list[float]:
    """Robertson and Zaragoza (2009) with Lucene's idf, written down term by term; a document is its best chunk."""
    chunked = [[text[i : i + CHUNK] for i in range(0, max(len(text), 1), CHUNK)] for text in documents]
    chunks = [chunk for of_document in chunked for chunk in of_document]
    mean_length = max(sum(map(len, chunks)) / len(chunks), 1)

    def score(chunk: str) -> float:
        total = 0.0
        for term in prompt:
            df = sum(term in other for other in chunks)
            tf = chunk.count(term)
            idf = math.log(1 + (len(chunks) - df + 0.5) / (df + 0.5))
            norm = K1 * (1 - B + B * len(chunk) / mean_length)
            total += idf * tf / (tf + norm) if tf else 0
        return total

    return [max(map(score, of_document)) for of_document in chunked]


texts = st.text(WORDS, max_size=6) | st.integers(CHUNK - 2, 3 * CHUNK + 2).map(
    lambda n: ("abcdabe" * CHUNK)[:n]
)


@given(
    st.dictionaries(st.integers(1, 40), st.tuples(texts, st.booleans()), min_size=1),
    st.text(f"{WORDS}z", max_size=5),
)
def test_bm25_is_that_of_the_candidates_alone(stored: dict[int, tuple[str, bool]], prompt: str) -> None:
    """Each letter is a word; only some of the store's memories are candidates, in ascending order."""
    chosen = {seq: text for seq, (text, candidate) in sorted(stored.items()) if candidate}
    scores = bm25(
        words_of(
            {seq: text for seq, (text, _) in stored.items()},
            prompt,
            seqs=np.array(list(chosen), dtype=np.int64),
        ),
        lengths=np.array([len(text) for text in chosen.values()], dtype=np.int32),
    )
    assert scores.dtype == np.float32
    expected = naive_bm25(list(chosen.values()), prompt) if chosen else []
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_a_long_memory_counts_as_its_best_chunk() -> None:
    near, apart = "ab" + "x" * 118, "a" + "x" * 118 + "b"
    documents = {1: near, 2: apart, 3: "y" * 60}
    seqs, lengths = np.array([1, 2, 3]), np.array([120, 120, 60], dtype=np.int32)
    scores = bm25(words_of(documents, "ab", seqs=seqs), lengths=lengths)
    assert scores[0] > scores[1] > scores[2] == 0


def test_a_rare_word_counts_more_than_a_common_one() -> None:
    documents = {1: "ab", 2: "ac", 3: "ad"}
    seqs, lengths = np.array([1, 2, 3]), np.array([2, 2, 2], dtype=np.int32)
    common, rare = (bm25(words_of(documents, term, seqs=seqs), lengths=lengths) for term in "ab")
    assert rare[0] > common[0] > 0
    assert rare.tolist()[1:] == [0, 0]


def test_places_of_the_prompts_words_in_one_memory() -> None:
    words = words_of({1: "xax", 2: "abcab"}, "bxb", seqs=np.array([1, 2]))
    number, place = words.places_in(2)
    assert (number.tolist(), place.tolist()) == ([0, 0], [1, 4])
    number, place = words.places_in(1)
    assert (number.tolist(), place.tolist()) == ([1, 1], [0, 2])
    assert (words.terms, words.repeats) == (("b", "x"), (2, 1))
    assert [column.tolist() for column in PromptWords((), (), (), np.array([1])).places_in(1)] == [[], []]

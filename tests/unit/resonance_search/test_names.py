import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspen.repository import MAX_NAME_LENGTH, Mention
from aspen.resonance_search.keyword import analyse, dated_text
from aspen.resonance_search.names import mentions_in, named_in, names_in, normalised, subject_of, title_of


@pytest.mark.parametrize(
    ("sentence", "names"),
    [
        ("My sister Mara moved to Lisbon.", ["mara", "lisbon"]),
        ("She met Ann O'Brien's friend.", ["ann", "ann o", "ann o brien", "o brien", "brien"]),
        (
            "He taught at the University of Ghent.",
            ["university", "university of ghent", "ghent"],
        ),
        ("In May, on Monday, I was ill.", []),
        ("Apollo 11 landed.", ["apollo"]),
        ("My iPhone is on eBay.", []),
        ("no names here", []),
        ("", []),
        ("他住在北京。", []),
    ],
)
def test_names_are_runs_of_capitalised_words_and_their_parts(sentence: str, names: list[str]) -> None:
    assert list(names_in(sentence)) == names


@pytest.mark.parametrize(
    ("sentence", "names"),
    [
        ("pojechał do Łodzi z Żanetą", ["łodzi", "żanetą"]),
        ("bydlí v Českých Budějovicích", ["českých", "českých budějovicích", "budějovicích"]),
        ("она живёт в Санкт-Петербурге", ["санкт", "санкт петербурге", "петербурге"]),
        ("это Пу\u0301шкин", ["пушкин"]),
        ("μένει στην Αθήνα με τον Γιώργο", ["αθήνα", "γιώργο"]),
        ("kardeşim İstanbul'da oturuyor", ["istanbul", "istanbul da"]),
        ("bor u ǅakovu", ["ǆakovu"]),  # one letter in title case
        ("ապրում է Երևանում", ["երևանում"]),
        ("𞤸𞤮𞤶 𞤂𞤢𞤤𞤮", ["𞤤𞤢𞤤𞤮"]),
        ("we met E\u0301milie", ["émilie"]),
        ("we met Émilie d\u2019Angoulême", ["émilie", "angoulême"]),
        ("we met Jean-Luc D\u2019Angelo", ["jean", "jean luc", "jean luc d", "jean luc d angelo", "luc", "luc d",
         "luc d angelo", "d angelo", "angelo"]),
        ("彼は東京に住んでいる。", []),
        ("ის თბილისში ცხოვრობს", []),
    ],
)  # fmt: skip
def test_capital_letters_of_every_script_make_names(sentence: str, names: list[str]) -> None:
    assert list(names_in(sentence)) == names


@pytest.mark.parametrize("name", ["Émilie", "İstanbul", "Толстой", "Łódź", "Čapek"])
def test_a_name_is_the_same_however_its_marks_are_written(name: str) -> None:
    forms = {unicodedata.normalize(form, name) for form in ("NFC", "NFD")}
    assert len({normalised(form) for form in forms}) == 1
    for form in forms:
        assert normalised(name) in names_in(f"we saw {form} there")
        assert normalised(name) in named_in(f"who saw {form}?")
        assert subject_of(f"{form}: of course", speaker=None) == normalised(name)
        assert subject_of("Hello.", speaker=form) == normalised(name)


def test_a_name_is_compared_without_case_article_possessive_and_punctuation() -> None:
    assert normalised("The Hague") == normalised("the hague") == normalised("Hague's") == "hague"
    assert normalised("St. Mary\u2019s") == "st mary"
    assert normalised("The") == "the"


def test_a_memory_is_about_its_speaker_or_its_title() -> None:
    assert subject_of("I like tea.", speaker="Mara") == "mara"
    assert subject_of("Lake Tana (lake): A lake in Ethiopia.", speaker=None) == "lake tana"
    assert subject_of("Lake Tana: a lake", speaker="Mara") == "mara"
    for text in ("A lake in Ethiopia.", "see: this", "10: 30", ""):
        assert subject_of(text, speaker=None) is None
    assert subject_of("Hello.", speaker="Jo") == "jo"
    assert subject_of("Hello.", speaker="小明") == "小明"
    for speaker in ("assistant", "Will", "?", " ".join("bcdefghij")):
        assert subject_of("Hello.", speaker=speaker) is None


def test_mentions_know_the_terms_of_their_sentence() -> None:
    text = "We met Mara. She showed us Lisbon and Porto."
    terms = analyse(dated_text(text, speaker="Ann", said_at=None))
    mentions = mentions_in(text, speaker="Ann", n_terms=len(terms))
    assert [mention.name for mention in mentions] == ["mara", "lisbon", "lisbon and porto", "porto"]
    of_mara = mentions[0]
    assert terms[of_mara.start : of_mara.stop] == analyse("We met Mara.")
    assert terms[mentions[-1].start : mentions[-1].stop] == analyse("She showed us Lisbon and Porto.")


def test_a_memory_does_not_mention_itself() -> None:
    text = "Lake Tana: Lake Tana lies in Ethiopia."
    terms = analyse(text)
    found = mentions_in(text, speaker=None, n_terms=len(terms))
    assert {mention.name for mention in found} == {"lake", "tana", "ethiopia"}
    assert title_of(text) == "Lake Tana"


def test_a_prompt_in_small_letters_names_too() -> None:
    assert {"mara", "lake tana", "tana"} <= set(named_in("what did mara say about lake tana?"))


@given(st.text(max_size=300), st.none() | st.text(min_size=1, max_size=20))
def test_any_text_gives_mentions_that_a_store_takes(text: str, speaker: str | None) -> None:
    terms = analyse(dated_text(text, speaker=speaker, said_at=None))
    for mention in mentions_in(text, speaker=speaker, n_terms=len(terms)):
        assert isinstance(mention, Mention)
        assert 0 <= mention.start <= mention.stop <= len(terms)
        assert 0 < len(mention.name) <= MAX_NAME_LENGTH
        assert mention.name == normalised(mention.name)


@pytest.mark.parametrize("unit", ["23.5 ", "1234567890 ", "0", "Ab ", "A of ", "2024-05-08,"])
def test_long_texts_of_numbers_or_capitals_are_read_through_once(unit: str) -> None:
    """It took minutes when every digit began a search of its own."""
    text = unit * (100_000 // len(unit))
    assert len(mentions_in(text, speaker="Ann", n_terms=len(analyse(text)))) <= 200

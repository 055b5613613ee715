"""What checks say in another language: every text of a table is found in the catalogue, whatever was measured."""

import re
import tomllib
import zipfile
from dataclasses import replace

import pytest

from autograder import assignments, display, settings, weights, words
from autograder.handout.bundle import bundle
from autograder.proof import wording
from autograder.words import Catalogue, WordsError

GERMAN = """
[titles]
"MADE" = "Maskierter Autoencoder"
"Over all states p sums to one" = "Über alle Zustände ist die Summe von p eins"
[messages]
"{1} of {2} checks hold" = "Von {2} Prüfungen halten {1}"
"p sums to {1}" = "p hat die Summe {1}"
"output {1} sees {2}" = "Ausgang {1} sieht {2}"
"input {1}" = "Eingang {1}"
"Does a mask leak?" = "Ist eine Maske undicht?"
"not yet" = ""
"""


@pytest.fixture
def german(tmp_path) -> Catalogue:
    (tmp_path / words.NAME).write_text(GERMAN, encoding="utf-8")
    return Catalogue.read(tmp_path / words.NAME)


@pytest.mark.parametrize(
    ("english", "said"),
    [
        ("Over all states p sums to one", "Über alle Zustände ist die Summe von p eins"),
        ("p sums to 1.0432", "p hat die Summe 1.0432"),
        ("3 of 5 checks hold", "Von 5 Prüfungen halten 3"),  # in another order
        ("output 2 sees input 1", "Ausgang 2 sieht Eingang 1"),  # a phrase in a phrase
        ("This is new. Does a mask leak?", "This is new. Ist eine Maske undicht?"),  # sentence by sentence
        ("not yet", "not yet"),
        ("nothing of it", "nothing of it"),
        ("", ""),
    ],
)
def test_a_text_is_said_with_what_was_measured_and_else_stays_english(german, english, said):
    assert german.said(english) == said


def score() -> dict:
    check = dict(name="it", title="Over all states p sums to one", measured="p sums to 1.04", required="", plot=None)
    check |= dict(hint="Does a mask leak?", outcome="failed", points=0.0, max_points=4.0, fault="", kind="")
    about = dict(exercise="made", number="1.2", title="MADE", headline="3 of 5 checks hold", printed="", notes=[])
    return about | dict(points=0.0, max_points=4.0, checks=[check])


def test_both_tables_of_a_score_are_in_the_courses_language(german):
    english = display.score_text(score())
    with words.use(german):
        for shown in (display.score_text(score()), display.score_html(score())):
            for said in (
                "Maskierter Autoencoder",
                "Von 5 Prüfungen",
                "p hat die Summe 1.04",
                "Ist eine Maske undicht?",
            ):
                assert said in shown
    assert display.score_text(score()) == english


def test_what_workers_graded_is_shown_in_the_courses_language(german):
    output = dict(
        output_type="execute_result", data={weights.MIME: score(), "text/plain": "0.0", "text/html": "English"}
    )
    result = dict(scores={"made": score()}, notebook=dict(cells=[dict(outputs=[output])]))
    exercises = assignments.get("hw1").exercises
    assert weights.weigh(result, exercises) is result
    with words.use(german):
        weighed = weights.weigh(result, exercises)
    assert weighed["scores"] == result["scores"], "names and numbers are as they were"
    assert "p hat die Summe 1.04" in weighed["notebook"]["cells"][0]["outputs"][0]["data"]["text/html"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('"a" = "b"', "a must be a table of texts"),
        ('[t]\n"a" = 3', "t must be a table of texts"),
        ('[t]\n"p is {1}" = "p ist {2}"', "must have the same {1}"),
        ("[t\n", "cannot be read"),
        (b"[t]\na = '\xff'", "is no UTF-8"),
    ],
)
def test_mistakes_in_a_catalogue_are_said(text, said, tmp_path):
    (tmp_path / words.NAME).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(WordsError, match=re.escape(said)):
        settings.read(tmp_path)


def test_every_title_and_hint_is_collected_and_what_was_translated_stays(tmp_path):
    file, here = tmp_path / words.NAME, assignments.get("hw1")
    file.write_text(GERMAN, encoding="utf-8")
    texts, missing = wording.write(file, [here])
    found = Catalogue.read(file).entries
    tests = [t for e in here.exercises for n, t in vars(e.module).items() if n.startswith("test_")]
    assert tests
    assert all(t.title in found and (not t.hint or t.hint in found) for t in tests)
    assert found["output {1} sees {2}"] == "Ausgang {1} sieht {2}", "of another assignment, perhaps"
    assert 0 < missing < texts
    before = file.read_text(encoding="utf-8")
    wording.write(file, [here])
    assert file.read_text(encoding="utf-8") == before


def test_what_properties_say_is_collected_with_its_gaps():
    source = (assignments.ROOT / "autograder/properties/discrete.py").read_text(encoding="utf-8")
    assert "{1} of {2} samples lie outside the levels 0 … {3}" in set(wording.messages(source))
    assert list(wording.messages("x = 'Of the {few:.3g} and the {many}'")) == ["Of the {1} and the {2}"]
    assert not [m for m in wording.messages(source) if m.startswith("samples lie")], "no piece of it alone"
    assert not [m for m in wording.messages('"""A module of words."""\ndef f():\n    "Some more words."') if m]


def test_a_students_kit_has_the_words_of_its_course(german, tmp_path):
    course = replace(settings.DEFAULTS, words=german)
    with course.in_use():
        archive = bundle("hw1", tmp_path)
    with zipfile.ZipFile(archive) as unpacked:
        (tmp_path / "theirs.toml").write_bytes(unpacked.read("hw1/words.toml"))
        assert "hw1/autograder/words.py" in unpacked.namelist()
    theirs = Catalogue.read(tmp_path / "theirs.toml")
    assert theirs.said("output 2 sees input 1") == "Ausgang 2 sieht Eingang 1"


def test_the_example_of_the_terms_page_is_what_checks_say():
    page = (assignments.ROOT / "docs" / "terms.md").read_text(encoding="utf-8")
    example = tomllib.loads(re.findall(r"```toml\n(.*?)```", page, re.DOTALL)[1])
    said = wording.collected([assignments.get("hw1")])
    assert example
    assert all(texts.keys() <= said[table].keys() for table, texts in example.items())

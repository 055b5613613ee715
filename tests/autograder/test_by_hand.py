"""What people gave by hand, beside what was graded."""

from autograder.grading import by_hand
from autograder.grading.batch import without_grade
from autograder.grading.by_hand import AGAIN, BY_HAND, NOT_ANSWERED, OPEN, Mark

SCORES = [{"exercise": "made", "points": 15.0}, {"exercise": "own-asserts", "points": 1.0}]


def mark(auto=None, given=None, extra=0.0, most=2.0, to_do=False) -> Mark:
    return Mark(auto, given, extra, most, to_do)


def test_what_counts():
    assert mark().points is None
    assert mark(auto=0.0).points == 0
    assert mark(auto=15.0, given=12.0, extra=1.0).points == 13
    assert mark(extra=1.0).points is None


def test_written_questions_come_with_their_outcome_and_others_after_them():
    marks = {
        "answer-made": mark(given=1.5),
        "answer-pixelcnn": mark(auto=0.0),
        "answer-logistic_mixture": mark(),
        "essay": mark(given=3.0, most=5.0),
        "check-made": mark(auto=15.0, most=20.0),
        "own-asserts": mark(auto=1.0),
    }
    found = by_hand.written("hw1", marks, {"essay": "An essay."}, SCORES)
    assert [(w["number"], w["outcome"], w["points"]) for w in found] == [
        ("1.1", OPEN, None),
        ("1.2", BY_HAND, 1.5),
        ("1.3", NOT_ANSWERED, 0.0),
        ("essay", BY_HAND, 3.0),
    ]
    assert found[-1]["answer"] == "An essay."


def test_changes_are_differences():
    marks = {"check-made": mark(auto=15.0, given=18.0, extra=0.5), "own-asserts": mark(auto=1.0), "answer-made": mark()}
    said = "18.5 points by hand, 15 by the checks"
    assert by_hand.changes("hw1", marks, SCORES) == [
        {"id": "check-made", "exercise": "made", "outcome": BY_HAND, "points": 3.5, "said": said}
    ]
    assert by_hand.changes("hw1", {"own-asserts": mark(auto=1.0, extra=1.0)}, SCORES)[0]["points"] == 1
    assert by_hand.changes("hw1", {}, SCORES) == []


def test_who_has_no_grade_has_no_points_by_hand():
    graded = without_grade("ada", "hw1", "why").with_marks("hw1", {"answer-made": mark(given=2.0)})
    assert (graded.total, graded.written) == (0, [])


def test_what_is_to_be_looked_at_again_is_open_with_the_points_that_it_had():
    marks = {"answer-made": mark(given=1.5, to_do=True), "check-made": mark(auto=15.0, given=15.0, to_do=True)}
    [written], [changed] = by_hand.written("hw1", marks, {}, SCORES), by_hand.changes("hw1", marks, SCORES)
    assert (written["outcome"], written["points"]) == (AGAIN, 1.5)
    assert (changed["outcome"], changed["points"]) == (AGAIN, 0)
    assert changed["said"].endswith(f"15 by the checks; {AGAIN}")
    for one, is_open in ((mark(), True), (mark(to_do=True), True), (mark(given=1.0), False), (mark(auto=0.0), False)):
        assert [by_hand.is_open(w) for w in by_hand.written("hw1", {"answer-made": one}, {}, SCORES)] == [is_open]

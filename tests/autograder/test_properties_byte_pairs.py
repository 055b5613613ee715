"""What is required of byte pairs: right merges pass, each slip is seen."""

import numpy as np
import pytest

from autograder.properties import byte_pairs

ABRA = np.array([0, 1, 3, 0, 2, 0, 4, 0, 1, 3, 0])  # abracadabra
MERGES = np.array([[0, 1], [5, 3], [6, 0]])  # ab, abr, abra


def test_merges_go_from_left_to_right():
    assert byte_pairs.merged([1, 1, 1, 0, 1, 1], (1, 1), 7) == [7, 1, 0, 7]
    assert byte_pairs.merged([0, 0, 0, 0], (0, 0), 7) == [7, 7]
    assert byte_pairs.merged([], (0, 0), 7) == []
    assert byte_pairs.encoded(ABRA, 5, MERGES) == [7, 2, 0, 4, 7]


def test_the_most_frequent_pairs_pass_and_others_do_not():
    assert byte_pairs.are_most_frequent(ABRA, 5, MERGES).passed
    assert byte_pairs.are_most_frequent(ABRA, 5, np.array([[1, 3], [0, 5], [6, 0]])).passed  # as frequent as "ab"
    found = byte_pairs.are_most_frequent(ABRA, 5, np.array([[0, 1], [5, 3], [0, 2]]))
    assert not found.passed
    assert found.measured == "merge 3 is of a pair that comes 1 times; another comes 2 times"
    assert not byte_pairs.are_most_frequent(ABRA, 5, np.array([[0, 1], [1, 3]])).passed  # swallowed by the first
    assert byte_pairs.are_most_frequent(np.array([1, 1, 1, 0, 2, 0, 2]), 3, np.array([[1, 1]])).passed  # overlapping


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        ([7, 2, 0, 4, 6, 0], "11 letters become 6 tokens, for 5; number 5 is another"),
        ([7, 2, 0, 4], "11 letters become 4 tokens, for 5; number 5 is another"),
        (ABRA.tolist(), "11 letters become 11 tokens, for 5; number 1 is another"),
    ],
)
def test_other_tokens_are_seen(tokens, said):
    assert byte_pairs.applied_in_order(ABRA, 5, MERGES, np.array([7, 2, 0, 4, 7])).passed
    found = byte_pairs.applied_in_order(ABRA, 5, MERGES, np.array(tokens))
    assert not found.passed
    assert found.measured == said


def test_what_does_not_come_back_is_seen():
    assert byte_pairs.gives_back(ABRA, ABRA.copy()).passed
    assert byte_pairs.gives_back(ABRA, ABRA[:-1]).measured == "of 11 letters 10 come back"
    changed = ABRA.copy()
    changed[2:4] += 1
    found = byte_pairs.gives_back(ABRA, changed)
    assert not found.passed
    assert found.measured == "2 of 11 letters come back as others"

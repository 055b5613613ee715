"""Arrays between grader and kernel: what is sent arrives, and whatever else comes is refused before it is made."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from autograder.grading import wire
from autograder.grading.wire import WireError

quick = settings(max_examples=150, deadline=None, derandomize=True)
ONE = {"dtype": "<f4", "shape": [2]}


def head(dtype: object = "<f4", shape: object = (2,)) -> dict:
    return {"dtype": dtype, "shape": list(shape) if isinstance(shape, tuple) else shape}


def refused(heads: object, raw: list, match: str) -> None:
    """One WireError, in a text that fits on a few lines."""
    with pytest.raises(WireError, match=match) as caught:
        wire.arrays(heads, raw)
    assert len(str(caught.value)) < 300


def same(sent: np.ndarray, came: np.ndarray) -> None:
    assert came.dtype == sent.dtype
    assert came.shape == sent.shape
    assert came.tobytes() == np.ascontiguousarray(sent).tobytes()  # nan and -0.0 too


# ---- what is sent arrives ------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (2, 3), (1,) * wire.MOST_DIMS])
@pytest.mark.parametrize("dtype", sorted(wire.TYPES))
def test_every_type_and_shape_arrives(dtype, shape):
    sent = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    heads, raw = wire.buffers([sent])
    (came,) = wire.arrays(heads, raw)
    same(sent, came)


@given(st.lists(arrays(st.sampled_from(sorted(wire.TYPES)), array_shapes(min_dims=0, min_side=0)), max_size=4))
@quick
def test_many_arrays_arrive_in_order(sent):
    heads, raw = wire.buffers(sent)
    came = wire.arrays(heads, raw)
    assert len(came) == len(sent)
    for a, b in zip(sent, came, strict=True):
        same(a, b)


@pytest.mark.parametrize(
    "view",
    [np.asfortranarray, np.transpose, lambda a: a[::-1, ::2], lambda a: np.broadcast_to(a[0], (5, 4))],
)
def test_memory_order_is_not_seen_from_outside(view):
    sent = view(np.arange(12.0).reshape(3, 4))
    (came,) = wire.arrays(*wire.buffers([sent]))
    same(sent, came)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda b: memoryview(bytearray(b))])
def test_what_arrives_is_read_only_whatever_it_came_in(kind):
    (came,) = wire.arrays([ONE], [kind(np.float32([1, 2]).tobytes())])
    assert came.tolist() == [1, 2]
    assert not came.flags.writeable


# ---- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype",
    [
        "O",
        "|O",
        ">f4",
        ">i8",
        "<U1",
        "|S4",
        "|V4",
        "<c8",
        "<M8[s]",
        "float32",
        "f4",
        "",
        "<f4,<f4",
        None,
        4,
        ["<f4"],
        {"<f4": 0},
    ],
)
def test_refuses_a_type_that_is_no_number(dtype):
    refused([head(dtype)], [bytes(8)], "no number")


@pytest.mark.parametrize(
    "sent",
    [np.array([None]), np.array(["a"]), np.zeros(1, "V4"), np.ones(1, "c8"), np.ones(1, ">f4"), np.zeros(1, "M8[s]")],
    ids=lambda a: a.dtype.str,
)
def test_what_a_kernel_should_not_send_does_not_arrive(sent):
    refused(*wire.buffers([sent]), "no number")


@pytest.mark.parametrize("shape", [None, 2, "2", {}, [-2], [-1, -2], [True, 2], [2.0], ["2"], [None], [[2]], [1] * 9])
def test_refuses_what_is_no_shape(shape):
    refused([head(shape=shape)], [bytes(8)], "without a shape")


@pytest.mark.parametrize(
    "shape",
    [[2**62, 4], [0, 2**62], [2**70, 0], [0, 2**26, 2**26, 2**26], [10**5000], [0, 10**5000], [2**24, 2]],
    ids=lambda s: f"{len(s)}-{s[-1].bit_length()}-bits",
)
def test_refuses_a_huge_shape_before_anything_is_made(shape):
    refused([head(shape=shape)], [b""], "too large")
    refused([head(shape=shape)], [bytes(8)], "too large")


@pytest.mark.parametrize(("shape", "size"), [((2,), 7), ((2,), 9), ((2,), 0), ((), 0), ((), 8), ((0, 3), 4)])
def test_refuses_a_wrong_number_of_bytes(shape, size):
    refused([head(shape=shape)], [bytes(size)], f"comes with {size} bytes")


def test_refuses_a_boolean_that_is_neither():
    """numpy would sum a byte of 200 as it is: more of them true than there are."""
    refused([head("|b1")], [bytes([1, 2])], "neither true nor false")


def test_refuses_more_than_a_message_may_hold(monkeypatch):
    monkeypatch.setattr(wire, "MOST_BYTES", 16)
    assert len(wire.arrays([ONE] * 2, [bytes(8)] * 2)) == 2
    refused([ONE] * 3, [bytes(8)] * 3, "arrays at once")
    monkeypatch.setattr(wire, "MOST_ARRAYS", 1)
    assert len(wire.arrays([ONE], [bytes(8)])) == 1
    refused([ONE] * 2, [bytes(8)] * 2, "which arrays")


@pytest.mark.parametrize("heads", [None, 1, "x", ONE, (ONE,), [], [ONE, ONE]], ids=repr)
def test_refuses_heads_that_are_no_list_of_what_came(heads):
    refused(heads, [bytes(8)], "which arrays")


@pytest.mark.parametrize("entry", [None, 1, "x", [], ["<f4", [2]], {}, {"shape": [2]}])
def test_refuses_a_head_that_is_none(entry):
    refused([entry], [bytes(8)], "no number")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
LIKELY = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from([*sorted(wire.TYPES), ">f4", "O"]) | JSON,
        "shape": st.lists(st.integers(-1, 4) | st.integers() | st.just(2**62), max_size=4) | JSON,
    }
)


@given(st.lists(LIKELY | JSON, max_size=3) | JSON, st.lists(st.binary(max_size=32), max_size=3))
@settings(quick, max_examples=500)
def test_whatever_comes_is_arrays_or_a_wire_error(heads, raw):
    try:
        came = wire.arrays(heads, raw)
    except WireError:
        return
    assert [a.nbytes for a in came] == [len(b) for b in raw]
    assert all(a.dtype.str in wire.TYPES for a in came)

"""How arrays travel between grader and kernel: raw buffers, and heads that are checked before anything is made."""

import math
from collections.abc import Sequence

import numpy as np

TYPES = {np.dtype(t).str for t in ("?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8")}
MOST_BYTES = 64 * 2**20  # of all arrays in one message: 16 times the largest that a check asks for
MOST_ARRAYS = 4096
MOST_DIMS = 8
MOST_PRINTED = 10_000


class WireError(ValueError):
    """A message is not what it should be."""


def buffers(arrays: Sequence[np.ndarray]) -> tuple[list, list]:
    """([{"dtype", "shape"}], [bytes]) of contiguous arrays."""
    arrays = [np.ascontiguousarray(a).reshape(a.shape) for a in arrays]  # ascontiguousarray makes () into (1,)
    return [{"dtype": a.dtype.str, "shape": list(a.shape)} for a in arrays], [a.tobytes() for a in arrays]


def arrays(heads, raw: Sequence) -> list[np.ndarray]:
    """The arrays again, read-only views of the buffers. Raises WireError for whatever does not fit."""
    if not isinstance(heads, list) or len(heads) != len(raw) or len(heads) > MOST_ARRAYS:
        raise WireError("the message does not say which arrays it holds")
    views = [memoryview(b).cast("B").toreadonly() for b in raw]
    if sum(v.nbytes for v in views) > MOST_BYTES:
        raise WireError(f"more than {MOST_BYTES // 2**20} MB of arrays at once")
    return [_array(head, view) for head, view in zip(heads, views, strict=True)]


def _array(head, view: memoryview) -> np.ndarray:
    dtype = head.get("dtype") if isinstance(head, dict) else None
    shape = head.get("shape") if isinstance(head, dict) else None
    if not isinstance(dtype, str) or dtype not in TYPES:
        raise WireError("an array of a type that is no number")
    if not isinstance(shape, list) or len(shape) > MOST_DIMS or not all(type(n) is int and n >= 0 for n in shape):
        raise WireError("an array without a shape")
    itemsize = np.dtype(dtype).itemsize
    if itemsize * math.prod(max(n, 1) for n in shape) > MOST_BYTES:  # numpy refuses (0, 2**62) too
        raise WireError("an array of a shape that is too large")
    if itemsize * math.prod(shape) != view.nbytes:
        raise WireError(f"an array of shape {tuple(shape)} that comes with {view.nbytes} bytes")
    if dtype == "|b1" and view.nbytes and np.frombuffer(view, dtype="u1").max() > 1:
        raise WireError("an array of booleans that are neither true nor false")  # they would sum to more than there are
    return np.frombuffer(view, dtype=dtype).reshape(shape)

"""What is given to a figure, as arrays. What does not fit is said in words: what was expected, and what came."""

from collections.abc import Callable, Sequence

import numpy as np

from deepul_utils import toy
from deepul_utils.errors import CannotDraw

Shape = tuple[int | str, ...]  # a number for a size that must be so, a letter for any


def numbers(value, name: str, *shapes: Shape, finite: bool = True) -> np.ndarray:
    """Real numbers of one of these shapes; without shapes, of any. A tensor may need gradients or live on a GPU."""
    array = _array(value, name)
    if shapes and not any(_has_shape(array, shape) for shape in shapes):
        expected = " or ".join(map(_said, shapes))
        raise CannotDraw(f"{name} should be of shape {expected}, got {_said(array.shape)}.{_advice(array, shapes)}")
    if finite and array.dtype.kind == "f":
        require_finite(array, name)
    return array


def integers(value, name: str, *shapes: Shape) -> np.ndarray:
    """The same for whole numbers, which may come as floats: int64."""
    array = numbers(value, name, *shapes)
    if not np.array_equal(array, np.round(array)):
        raise CannotDraw(f"{name} should be integer levels, got fractions ({array.dtype}).")
    return array.astype(np.int64)


def require_finite(array: np.ndarray, name: str) -> None:
    """Raises CannotDraw, with how many numbers are nan or infinite."""
    bad = array.size - int(np.isfinite(array).sum())
    if bad:
        raise CannotDraw(f"{name} should be finite, got nan or infinity in {bad:,} of {array.size:,} numbers.")


def distribution(value, name: str = "dist", dims: int | None = None, discrete: bool = False):
    """A toy distribution, of so many dimensions if that is said; continuous ones have a density to draw."""
    kinds = (toy.Distribution, toy.DiscreteDistribution) if discrete else (toy.Distribution,)
    if not isinstance(value, kinds):
        raise CannotDraw(f'{name} should be a toy distribution, as toy.get("moons"), got {_what(value)}.')
    if dims and value.dims != dims:
        raise CannotDraw(f"{name} should have {dims} dimensions, {value.name} has {value.dims}.")
    return value


def table(value, name: str, example: str) -> dict:
    """{title: …} with something in it."""
    if not isinstance(value, dict) or not value:
        got = "an empty one" if isinstance(value, dict) else _what(value)
        raise CannotDraw(f"{name} should be a dictionary, as {example}, got {got}.")
    return value


def titles(value: Sequence, name: str, many: int, of: str) -> list[str]:
    """As many words as there are `of`; none will do."""
    words = [str(toy.as_array(word)) for word in value]
    if words and len(words) != many:
        raise CannotDraw(f"There are {len(words)} {name} for {many} {of}.")
    return words


def same_length(**arrays: np.ndarray) -> None:
    """All begin with the same number of examples."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} has {length:,}" for name, length in lengths.items())
        raise CannotDraw(f"{' and '.join(lengths)} belong together, one to one: {listed}.")


def losses(history, *names: str) -> list[np.ndarray]:
    """These lists of a History as arrays; they may hold nan, which a training that broke leaves."""
    missing = [name for name in names if not hasattr(history, name)]
    if missing:
        raise CannotDraw(
            'history should be how a training went, as training.history("name") or fit(…) gives it, got '
            f"{_what(history)}, which has no {missing[0]}."
        )
    return [numbers(getattr(history, name), f"history.{name}", ("n",), finite=False).astype(float) for name in names]


def asked(function: Callable, x: np.ndarray, name: str, *shape: int) -> np.ndarray:
    """A model's function of points, as an array: no gradients; the first where it returns several things.

    The points are float32, on the model's device. shape: of what it should give for each of the n points. What the
    function raises itself goes on to the student.
    """
    import torch

    from deepul_utils import devices

    if not callable(function):
        raise CannotDraw(f"{name} should be a function of points, as model.log_prob, got {_what(function)}.")
    with torch.no_grad():
        out = function(torch.tensor(x, dtype=torch.float32, device=devices.of_function(function)))
    values = numbers(out[0] if isinstance(out, tuple) else out, f"what {name} gives", finite=False)
    if values.shape != (len(x), *shape):
        per_point = "one number" if not shape else f"{shape[0]} numbers"
        raise CannotDraw(
            f"{name} should give {per_point} for each point, {_said((len(x), *shape))}, got {_said(values.shape)}."
            f"{_advice(values, [(len(x), *shape)])}"
        )
    bad = int(np.isnan(values).sum())
    if bad:
        raise CannotDraw(f"{name} should give numbers, got nan in {bad:,} of {values.size:,}.")
    return values.astype(float)


def _array(value, name: str) -> np.ndarray:
    try:
        array = np.asarray(_plain(value))
    except (TypeError, ValueError, RuntimeError):  # a list of rows of several lengths, or of things that are no numbers
        raise CannotDraw(f"{name} should be numbers in one array, got {_what(value)}.") from None
    if array.dtype.kind not in "fiub":
        raise CannotDraw(f"{name} should be real numbers, got {_what(value)}.")
    return array


def _plain(value):
    """NumPy's in the place of torch's, also within lists; NumPy knows no bfloat16."""
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if not hasattr(value, "detach"):
        return value
    value = value.detach().cpu()
    return (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()


def _has_shape(array: np.ndarray, shape: Shape) -> bool:
    if array.ndim != len(shape):
        return False
    return all(isinstance(wanted, str) or size == wanted for size, wanted in zip(array.shape, shape, strict=True))


def _said(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"


def _advice(array: np.ndarray, shapes: Sequence[Shape]) -> str:
    """What to do where one dimension of size one is too many."""
    alone = [k for k, size in enumerate(array.shape) if size == 1]
    fits = [k for k in reversed(alone) if any(_has_shape(array.squeeze(k), shape) for shape in shapes)]
    return f" .squeeze({fits[0]}) takes the dimension of size one out." if fits else ""


def _what(value) -> str:
    shape = getattr(value, "shape", None)
    if shape is not None and not callable(shape):
        return f"{type(value).__name__} {_said(tuple(shape))} of {getattr(value, 'dtype', 'unknown type')}"
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    return "nothing (None)" if value is None else f"{type(value).__name__}"

"""The image sets: exact entropies, true labels, separate streams, the same bytes on every machine; downloads."""

import csv
import gzip
import hashlib
import http.server
import io
import math
import os
import pickle
import re
import subprocess
import sys
import tarfile
import threading
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat
from scipy.ndimage import affine_transform
from scipy.stats import chisquare

from deepul_utils import images, turn
from deepul_utils.errors import KitError
from deepul_utils.images import digits, downloads, glyphs, originals, shapes

ROOT = Path(__file__).resolve().parents[2]
BUILT_IN = [(name, levels) for name in ("glyphs32", "shapes32", "digits32") for levels in images.SETS[name].choices]
SPLITS = ("train", "validation", "test")
# A wrong sampler shows p-values below 1e-20 here; the seeds are fixed, so this never flickers.
P_VALUE = 1e-4

every_set = pytest.mark.parametrize(("name", "levels"), BUILT_IN)
labelled = pytest.mark.parametrize("name", ["glyphs32", "digits32"])


def digest(x: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(x), digest_size=16).digest()


def configurations(data) -> np.ndarray:
    return data.factors(np.arange(data.configurations))


# ---- every built-in set --------------------------------------------------------------------------------


@every_set
def test_levels_shapes_and_types(name, levels):
    data = images.get(name, levels)
    x, y = data.sample_labelled(500, seed=3, split="validation")
    assert (x.dtype, x.shape) == (np.uint8, (500, *data.shape))
    assert data.shape[1:] == (32, 32)
    assert x.max() < levels
    assert len(np.unique(x)) > (levels * 0.4 if name != "shapes32" else min(levels * 0.8, 50))
    assert y.dtype == np.int64
    assert y.shape == ((500, len(data.factor_names)) if data.factor_names else (500,))
    assert np.array_equal(x, data.sample(500, seed=3, split="validation"))
    assert data.sample(0).shape == (0, *data.shape)


@every_set
def test_unit_goes_from_zero_to_one(name, levels):
    data = images.get(name, levels)
    x = data.sample(50)
    unit = data.unit(torch.from_numpy(x))
    assert unit.dtype == np.float32
    assert unit == pytest.approx(x / (levels - 1), abs=1e-6)
    assert data.unit(np.array([0, levels - 1])).tolist() == [0, 1]


# One line a set; how to make a new one: sha256 of the bytes of 300 images, then of their labels as '<i8'.
BYTES = {
    ("glyphs32", 2): "e7d3f537f06f3d38a53fb102e3afd562",
    ("glyphs32", 256): "feee1691c995078e0b81372fa677aff7",
    ("shapes32", 2): "865c261d461bb8b0db725fc9032de0ce",
    ("shapes32", 4): "4cfede5e3d5ad502d585b8c4b2e8793a",
    ("shapes32", 256): "4b698f0471281cf0b221d57e05df73eb",
    ("digits32", 2): "c700479d3bb6c015c00268e85cd50795",
    ("digits32", 16): "d934f2b2c6ae8957263ac4bbd0475682",
    ("digits32", 256): "663d4837f391e5894f1e3c78310b2628",
}


@pytest.mark.skipif(turn.number() > 0, reason="data of another turn have other bytes")
@every_set
def test_data_never_change(name, levels):
    """Calibrated losses rest on these bytes, on every machine: whoever changes them calibrates again."""
    x, y = images.get(name, levels).sample_labelled(300, seed=5, split="test")
    assert hashlib.sha256(x.tobytes() + y.astype("<i8").tobytes()).hexdigest()[:32] == BYTES[name, levels]


@every_set
def test_ten_thousand_take_less_than_two_seconds(name, levels):
    data = images.get(name, levels)
    begun = time.process_time()
    data.sample(10_000)
    assert time.process_time() - begun < 2


@every_set
def test_streams_are_separate_and_repeatable(name, levels):
    data = images.get(name, levels)
    draws = {(split, seed): data.sample(300, seed, split) for split in SPLITS for seed in (0, 1, 2**200)}
    assert len({digest(x) for x in draws.values()}) == 9
    # Nor is one stream a shifted copy of another: hardly any picture occurs in two of them.
    pictures = [{digest(image) for image in x} for x in draws.values()]
    common = sum(len(a & b) for k, a in enumerate(pictures) for b in pictures[:k])
    pairs = 36 * 300**2
    # Expected by chance: the silhouettes meet once in 6,144 pairs; digits of one split once in 49 · 300 (or 1,200).
    assert common <= {"glyphs32": 0, "digits32": 9 * 300**2 / 10_000}.get(
        name, pairs / getattr(data, "configurations", 1) + 5 * math.sqrt(pairs / getattr(data, "configurations", 1))
    )
    assert np.array_equal(data.sample(300, 1, "test"), draws["test", 1])
    a, b = (data.sample(5, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(a, b)


@every_set
def test_samples_belong_to_the_caller(name, levels):
    data = images.get(name, levels)
    x, y = data.sample_labelled(20)
    kept = x.copy(), y.copy()
    x[:], y[:] = 1, 0
    assert all(np.array_equal(a, b) for a, b in zip(data.sample_labelled(20), kept, strict=True))


@labelled
@pytest.mark.parametrize("split", SPLITS)
def test_labels_are_balanced(name, split):
    data = images.get(name)
    _, y = data.sample_labelled(10_000, seed=2, split=split)
    counts = np.bincount(y, minlength=10)
    if name == "digits32":  # the originals are not quite
        of_originals = np.bincount(digits.originals(split)[1], minlength=10) / len(digits.originals(split)[1])
        assert np.abs(of_originals - 0.1).max() < 0.005
        assert chisquare(counts, of_originals * 10_000).pvalue > P_VALUE
    else:
        assert chisquare(counts).pvalue > P_VALUE
    assert data.label_names == tuple("0123456789")


@labelled
def test_fewer_levels_are_the_same_pictures(name):
    full = images.get(name, 256).sample(200, seed=1).astype(int)
    for levels in images.SETS[name].choices:
        assert np.array_equal(images.get(name, levels).sample(200, seed=1), full * levels // 256)


# ---- shapes32: the entropy is exact --------------------------------------------------------------------


@pytest.mark.parametrize(("levels", "count"), [(2, 6 * 4 * 16 * 16), (4, 196_608), (256, 196_608)])
def test_no_two_configurations_look_alike(levels, count):
    """Independent uniform factors and an injective rendering: the entropy is the log of how many there are."""
    data = images.get("shapes32", levels)
    every = configurations(data)
    assert len(np.unique(every, axis=0)) == count == math.prod(data.factor_sizes)
    pictures = set()
    for start in range(0, count, 8192):
        pictures.update(digest(x) for x in data.render(every[start : start + 8192]))
    assert len(pictures) == count
    assert data.entropy == pytest.approx(math.log(count), abs=1e-12)


@pytest.mark.parametrize("levels", [2, 4, 256])
@pytest.mark.parametrize("split", SPLITS)
def test_factors_are_uniform_independent_and_what_the_picture_shows(levels, split):
    data = images.get("shapes32", levels)
    x, y = data.sample_labelled(20_000, seed=4, split=split)
    assert np.array_equal(x[:2000], data.render(y[:2000]))
    for i, size in enumerate(data.factor_sizes):
        assert chisquare(np.bincount(y[:, i], minlength=size)).pvalue > P_VALUE
        for j in range(i):
            both = np.bincount(y[:, i] * data.factor_sizes[j] + y[:, j], minlength=size * data.factor_sizes[j])
            assert chisquare(both).pvalue > P_VALUE
    # … and all together: no configuration is drawn too often
    flat = np.ravel_multi_index(tuple(y.T), data.factor_sizes)
    repeats = len(flat) - len(np.unique(flat))
    expected = len(flat) - data.configurations * -math.expm1(len(flat) * math.log1p(-1 / data.configurations))
    assert abs(repeats - expected) < 6 * math.sqrt(expected)


def test_factors_mean_what_their_names_say():
    data = images.get("shapes32", 256)
    assert data.factor_names == ("kind", "size", "x", "y", "colour", "background")
    base = np.array([0, 1, 4, 9, 2, 1])
    colour, ground = list(shapes.COLOURS.values())[2][1], list(shapes.BACKGROUNDS.values())[1][1]

    def inside(**changes):
        factors = base.copy()
        for name, value in changes.items():
            factors[data.factor_names.index(name)] = value
        (picture,) = data.render(factors[None])
        return (picture == np.array(colour)[:, None, None]).all(axis=0), picture

    square, picture = inside()
    rows, columns = np.flatnonzero(square.any(axis=1)), np.flatnonzero(square.any(axis=0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (8 + 9 - 6, 8 + 9 + 5, 8 + 4 - 6, 8 + 4 + 5)
    assert square.sum() == 12 * 12
    assert (picture[:, 0, 0] == ground).all()
    assert np.array_equal(inside(x=7)[0], np.roll(square, 3, axis=1))
    assert np.array_equal(inside(y=2)[0], np.roll(square, -7, axis=0))
    assert inside(size=3)[0].sum() == 16 * 16
    areas = {kind: inside(kind=k, size=3)[0].sum() / 256 for k, kind in enumerate(shapes.KINDS)}
    exact = {"disc": math.pi / 4, "triangle": 0.5, "diamond": 0.5, "cross": 5 / 9, "ring": math.pi * 3 / 16}
    assert all(abs(areas[kind] - share) < 0.16 for kind, share in exact.items())
    assert len({inside(colour=c)[0].sum() > 0 for c in range(8)}) == 2  # only one is yellow


def test_a_pixel_is_the_shapes_by_its_area():
    """Coverage against areas counted on a grid 16 times as fine."""
    r, fine = 8, 64
    at = (np.arange(2 * r * fine) + 0.5) / fine - r
    u, v = at[None, :], at[:, None]
    d = u * u + v * v
    inside = {
        "square": d < np.inf,
        "disc": d <= r * r,
        "triangle": abs(u) <= (v + r) / 2,
        "diamond": abs(u) + abs(v) <= r,
        "cross": np.minimum(abs(u), abs(v)) <= r / 3,
        "ring": (d <= r * r) & (d >= r * r / 4),
    }
    for kind, name in enumerate(shapes.KINDS):
        area = inside[name].reshape(2 * r, fine, 2 * r, fine).mean(axis=(1, 3))
        drawn = shapes.silhouettes()[kind, 3, 8, 8, 8:24, 8:24] / shapes.FULL
        assert np.abs(drawn - area).max() < 0.2
        assert drawn.sum() == pytest.approx(area.sum(), rel=0.04)


def test_all_numbers_of_levels_show_the_same_shapes():
    (two, y2), (four, y4), (full, y256) = (images.get("shapes32", n).sample_labelled(300, 6) for n in (2, 4, 256))
    assert np.array_equal(y4, y256)
    assert np.array_equal(y4[:, :4], y2)
    ground = np.array([rgb[0] for rgb in shapes.BACKGROUNDS.values()])[y4[:, 5]]
    assert np.array_equal((four != ground[:, :, None, None]).any(axis=1), two[:, 0] > 0)
    paint = np.array([rgb[1] for rgb in shapes.COLOURS.values()])[y4[:, 4]]
    solid = (full == paint[:, :, None, None]).all(axis=1)
    assert not (solid & (two[:, 0] == 0)).any()
    assert solid.sum() > 0.7 * two.sum()


@pytest.mark.parametrize(
    "wrong", [np.zeros(6, int), np.zeros((1, 4), int), np.zeros((1, 6)), [[6, 0, 0, 0, 0, 0]], [[0, 0, 0, 0, 0, -1]]]
)
def test_render_refuses_what_is_no_configuration(wrong):
    with pytest.raises(ValueError, match="kind, size, x, y, colour, background"):
        images.get("shapes32").render(wrong)


# ---- glyphs32 ------------------------------------------------------------------------------------------

ONE = glyphs.ONE


def test_an_untouched_glyph_is_its_cell():
    which = np.arange(0, 480, 7)
    jitter = np.tile([0, 0, 32 * ONE, 0, 0], (len(which), 1))
    cells = glyphs.sheet().reshape(-1, 40, 40)[which]
    assert np.array_equal(glyphs._warped(which, jitter), cells[:, 4:36, 4:36])
    jitter[:, :2] = 3 * ONE, -2 * ONE  # right and up
    assert np.array_equal(glyphs._warped(which, jitter), cells[:, 6:38, 1:33])


def test_jitter_is_the_affine_map_it_claims_to_be():
    """Against SciPy's interpolation in double precision; fixed point errs by a grey or two."""
    rng = np.random.default_rng(0)
    low, high = np.array([glyphs.SHIFT, glyphs.SHIFT, glyphs.HEIGHT, glyphs.TURN, glyphs.SLANT]).T
    jitter = rng.integers(low, high, size=(60, 5), endpoint=True)
    which = rng.integers(480, size=60)
    for x, glyph, row in zip(glyphs._warped(which, jitter), which, jitter, strict=True):
        dx, dy, height, turn, slant = row / ONE
        inverse = 32 / height * np.array([[1, -turn], [turn + slant, 1]])  # (row, column) of the cell from the image's
        offset = 19.5 - inverse @ (15.5 + np.array([dy, dx]))
        cell = np.pad(glyphs.sheet().reshape(-1, 40, 40)[glyph].astype(float), 20)
        exact = affine_transform(cell, inverse, offset + 20, output_shape=(32, 32), order=1)
        assert np.abs(x - exact).max() < 3


def test_jitter_varies_and_digits_stay_inside():
    x = images.get("glyphs32").sample(5000, seed=9)[:, 0] > 0
    border = np.concatenate([x[:, [0, -1]].reshape(5000, -1), x[:, :, [0, -1]].reshape(5000, -1)], axis=1)
    assert border.any(axis=1).mean() < 0.01
    rows, columns = x.any(axis=2), x.any(axis=1)
    heights = rows.sum(axis=1)
    assert np.quantile(heights, 0.05) < 19
    assert np.quantile(heights, 0.95) > 22
    middles = (columns * np.arange(32)).sum(axis=1) / columns.sum(axis=1)
    assert middles.std() == pytest.approx(6 / math.sqrt(12), rel=0.15)  # uniform on ±3 pixels


def test_the_label_is_the_digit_and_every_typeface_occurs_with_it(monkeypatch):
    drawn = []
    warped = glyphs._warped
    monkeypatch.setattr(glyphs, "_warped", lambda glyph, jitter: drawn.extend(glyph.tolist()) or warped(glyph, jitter))
    _, y = images.get("glyphs32").sample_labelled(10_000)
    assert set(drawn) == set(range(480))
    assert [glyph % 10 for glyph in drawn] == y.tolist()  # columns of the sheet


def test_the_sheet_and_its_list_belong_together():
    with open(ROOT / "data" / "glyphs.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert glyphs.sheet().shape == (len(rows), 10, 40, 40) == (48, 10, 40, 40)
    assert len({digest(cell) for cell in glyphs.sheet().reshape(-1, 40, 40)}) == 480
    assert [row["typeface"] for row in rows] == list(glyphs.typefaces())
    assert all(row["package"].startswith("fonts-") and row["copyright"] for row in rows)
    licences = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    for licence in {part for row in rows for part in row["licence"].split(" and ")}:
        assert licence in licences
    assert all((ROOT / "data" / name).stat().st_size < 300_000 for name in ("glyphs.png", "glyphs.csv", "digits.npz"))


# ---- digits32 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", SPLITS)
def test_every_sample_is_a_shifted_original_of_its_split_with_its_label(split):
    x, y = images.get("digits32", 256).sample_labelled(2000, seed=1, split=split)
    small, labels = digits.originals(split)
    room = np.pad(digits.enlarged(small), ((0, 0), (6, 6), (6, 6)))
    known = {
        digest(picture[top : top + 32, left : left + 32]): label
        for picture, label in zip(room, labels, strict=True)
        for top in range(7)
        for left in range(7)
    }
    assert [known.get(digest(image)) for image in x] == y.tolist()
    assert len({digest(image) for image in x}) > 1500


def test_the_originals_are_scikit_learns_and_each_is_in_one_split():
    datasets = pytest.importorskip("sklearn.datasets")
    pixels, labels = datasets.load_digits(return_X_y=True)
    parts = [digits.originals(split) for split in SPLITS]
    assert [len(y) for _, y in parts] == [1204, 297, 296]
    together = [x.tobytes() + bytes([y]) for small, ys in parts for x, y in zip(small, ys, strict=True)]
    assert len(set(together)) == 1797
    assert sorted(together) == sorted(
        x.astype(np.uint8).tobytes() + bytes([y]) for x, y in zip(pixels, labels, strict=True)
    )


def test_enlarged_is_bilinear():
    small = digits.originals("train")[0][:50]
    old = np.arange(-1, 9)
    new = (np.arange(26) - 2) / 3
    wide = np.pad(small, ((0, 0), (1, 1), (1, 1))).astype(float)
    rows = np.apply_along_axis(lambda line: np.interp(new, old, line), 2, wide)
    both = np.apply_along_axis(lambda line: np.interp(new, old, line), 1, rows)
    assert np.abs(digits.enlarged(small) - 255 * np.minimum(both / digits.INK, 1)).max() <= 0.5 + 1e-9


# ---- names, arguments ----------------------------------------------------------------------------------


def test_names():
    assert images.names() == ["glyphs32", "shapes32", "digits32", "mnist32", "svhn", "cifar10"]
    for name in images.names():
        data = images.get(name)
        assert (data.name, data.levels) == (name, images.SETS[name].choices[0])
        assert data is images.get(name, data.levels)
        assert data.shape[1:] == (32, 32)
        assert name in repr(data)
    assert images.get("glyphs32").entropy is None


def test_unknown_name():
    with pytest.raises(ValueError, match=r"'glyph'.*Did you mean 'glyphs32'\?.*shapes32.*cifar10"):
        images.get("glyph")
    with pytest.raises(ValueError, match=r"no image set called '0000'\. Sets"):
        images.get("0000")


def test_unknown_levels():
    with pytest.raises(ValueError, match="glyphs32 comes in 2, 256 levels, not in 4"):
        images.get("glyphs32", 4)
    with pytest.raises(TypeError):
        images.get("glyphs32", 2.5)


@pytest.mark.parametrize("name", ["glyphs32", "shapes32", "digits32"])
def test_wrong_arguments(name):
    data = images.get(name)
    with pytest.raises(ValueError, match=r"'valid'. Splits: train, validation, test"):
        data.sample(3, split="valid")
    with pytest.raises(ValueError, match=r"'valid'. Splits: train, validation, test"):
        data.sample(3, np.random.default_rng(0), split="valid")
    with pytest.raises(ValueError, match="seed is a non-negative integer, got -1"):
        data.sample(3, seed=-1)
    with pytest.raises(ValueError, match="got -3"):
        data.sample(-3)


def test_readme_has_the_table():
    command = [sys.executable, "-m", "deepul_utils.images"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed == images.table() + "\n"
    assert printed in (ROOT / "data" / "README.md").read_text(encoding="utf-8")


def test_readme_shows_its_pictures():
    readme = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"\((pictures/[^)]+)\)", readme))
    there = {f"pictures/{file.name}": file.stat().st_size for file in (ROOT / "data" / "pictures").iterdir()}
    assert shown == set(there)
    assert len(shown) >= 3
    assert sum(there.values()) < 150_000


def test_import_is_light():
    """The built-in sets need NumPy and Pillow only; deepul_utils itself is stubbed, because it loads torch."""
    code = (
        "import sys, types; p = types.ModuleType('deepul_utils'); p.__path__ = [sys.argv[1]];"
        "sys.modules['deepul_utils'] = p; from deepul_utils import images;"
        "[images.get(name).sample(9) for name in ('glyphs32', 'shapes32', 'digits32')];"
        "print(*sorted({'scipy', 'torch', 'matplotlib', 'pooch', 'requests', 'sklearn'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, ROOT / "deepul_utils"], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == ""


# ---- downloads: small archives of the real formats, from a server on this machine ----------------------


class Server:
    """Serves `files`, {path: bytes}. `cuts`: how many bytes to send in the next answers, before hanging up.

    delay: seconds before an answer. ranges: whether it can send a part of a file.
    """

    def __init__(self):
        self.files, self.cuts, self.requests, self.ranges, self.delay = {}, [], [], True, 0
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                server.answer(self)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self.http.server_port}"

    def answer(self, request) -> None:
        wanted = request.headers.get("Range")
        self.requests.append((request.path, wanted))
        time.sleep(self.delay)
        content = self.files.get(request.path)
        start = int(re.match(r"bytes=(\d+)-$", wanted)[1]) if wanted and self.ranges else 0
        if content is None:
            return request.send_error(404)
        if start >= len(content):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(content)}")
            request.send_header("Content-Length", "0")
            return request.end_headers()
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        until = start + self.cuts.pop(0) if self.cuts else len(content)
        request.wfile.write(content[start:until])
        return None


@pytest.fixture
def server(monkeypatch, tmp_path):
    server = Server()
    monkeypatch.setenv("DEEPUL_DATA_MIRROR", server.address)
    monkeypatch.setenv("DEEPUL_DATA_CACHE", str(tmp_path))
    monkeypatch.setattr(downloads, "PAUSE", 0)
    monkeypatch.setattr(downloads, "CHUNK", 500)
    yield server
    server.http.shutdown()
    server.http.server_close()


def put(server, monkeypatch, cls, contents: dict[str, bytes]) -> originals.Original:
    """The set, with the checksums of these archives, which the server has."""
    monkeypatch.setattr(cls, "files", {name: f"md5:{hashlib.md5(c).hexdigest()}" for name, c in contents.items()})
    server.files |= {f"/{cls.name}/{name}": content for name, content in contents.items()}
    return cls()


def pixels(n: int, channels: int, side: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(256, size=(n, channels, side, side), dtype=np.uint8)


@cache  # gzip notes the time: a second archive would have another checksum
def cifar_archive(module: bytes = b"numpy.core") -> bytes:
    """Five batches of 20 images and a test batch, pickled as the original is; a module of NumPy 1 wrote that."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        members = {f"data_batch_{k}": cifar_batch(k) for k in range(1, 6)} | {"test_batch": cifar_batch(6)}
        members |= {"batches.meta": {b"label_names": [b"airplane"]}}
        for name in ("batches.meta", *sorted(members.keys() - {"batches.meta"}, reverse=True)):
            data = python2_pickle(members[name]).replace(b"numpy._core", module)
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return content.getvalue()


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as Python 2 did, which knew no difference."""

    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012

    def save_string(self, text):
        content = text.encode() if isinstance(text, str) else text
        self.write(pickle.BINSTRING + len(content).to_bytes(4, "little") + content)
        self.memoize(text)

    dispatch[str] = dispatch[bytes] = save_string


def python2_pickle(value) -> bytes:
    content = io.BytesIO()
    Python2Pickler(content, protocol=2).dump(value)
    return content.getvalue()


def cifar_batch(k: int) -> dict:
    labels = [(3 * i + k) % 10 for i in range(20)]
    return {b"data": pixels(20, 3, 32, k).reshape(20, -1), b"labels": labels, b"batch_label": b"one of them"}


def put_cifar(server, monkeypatch, **options):
    return put(server, monkeypatch, originals.Cifar10, {"cifar-10-python.tar.gz": cifar_archive(**options)})


def matlab(x: np.ndarray, y: np.ndarray) -> bytes:
    content = io.BytesIO()
    savemat(content, {"X": x.transpose(2, 3, 1, 0), "y": np.where(y == 0, 10, y)[:, None].astype(np.uint8)})
    return content.getvalue()


def idx_file(x: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, x.ndim]) + np.array(x.shape, ">u4").tobytes()
    return gzip.compress(head + x.astype(np.uint8).tobytes())


def every(data, split: str) -> dict[bytes, int]:
    """All of a split: {picture: label}."""
    x, y = data.sample_labelled(data.sizes[split], seed=3, split=split)
    return {digest(image): int(label) for image, label in zip(x, y, strict=True)}


def expect(data, train: tuple, test: tuple) -> None:
    """The set has these images with these labels, nine tenths of the first for training."""
    pictures = [{digest(image): int(label) for image, label in zip(*pair, strict=True)} for pair in (train, test)]
    held = every(data, "validation")
    assert every(data, "train") | held == pictures[0]
    assert not every(data, "train").keys() & held.keys()
    assert len(held) == len(pictures[0]) // 10
    assert every(data, "test") == pictures[1]


@pytest.mark.parametrize("module", [b"numpy.core", b"numpy._core"])
def test_cifar10(server, monkeypatch, module):
    data = put_cifar(server, monkeypatch, module=module)
    batches = [(pixels(20, 3, 32, k), cifar_batch(k)[b"labels"]) for k in range(1, 7)]
    train = np.concatenate([x for x, _ in batches[:5]]), np.concatenate([y for _, y in batches[:5]])
    expect(data, train, batches[5])
    assert (data.shape, len(data.label_names), data.entropy) == ((3, 32, 32), 10, None)


def test_svhn(server, monkeypatch):
    train, test = ((pixels(n, 3, 32, n), np.arange(n) % 10) for n in (40, 15))
    files = {"train_32x32.mat": matlab(*train), "test_32x32.mat": matlab(*test)}
    expect(put(server, monkeypatch, originals.Svhn, files), train, test)


def mnist_files(n: int = 30) -> dict[str, bytes]:
    return {
        "train-images-idx3-ubyte.gz": idx_file(pixels(n, 1, 28, 1)[:, 0]),
        "train-labels-idx1-ubyte.gz": idx_file(np.arange(n) % 10),
        "t10k-images-idx3-ubyte.gz": idx_file(pixels(12, 1, 28, 2)[:, 0]),
        "t10k-labels-idx1-ubyte.gz": idx_file(np.arange(12) % 7),
    }


def test_mnist32(server, monkeypatch):
    pad = ((0, 0), (0, 0), (2, 2), (2, 2))
    train = np.pad(pixels(30, 1, 28, 1), pad), np.arange(30) % 10
    test = np.pad(pixels(12, 1, 28, 2), pad), np.arange(12) % 7
    expect(put(server, monkeypatch, originals.Mnist32, mnist_files()), train, test)


def test_real_checksums_are_well_formed():
    for cls in (originals.Cifar10, originals.Svhn, originals.Mnist32):
        assert cls.files
        assert all(re.fullmatch(r"md5:[0-9a-f]{32}", checksum) for checksum in cls.files.values())
        assert cls.alternative in ("glyphs32", "shapes32", "digits32")
        assert cls.base.startswith("http")


def test_fewer_levels_of_an_original(server, monkeypatch):
    full = put_cifar(server, monkeypatch)
    for levels in (2, 4, 16):
        x = originals.Cifar10(levels).sample(30, seed=1)
        assert np.array_equal(x, full.sample(30, seed=1).astype(int) * levels // 256)


def test_seeds_choose_and_no_image_comes_twice(server, monkeypatch):
    data = put_cifar(server, monkeypatch)
    a, b = data.sample(90, seed=0), data.sample(90, seed=1)
    assert len({digest(image) for image in a}) == 90
    assert not np.array_equal(a, b)
    with pytest.raises(ValueError, match="cifar10 has 10 validation images, not 11"):
        data.sample(11, split="validation")


def test_it_is_downloaded_once(server, monkeypatch, tmp_path, capfd):
    put_cifar(server, monkeypatch).sample(1)
    put_cifar(server, monkeypatch).sample(1)
    assert len(server.requests) == 1
    assert {file.name for file in (tmp_path / "cifar10").iterdir()} <= {
        "cifar-10-python.tar.gz",
        "cifar-10-python.tar.gz.lock",
    }
    assert capfd.readouterr().err == ""  # nbgrader gives nothing for a cell that writes there


def test_a_broken_connection_is_resumed(server, monkeypatch):
    server.cuts = [3000, 500]
    assert put_cifar(server, monkeypatch).sample(90).shape == (90, 3, 32, 32)
    assert [wanted for _, wanted in server.requests] == [None, "bytes=3000-", "bytes=3500-"]


def test_it_gives_up_keeps_what_it_has_and_goes_on_later(server, monkeypatch):
    data = put_cifar(server, monkeypatch)
    server.cuts = [5000] + [1000] * 4
    with pytest.raises(KitError, match=r"broke off\)\. Ask again to go on: 0\.01 MB are kept\. Built in"):
        data.sample(1)
    assert len(server.requests) == downloads.ATTEMPTS
    assert data.sample(90).shape == (90, 3, 32, 32)
    assert server.requests[-1][1] == "bytes=9000-"


def test_a_server_that_sends_no_parts(server, monkeypatch):
    server.cuts, server.ranges = [3000], False
    assert put_cifar(server, monkeypatch).sample(90).shape == (90, 3, 32, 32)
    assert [wanted for _, wanted in server.requests] == [None, "bytes=3000-"]


@pytest.mark.parametrize("extra", [0, 7])
def test_a_part_that_is_complete_or_too_long(server, monkeypatch, tmp_path, extra):
    archive = cifar_archive()
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "cifar-10-python.tar.gz.part").write_bytes(archive + bytes(extra))
    assert put_cifar(server, monkeypatch).sample(90).shape == (90, 3, 32, 32)
    assert len(server.requests) == (2 if extra else 1)


@pytest.mark.parametrize("damage", [lambda c: c[:-100], lambda c: c[:50] + b"x" + c[51:]], ids=["truncated", "changed"])
def test_another_file_than_the_original_is_refused(server, monkeypatch, tmp_path, damage):
    data, path = put_cifar(server, monkeypatch), "/cifar10/cifar-10-python.tar.gz"
    good = server.files[path]
    server.files[path] = damage(good)
    with pytest.raises(KitError, match=r"not the original file.*images\.get\(\"shapes32\"\)"):
        data.sample(1)
    assert [file.name for file in (tmp_path / "cifar10").iterdir() if not file.name.endswith(".lock")] == []
    server.files[path] = good
    assert data.sample(1).shape == (1, 3, 32, 32)  # and the bad bytes are not built upon


def test_a_damaged_file_in_the_cache_is_fetched_anew(server, monkeypatch, tmp_path):
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "cifar-10-python.tar.gz").write_bytes(cifar_archive()[:-1])
    put_cifar(server, monkeypatch).sample(1)
    assert (tmp_path / "cifar10" / "cifar-10-python.tar.gz").read_bytes() == cifar_archive()


@pytest.mark.parametrize("cls", [originals.Cifar10, originals.Svhn, originals.Mnist32])
def test_offline(server, monkeypatch, cls):
    monkeypatch.setenv("DEEPUL_DATA_MIRROR", "http://127.0.0.1:1/")
    said = rf"^{cls.name} could not be downloaded from http://127\.0\.0\.1:1/{cls.name} \(no connection.*\)\. "
    with pytest.raises(KitError, match=rf'{said}Built in and offline: images\.get\("{cls.alternative}"\)\.$'):
        cls().sample(1)
    assert images.get(cls.alternative).sample(1).shape[1:] == images.get(cls.alternative).shape


def test_without_a_mirror_it_asks_the_original_host(server, monkeypatch):
    data = put_cifar(server, monkeypatch)
    monkeypatch.delenv("DEEPUL_DATA_MIRROR")
    monkeypatch.setattr(originals.Cifar10, "base", f"{server.address}/cifar10")
    assert data.sample(1).shape == (1, 3, 32, 32)


def test_not_found(server, monkeypatch):
    data = put_cifar(server, monkeypatch)
    server.files.clear()
    with pytest.raises(KitError, match=r"\(the server says 404 Not Found\)"):
        data.sample(1)
    assert len(server.requests) == 1  # to ask again would change nothing


def test_a_download_does_not_fill_the_disk(server, monkeypatch, tmp_path):
    data = put_cifar(server, monkeypatch)
    monkeypatch.setattr(downloads, "LARGEST", 100_000)
    with pytest.raises(KitError, match="more than 0 MB arrived"):
        data.sample(1)
    assert sum(file.stat().st_size for file in (tmp_path / "cifar10").iterdir()) < 110_000


def test_a_place_that_cannot_be_written(server, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DEEPUL_DATA_CACHE", str(tmp_path / "file"))
    with pytest.raises(KitError, match=r"cifar10 could not be downloaded .*Error"):
        put_cifar(server, monkeypatch).sample(1)


def test_progress_is_shown_on_stdout(server, monkeypatch, capfd):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    put_cifar(server, monkeypatch).sample(1)
    out, err = capfd.readouterr()
    assert "cifar-10-python.tar.gz" in out
    assert err == ""


def test_two_processes_at_once(server, monkeypatch, tmp_path):
    """The second waits for the first, and then finds the file."""
    data = put_cifar(server, monkeypatch)
    code = (
        "import sys; from deepul_utils.images import originals;"
        f"originals.Cifar10.files = {data.files!r};"
        "print('ready', flush=True); sys.stdin.readline();"
        "print(originals.Cifar10().sample(90).sum())"
    )
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    processes = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=os.environ, **pipes) for _ in range(2)]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    server.delay = 1  # long enough for both to begin
    for process in processes:
        print(file=process.stdin, flush=True)
    answers = [process.communicate(timeout=60) for process in processes]
    total = data.sample(90).sum()
    assert answers == [(f"{total}\n", "")] * 2
    assert len(server.requests) == 1


class Attack:
    def __reduce__(self):
        return os.mkdir, ("attacked",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_batch_can_only_hold_arrays(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match=r"arrays only, not (posix|nt)\.mkdir"):
        originals._batch(io.BytesIO(pickle.dumps([Attack()], protocol=protocol)))
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize("content", [b"", b"\0\0\x08", b"\0\0\x0d\x01\0\0\0\x01x", b"\0\0\x08\x01\0\0\0\x05four"])
def test_idx_refuses_another_format(tmp_path, content):
    file = tmp_path / "file.gz"
    file.write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match=r"file\.gz is no file of bytes in MNIST's format"):
        originals.idx(file)

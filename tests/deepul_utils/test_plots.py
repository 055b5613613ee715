"""The figures show the numbers they were given, and appear once."""

import io
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from IPython.core.pylabtools import select_figure_formats
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from deepul_utils import plots, toy, training

ROOT = Path(__file__).resolve().parents[2]
P = toy.discrete("edges", 20).pmf
GRID = toy.discrete("smiley", 10)
MASK = np.tril(np.ones((4, 4)), -1)
RUN = SimpleNamespace(steps=[1, 2, 3, 4], train=[9.0, 4.0, 3.0, 2.5], valid_steps=[0, 4], valid=[9.5, 2.7])

EVERY = {
    "distribution 1-D": lambda: plots.distribution(toy.get("edges")),
    "distribution 2-D": lambda: plots.distribution(toy.get("moons")),
    "levels 1-D": lambda: plots.distribution(toy.discrete("edges", 20)),
    "levels 2-D": lambda: plots.distribution(GRID),
    "gallery": lambda: plots.gallery(["smiley", "checkerboard", "edges"]),
    "samples_1d": lambda: plots.samples_1d([3, 4, 4], pmf=P, model_pmf=P),
    "pmf_1d": lambda: plots.pmf_1d(P, P, "untrained"),
    "pmf_2d": lambda: plots.pmf_2d(true=GRID.pmf, samples=GRID.sample(50)),
    "scatter_2d": lambda: plots.scatter_2d(np.zeros((3, 2)), toy.get("moons")),
    "history": lambda: plots.history(RUN, limit=2.0, baseline=5.0),
    "matrix": lambda: plots.matrix(MASK > 0, "input", "output", "who sees whom"),
    "masks": lambda: plots.masks([MASK, MASK.T], ["A", "B"]),
    "images": lambda: plots.images(RGB[:, :1], labels="abcd", title="grey"),
    "image_rows": lambda: plots.image_rows({"real": RGB, "reconstructed": RGB[:2]}),
    "receptive_field": lambda: plots.receptive_field({"one": MASK, "two": MASK / 3}, (2, 2)),
}
every_plot = pytest.mark.parametrize("draw", EVERY.values(), ids=EVERY)


def png_size(figure) -> tuple[int, int]:
    """In pixels of the page, as the page is told; the picture has twice as many a side."""
    png, shown = figure._repr_png_()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    size = int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
    assert size == pytest.approx((2 * shown["width"], 2 * shown["height"]), abs=2)
    return shown["width"], shown["height"]


def steps(figure) -> dict:
    """The stairs of a 1-D plot by label: their heights."""
    return {p.get_label(): p.get_data().values for p in figure.axes[0].patches if hasattr(p, "get_data")}


def heatmaps(figure) -> dict:
    """The pictures by title: what they show, [i, j] at x = i, y = j."""
    return {ax.get_title("left"): ax.images[0].get_array().T for ax in figure.axes if ax.images}


# ---- every figure --------------------------------------------------------------------------------------


@every_plot
def test_is_a_figure_that_fits_the_notebook_and_changes_no_settings(draw):
    before = dict(matplotlib.rcParams)
    figure = draw()
    assert isinstance(figure, Figure)
    width, height = png_size(figure)
    assert 1.5 * 110 < width <= 9.3 * 110  # 9 inches and the margin around them
    assert height < 7 * 110
    assert dict(matplotlib.rcParams) == before


def test_many_panels_share_the_width():
    for figure in (plots.masks([MASK] * 7), plots.pmf_2d(**dict.fromkeys("abcde", GRID.pmf))):
        assert png_size(figure)[0] <= 9.3 * 110


@pytest.mark.parametrize("inline", [False, True])
def test_jupyter_shows_it_once(inline):
    shell = SimpleNamespace(display_formatter=DisplayFormatter())
    shell.display_formatter.active_types = list(shell.display_formatter.formatters)
    if inline:  # what `%matplotlib inline` and an import of pyplot do
        select_figure_formats(shell, {"png"})
    shown, _ = shell.display_formatter.format(plots.pmf_1d(P))
    assert [kind for kind in shown if kind != "text/plain"] == ["image/png"]


def test_jupyter_shows_it_sharp_and_says_what_it_is_also_after_an_import_of_pyplot():
    shell = SimpleNamespace(display_formatter=DisplayFormatter())
    shell.display_formatter.active_types = list(shell.display_formatter.formatters)
    figure = plots.history(RUN, limit=2.0)
    plots.common._show_as_it_is(shell, type(figure))
    select_figure_formats(shell, {"png"})
    shown, told = shell.display_formatter.format(figure)
    assert int.from_bytes(shown["image/png"][16:20], "big") == 2 * 880
    assert told["image/png"] == {"width": 880, "height": 374, "alt": figure.alt}
    assert figure.alt == (
        "Training and validation loss against the step. Axes: step, loss (nats). Legend: training, validation, "
        "limit 2.000."
    )


@every_plot
def test_has_words_for_those_who_cannot_see_it(draw):
    alt = draw().alt
    assert re.match(r"[A-Zµ−][^{}`]{15,}\.$", alt), alt


@every_plot
def test_words_and_frames_are_seen_on_white_and_on_black_pages(draw):
    """The data lie on a plate, or are pictures; what stands outside of it has a contrast on both."""
    from PIL import Image

    picture = Image.open(io.BytesIO(draw()._repr_png_()[0])).convert("RGBA")
    assert picture.getpixel((0, 0))[3] == 0 or picture.getpixel((0, 0)) == (158, 163, 171, 255)  # an image's frame
    for page in (1.0, 0.0056):  # relative luminance of white, and of JupyterLab's black
        for tone, least in ((plots.TEXT, 4.0), (plots.INK, 3.0)):
            r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(tone))
            luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b
            assert (max(page, luminance) + 0.05) / (min(page, luminance) + 0.05) > least


def test_nothing_loads_before_it_is_needed_and_pyplot_never():
    code = (
        "import sys; from deepul_utils import plots; assert 'matplotlib' not in sys.modules;"
        "plots.pmf_1d([0.5, 0.5])._repr_png_(); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, check=True)


# ---- one dimension -------------------------------------------------------------------------------------


def test_samples_1d_shows_frequencies_beside_both_pmfs():
    levels = torch.tensor([[0], [3], [3], [19]])
    q = torch.tensor(P[::-1].copy(), requires_grad=True)
    shown = steps(plots.samples_1d(levels, pmf=P, model_pmf=q, title="drawn"))
    assert shown["4 samples"].tolist() == [0.25, 0, 0, 0.5, *[0] * 15, 0.25]
    assert np.array_equal(shown["true"], P)
    assert np.array_equal(shown["model"], P[::-1])


def test_samples_1d_without_pmf():
    assert steps(plots.samples_1d([0, 2, 2, 1]))["4 samples"].tolist() == [0.25, 0.25, 0.5]
    assert list(steps(plots.samples_1d([1], model_pmf=P))) == ["1 samples", "model"]
    with pytest.raises(ValueError, match="integer levels, got fractions"):
        plots.samples_1d([0.5])
    with pytest.raises(ValueError, match="levels 0 … 2, got -1 … 3"):
        plots.samples_1d([-1, 3], pmf=[0.2, 0.3, 0.5])


def test_pmf_1d():
    figure = plots.pmf_1d(P, P[::-1], "untrained")
    assert np.array_equal(steps(figure)["true"], P)
    assert np.array_equal(steps(figure)["model"], P[::-1])
    assert figure.axes[0].get_title("left") == "untrained"
    assert list(steps(plots.pmf_1d(P))) == ["true"]


def test_density_beyond_the_box_is_shown_and_the_box_marked():
    wide, narrow = (
        plots.distribution(toy.get("edges")).axes[0],
        plots.distribution(toy.get("two_bumps")).axes[0],
    )
    assert wide.get_xlim()[0] < -6
    assert wide.get_xlim()[1] > 7
    assert [line.get_xdata()[0] for line in wide.lines[1:]] == [-4, 4]
    assert narrow.get_xlim() == (-4, 4)
    assert len(narrow.lines) == 1
    x, p = wide.lines[0].get_data()
    assert p == pytest.approx(np.exp(toy.get("edges").log_prob(x[:, None])))


# ---- two dimensions ------------------------------------------------------------------------------------


def test_pmf_2d_shows_its_panels_on_one_scale():
    levels = torch.tensor([[0, 9], [0, 9], [3, 4], [9, 0]])
    figure = plots.pmf_2d(true=GRID.pmf, the_model=torch.tensor(GRID.pmf.T / 2), samples=levels)
    shown = heatmaps(figure)
    assert list(shown) == ["true", "the model", "samples"]
    assert np.array_equal(shown["true"], GRID.pmf)
    assert np.array_equal(shown["the model"], GRID.pmf.T / 2)
    assert {(i, j): shown["samples"][i, j] for i, j in np.argwhere(shown["samples"])} == {
        (0, 9): 0.5,
        (3, 4): 0.25,
        (9, 0): 0.25,
    }
    images = [ax.images[0] for ax in figure.axes if ax.images]
    assert {image.get_clim() for image in images} == {(0, 0.5)}
    assert {image.origin for image in images} == {"lower"}


@pytest.mark.parametrize(
    "panels",
    [
        {"true": np.zeros(5)},
        {"samples": np.zeros((5, 2), int)},
        {"p": GRID.pmf, "x": np.zeros((5, 3), int)},
        {"p": GRID.pmf, "x": np.array([[0, 10]])},
        {"p": GRID.pmf, "x": np.full((5, 2), -1)},
    ],
)
def test_pmf_2d_refuses_other_panels(panels):
    with pytest.raises(ValueError):
        plots.pmf_2d(**panels)


def test_densities_lie_where_the_distribution_has_them():
    image = plots.distribution(toy.get("axis_gaussian")).axes[0].images[0]
    i, j = np.unravel_index(image.get_array().T.argmax(), (plots.PIXELS, plots.PIXELS))
    left, right, bottom, top = image.get_extent()
    peak = (
        left + (i + 0.5) * (right - left) / plots.PIXELS,
        bottom + (j + 0.5) * (top - bottom) / plots.PIXELS,
    )
    assert peak == pytest.approx((0.5, -1.0), abs=0.05)
    assert image.origin == "lower"


def test_distribution_shows_pmf_and_samples():
    shown = heatmaps(plots.distribution(GRID, n=500, seed=3))
    assert np.array_equal(shown[f"smiley · entropy {GRID.entropy:.3f} nats"], GRID.pmf)
    counts = np.zeros((10, 10))
    np.add.at(counts, tuple(GRID.sample(500, seed=3).T), 1)
    assert np.array_equal(shown["500 samples"], counts / 500)
    points = plots.distribution(toy.get("moons"), n=70).axes[1]
    assert np.array_equal(points.collections[0].get_offsets(), toy.get("moons").sample(70))
    assert (points.get_xlim(), points.get_ylim()) == toy.get("moons").support


def test_scatter_2d():
    x = torch.randn(30, 2, generator=torch.Generator().manual_seed(0))
    alone, over = plots.scatter_2d(x).axes[0], plots.scatter_2d(x, toy.get("moons")).axes[0]
    assert np.array_equal(alone.collections[0].get_offsets(), x.numpy())
    assert not alone.images
    assert over.images
    assert (over.get_xlim(), over.get_ylim()) == toy.get("moons").support


def test_gallery_has_every_set_once():
    titles = [ax.get_title() for ax in plots.gallery().axes]
    assert titles == [name.replace("_", " ") for name in toy.names()]
    assert [ax.get_title() for ax in plots.gallery(["moons"]).axes] == ["moons"]


# ---- training and masks --------------------------------------------------------------------------------


def test_history_shows_curves_limit_and_baseline():
    ax = plots.history(RUN, limit=2.0, baseline=5.0, unit="bits/dim").axes[0]
    lines = {line.get_label(): line for line in ax.lines}
    raw, *named = lines
    assert named == ["training", "validation", "baseline 5.000", "limit 2.000"]
    assert [list(a) for a in lines[raw].get_data()] == [RUN.steps, RUN.train]
    assert [list(a) for a in lines["validation"].get_data()] == [RUN.valid_steps, RUN.valid]
    assert list(lines["limit 2.000"].get_ydata()) == [2, 2]
    assert lines["limit 2.000"].get_linestyle() == "--"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == named
    assert ax.get_ylabel() == "loss (bits/dim)"


def test_history_shows_a_running_mean_over_the_losses_of_single_steps():
    losses = np.linspace(9, 1, 400) + np.tile([1.0, -1.0], 200)
    run = SimpleNamespace(steps=range(400), train=losses, valid_steps=[], valid=[])
    raw, smooth = (line.get_ydata() for line in plots.history(run).axes[0].lines)
    assert np.array_equal(raw, losses)
    assert np.abs(np.diff(smooth)[10:-10]).max() < 0.3 < np.abs(np.diff(raw)).max()
    assert smooth[200] == pytest.approx(losses[195:206].mean())
    assert smooth[0] == pytest.approx(losses[:6].mean())


def test_history_shows_what_to_aim_at_and_a_loss_on_held_out_data():
    run = dict(steps=[1, 2, 3], train=[3.0, 2.5, 2.2], valid_steps=[], valid=[])
    told = plots.history(SimpleNamespace(**run, aim=2.125), held_out=2.25).axes[0]
    assert [text.get_text() for text in told.get_legend().get_texts()] == ["training", "validation", "to aim at 2.125"]
    (point,) = (line for line in told.lines if line.get_label() == "validation")
    assert point.get_xydata().tolist() == [[3, 2.25]]
    large = plots.history(SimpleNamespace(**run, aim=2.125), aim=991.54).axes[0]
    assert large.get_legend().get_texts()[-1].get_text() == "to aim at 991.5"


@pytest.mark.parametrize(("noise", "above"), [(0.3, True), (0.003, False)])
def test_the_words_of_a_thin_band_stand_below_it(noise, above):
    """Where they would lie on the curves, and where a wide band has room for them."""
    rng = np.random.default_rng(0)
    steps = list(range(1, 201))
    train = (1 + 2 * np.exp(-np.array(steps) / 20) + noise * rng.normal(size=200)).tolist()
    run = dict(steps=steps, train=train, valid_steps=[100, 200], valid=[1.01, 1.0])
    ax = plots.history(SimpleNamespace(**run), limit=1.0).axes[0]
    (words,) = ax.texts
    ax.figure.canvas.draw()
    low = ax.patches[0].get_extents().y0
    assert (words.get_window_extent().y0 >= low) == above


def test_matrices_side_by_side_have_a_scale_where_it_says_something():
    arrays = [np.eye(3) / 2, np.zeros((3, 3))]
    assert len(plots.masks(arrays, ["a", "b"]).axes) == 2
    beside_nothing = plots.masks([np.zeros((2, 2)), np.full((2, 2), 0.5)], label="nats").axes
    assert len({ax.collections[0].cmap.name for ax in beside_nothing[:2]}) == 1, "one scale for all"
    with_scale = plots.masks(arrays, ["a", "b"], label="nats").axes
    assert [ax.get_ylabel() for ax in with_scale][-1] == "nats"


def band(figure) -> tuple[float, float] | None:
    """The grey band round the limit, if there is one; it is explained where it is."""
    ax = figure.axes[0]
    texts = [text.get_text() for text in ax.texts]
    assert texts == ([plots.BAND] if ax.patches else [])
    if not ax.patches:
        return None
    low, high = ax.patches[0].get_extents().transformed(ax.transData.inverted()).intervaly
    assert ax.get_ylim()[0] < low
    return low, high


def test_history_shows_what_may_be_chance():
    """A validation loss below the limit is no mistake if it lies within two standard errors."""
    rng = np.random.default_rng(0)
    run = dict(steps=range(400), train=2 + rng.normal(0, 0.05, 400), valid_steps=[100, 399], valid=[2.1, 1.99])
    known = plots.history(SimpleNamespace(**run, valid_error=0.02), limit=2.0)
    assert band(known) == pytest.approx((1.96, 2.04))
    # Of older weights it is not known: as the training scatters at its end, however it falls.
    falling = run | dict(train=run["train"] + np.linspace(3, 0, 400))
    guessed = [
        band(plots.history(SimpleNamespace(**r), limit=2.0)) for r in (run, run | dict(valid_error=0.0), falling)
    ]
    for low, high in guessed:
        assert 2 - low == pytest.approx(0.1, rel=0.25)
        assert high - 2 == pytest.approx(2 - low)


def test_history_without_a_limit_or_validation_has_no_band():
    run = dict(steps=range(400), train=np.linspace(3, 2, 400), valid_steps=[], valid=[])
    assert band(plots.history(SimpleNamespace(**run), limit=2.0)) is None
    assert band(plots.history(SimpleNamespace(**run | dict(valid_steps=[1], valid=[2.0])), baseline=2.0)) is None


def test_history_keeps_everything_in_view_but_the_steep_start():
    train = [1e6, *np.linspace(6, 3, 400)]
    run = SimpleNamespace(steps=range(401), train=train, valid_steps=[0, 200, 400], valid=[1e6, 4.4, 3.1])
    bottom, top = plots.history(run, limit=2.5, baseline=7.0).axes[0].get_ylim()
    assert 2 < bottom < 2.5
    assert 7 < top < 8


def test_history_leaves_room_to_read_the_end_of_a_steep_training():
    train = [20 + 3000 * 0.9**k for k in range(400)]  # as a PixelCNN on images in colour begins
    run = SimpleNamespace(steps=range(400), train=train, valid_steps=[100, 300], valid=[24.0, 19.0])
    bottom, top = plots.history(run, limit=12.0).axes[0].get_ylim()
    assert bottom < 12
    assert 24 < top < 27


@pytest.mark.parametrize("losses", [[], [np.nan], [np.inf, 2.0], [2.0]])
def test_history_of_a_short_or_broken_run(losses):
    run = SimpleNamespace(steps=range(len(losses)), train=losses, valid_steps=[], valid=[])
    for limit in (None, 1.0):
        png_size(plots.history(run, limit=limit))


def test_matrix_has_its_first_row_on_top():
    array = np.arange(6.0).reshape(2, 3)
    ax, scale = plots.matrix(torch.tensor(array), "input", "output", "change").axes
    assert np.array_equal(ax.collections[0].get_array(), array)
    assert ax.get_ylim() == (1.5, -0.5)
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title("left")) == ("input", "output", "change")
    assert ax.collections[0].get_clim() == (0, 5)
    assert scale.get_ylim() == (0, 5)


def test_a_title_that_is_wider_than_its_figure_goes_on_in_the_next_line():
    words = "which outputs see which inputs"
    figure = plots.matrix(np.tri(4, k=-1), "input", "output", words)
    figure.draw_without_rendering()
    [title] = figure.findobj(lambda part: isinstance(part, Text) and part.get_text() == words)
    box = title.get_window_extent()
    assert box.x1 <= figure.bbox.x1
    assert box.y1 <= figure.bbox.y1
    assert words in figure.alt


def test_information_names_its_factors_with_their_gaps():
    told = np.array([[0.8, 0.1], [0.2, 0.1], [0.0, 0.7]])
    *panels, scale = plots.information({"β = 1": told / 2, "β = 16": told}, ("size", "x")).axes
    assert [ax.get_title("left") for ax in panels] == ["β = 1: mean gap 0.30", "β = 16: mean gap 0.60"]
    assert [t.get_text() for t in panels[1].get_xticklabels()] == ["size\n0.60", "x\n0.60"]
    assert scale.get_ylim() == (0, 1)


@pytest.mark.parametrize("value", [0, 1])
def test_a_constant_mask_keeps_its_color(value):
    """A mask of ones is not drawn as a mask of zeros."""
    (ax,) = plots.matrix(np.full((3, 3), value)).axes
    assert ax.collections[0].get_clim() == (0, 1)
    assert np.all(ax.collections[0].get_array() == value)


def test_masks_side_by_side():
    figure = plots.masks([MASK, torch.ones(2, 3)], ["A", "B"])
    assert [ax.get_title("left") for ax in figure.axes] == ["A", "B"]
    assert [ax.collections[0].get_array().shape for ax in figure.axes] == [(4, 4), (2, 3)]
    assert {ax.collections[0].get_clim() for ax in figure.axes} == {(0, 1)}
    with pytest.raises(ValueError):
        plots.masks([MASK], ["A", "B"])
    with pytest.raises(ValueError, match=r"mask 0 should be a matrix, which has two dimensions, got shape \(3,\)"):
        plots.masks([np.ones(3)])


def test_the_color_map_falls_evenly_in_lightness():
    rgb = plots.common._colors()(np.linspace(0, 1, 65))[:, :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    lightness = 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16  # CIE L*, to within 1 near black
    assert rgb[0].tolist() == [1, 1, 1]
    slope = -np.diff(lightness[:61]) * 64  # per unit of the map; an even one falls by 100
    assert slope.min() > 60
    assert slope.max() < 150


# ---- images --------------------------------------------------------------------------------------------

GREYS = np.arange(12, dtype=np.uint8).reshape(3, 1, 2, 2)
RGB = np.linspace(0, 1, 4 * 3 * 32 * 32).reshape(4, 3, 32, 32).astype(np.float32)


def sheet_of(figure) -> np.ndarray:
    """What an image plot shows, (height, width, 3) in image pixels."""
    ax = figure.axes[0]
    assert ax.images[0].get_interpolation() == "nearest"
    sheet = np.asarray(ax.images[0].get_array())
    assert np.isin(sheet[..., 3], (0, 1)).all()
    return np.where(sheet[..., 3:] == 0, np.nan, sheet[..., :3])  # what is transparent shows nothing


def tile(figure, row: int, column: int, size=(32, 32), below: int = 0) -> np.ndarray:
    """One image of the sheet, (H, W, 3)."""
    top, left = plots.GAP + row * (size[0] + plots.GAP + below), plots.GAP + column * (size[1] + plots.GAP)
    return sheet_of(figure)[top : top + size[0], left : left + size[1]]


def test_images_are_shown_row_by_row():
    figure = plots.images(torch.from_numpy(GREYS), columns=2, levels=12, title="drawn")
    for k, where in enumerate([(0, 0), (0, 1), (1, 0)]):
        shown = tile(figure, *where, size=(2, 2))
        assert shown == pytest.approx(np.repeat(GREYS[k, 0, :, :, None] / 11, 3, axis=2))
    assert np.isnan(tile(figure, 1, 1, size=(2, 2))[1:, 1:]).all()  # no fourth
    assert figure.axes[0].get_title("left") == "drawn"


def test_colours_keep_their_channels():
    shown = tile(plots.images(RGB), 0, 3)
    assert np.array_equal(shown, RGB[3].transpose(1, 2, 0))
    dark_and_light = np.array([0, 3])[:, None, None, None] + np.zeros((2, 3, 9, 9), dtype=int)
    assert (tile(plots.images(dark_and_light, levels=4), 0, 1, (9, 9)) == 1).all()


def test_labels_stand_below_their_images():
    figure = plots.images(GREYS, columns=2, levels=12, labels=torch.tensor([7, 8, 9]))
    texts = figure.axes[0].texts
    assert [text.get_text() for text in texts] == ["7", "8", "9"]
    (x7, y7), (x8, y8), (x9, y9) = (text.get_position() for text in texts)
    assert x7 == x9 < x8
    assert y7 == y8 < y9
    assert np.array_equal(tile(figure, 1, 0, (2, 2), below=plots.LABEL)[..., 0], GREYS[2, 0] / 11)
    assert y7 > 2  # below the image's two rows of pixels


@pytest.mark.parametrize("n", [1, 2, 7, 12, 40, 100, 400])
def test_every_pixel_is_magnified_by_the_same_whole_number(n):
    checkers = np.indices((32, 32)).sum(axis=0) % 2
    figure = plots.images(np.broadcast_to(checkers, (n, 1, 32, 32)), levels=2)
    assert 1.5 * 110 < png_size(figure)[0] <= 9.3 * 110
    assert png_size(figure)[1] < 7 * 110
    picture = png_pixels(figure)
    row = next(line for line in picture if (line == 0).sum() > 16)  # through an image
    runs = np.diff(np.flatnonzero(np.diff((row < 128).astype(int))))
    black = runs[runs == np.median(runs)]
    assert len(black) > 0.9 * len(runs)  # all but those at the frames


def png_pixels(figure) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(figure._repr_png_()[0])).convert("L"))


def test_columns_fill_their_rows():
    for n in (10, 12, 16, 24, 40, 60, 100, 144, 200):
        assert n % plots.pixels._columns(n) == 0
    assert plots.pixels._columns(97) in range(8, 15)


def test_image_rows_stand_beside_their_labels():
    levels = np.full((3, 3, 32, 32), 2, dtype=np.uint8)
    figure = plots.image_rows({"real": levels, "made_up": RGB[:2]}, levels=4)
    assert tile(figure, 0, 2) == pytest.approx(np.full((32, 32, 3), 2 / 3))
    assert np.array_equal(tile(figure, 1, 1), RGB[1].transpose(1, 2, 0))
    assert np.isnan(tile(figure, 1, 2)[1:, 1:]).all()
    texts = figure.axes[0].texts
    assert [text.get_text() for text in texts] == ["real", "made up"]
    assert [0 < text.get_position()[1] - row * 33 < 32 for row, text in enumerate(texts)] == [True, True]
    for short in ("0", "reconstructed", "MMMM"):
        drawn = plots.image_rows({short: RGB})
        drawn.canvas.draw()
        assert drawn.axes[0].texts[0].get_window_extent().x0 >= 0, short  # nothing of a label is cut off
    same = plots.image_rows([("real", levels), ("made_up", RGB[:2])], levels=4)
    assert np.array_equal(sheet_of(same), sheet_of(figure), equal_nan=True)


def test_heat_has_its_scale_beside_the_images():
    bits = np.zeros((4, 1, 32, 32))
    bits[0, 0, 3, 5] = 6.5
    figure = plots.image_rows({"image": RGB}, heat={"bits a pixel": bits})
    ax, scale = figure.axes
    assert [text.get_text() for text in ax.texts] == ["image", "bits a pixel"]
    assert tile(figure, 1, 0)[3, 5].max() < 0.1  # the darkest
    assert (tile(figure, 1, 1) == 1).all()
    assert scale.get_ylim() == (0, 6.5)
    assert scale.get_ylabel() == "bits a pixel"
    figure.canvas.draw()
    assert scale.get_tightbbox().x1 <= figure.bbox.width
    assert ax.get_position().x1 < scale.get_position().x0
    with pytest.raises(plots.CannotDraw, match="quantities ≥ 0"):
        plots.image_rows({"image": RGB}, heat={"bits": -bits})


@pytest.mark.parametrize(
    ("x", "options", "said"),
    [
        (GREYS[0], {"levels": 12}, r"got \(1, 2, 2\)"),
        (np.zeros((2, 2, 4, 4)), {}, "one channel or three"),
        (np.zeros((0, 1, 4, 4)), {}, "one channel or three"),
        (GREYS, {}, r"How many levels .*uint8"),
        (GREYS, {"levels": 11}, "from 0 to 10, got 0 to 11"),
        (2 * RGB - 1, {}, r"turn \[−1, 1\] into"),
        (RGB * np.nan, {}, "should be finite, got nan or infinity in 12,288 of 12,288 numbers"),
        (RGB, {"labels": [1, 2]}, "2 labels for 4 images"),
    ],
)
def test_images_refuses(x, options, said):
    with pytest.raises(ValueError, match=said):
        plots.images(x, **options)


def test_rows_of_one_figure_have_one_size():
    with pytest.raises(ValueError, match="one size"):
        plots.image_rows({"a": RGB, "b": RGB[:, :, :16]})


# ---- receptive fields ----------------------------------------------------------------------------------


def test_receptive_field_shows_sizes_relative_to_the_largest_and_marks_the_centre():
    gradient = np.zeros((5, 7))
    gradient[0, 1], gradient[1, 2], gradient[2, 0] = -4.0, 2.0, 1e-9
    figure = plots.receptive_field(torch.from_numpy(gradient), (2, 3), "stack")
    ax, bar = figure.axes
    cells = ax.collections[0]
    shown = cells.get_array()
    assert (shown[0, 1], shown[1, 2]) == (1, 0.5)
    assert np.ma.count(shown) == 3  # what is exactly zero is masked, what is tiny is not
    pale, faint = cells.cmap(np.ma.masked), cells.cmap(cells.norm(1e-9))
    assert np.abs(np.subtract(pale, faint)).max() > 0.1
    (frame,) = ax.patches
    assert (frame.get_x(), frame.get_y(), frame.get_width()) == (2.5, 1.5, 1)
    assert ax.get_title("left") == "stack"
    assert "relative" in bar.get_ylabel()


def test_receptive_field_parts_past_and_future():
    (ax,) = plots.receptive_field(np.ones((6, 6), bool), (3, 2)).axes
    assert [tuple(point) for point in ax.lines[0].get_xydata()] == [(-0.5, 3.5), (1.5, 3.5), (1.5, 2.5), (5.5, 2.5)]
    assert np.array_equal(ax.collections[0].get_array(), np.ones((6, 6)))
    assert ax.get_ylim() == (5.5, -0.5)


def test_receptive_fields_side_by_side():
    figure = plots.receptive_field({"one_stack": np.tri(4), "two stacks": np.tri(4) * 0.5}, (2, 2))
    assert [ax.get_title("left") for ax in figure.axes][:2] == ["one stack", "two stacks"]
    plots.receptive_field(np.zeros((3, 3)), (1, 1))._repr_png_()  # nothing comes through
    with pytest.raises(ValueError, match=r"centre \(4, 0\) lies outside the 4×4 pixels"):
        plots.receptive_field(np.tri(4), (4, 0))
    with pytest.raises(ValueError, match="two dimensions"):
        plots.receptive_field(np.zeros(3), (0, 0))


# ---- while a notebook is graded ------------------------------------------------------------------------


@pytest.fixture
def graded(tmp_path, monkeypatch):
    session = training.Session(tmp_path)
    session.grading = True
    monkeypatch.setattr(training, "session", session)


@every_plot
def test_nothing_is_drawn_while_a_notebook_is_graded(draw, graded, monkeypatch):
    monkeypatch.setattr(Figure, "__init__", lambda *_, **__: pytest.fail("a figure was made"))
    assert isinstance(draw(), plots.NotDrawn)


def test_a_model_is_not_asked_for_a_picture_that_is_not_drawn(graded):
    def model(x):
        pytest.fail("asked")

    for plot in (plots.density_1d, plots.density_2d):
        assert isinstance(plot(toy.get("moons"), model), plots.NotDrawn)
    assert isinstance(plots.latent_space(model, np.zeros((3, 2))), plots.NotDrawn)


@every_plot
def test_figures_are_drawn_for_a_grade_where_they_are_asked_for(draw, graded, monkeypatch):
    monkeypatch.setattr(plots, "for_grades", True)
    assert isinstance(draw(), Figure)


def test_matplotlib_is_not_loaded_while_a_notebook_is_graded():
    code = (
        "import sys; from deepul_utils import plots, training; training.session.grading = True\n"
        "plots.matrix([[1, 0]]); plots.gallery(); plots.images([[[[0.5]]]])\n"
        "assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_what_students_do_with_a_figure_they_can_do_with_one_that_is_not_drawn(graded):
    figure = plots.matrix(MASK)
    figure.axes[0].set_title("mine")
    figure.suptitle("mine").set_fontsize(3)
    figure.savefig("mine.png", dpi=3)
    for ax in figure.axes:
        ax.set(xlabel="x")
    assert len(figure.axes) == 0
    assert figure
    data, _ = DisplayFormatter().format(figure)
    assert data == {"text/plain": "[a figure, which is not drawn for a grade]"}

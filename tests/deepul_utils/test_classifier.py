"""The frozen classifiers judge samples: they are right, they are NumPy, and they are quick."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from deepul_utils import classifier, images

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["glyphs32", "shapes32"]
every_name = pytest.mark.parametrize("name", NAMES)
# What the grader's coverage checks rest on; a classifier that guesses has a tenth, or less.
LEAST = {"glyphs32": 0.995, "shapes32": 0.98}
TORCH = 1e-4  # float32 sums in another order


def stored(name: str) -> tuple[Path, dict]:
    file = ROOT / "data" / f"classifier_{name}.safetensors"
    with safe_open(file, framework="numpy") as content:
        return file, content.metadata()


def batch(name: str, n: int = 64, levels: int | None = None) -> np.ndarray:
    data = images.get(name, levels)
    return data.unit(data.sample(n, seed=8, split="test"))


@pytest.mark.parametrize(("name", "levels"), [(name, levels) for name in NAMES for levels in classifier.LEVELS[name]])
def test_it_is_right_about_images_that_it_has_never_seen(name, levels):
    judge = classifier.get(name)
    right = classifier.accuracy(judge, levels, n=1500, seed=77)
    assert set(right) == set(images.get(name, levels).factor_names or ("digit",))
    for head, share in right.items():
        stated = judge.accuracy[levels][head]
        assert min(share, stated) > LEAST[name]
        assert abs(share - stated) < 5 * np.sqrt(0.02 * 0.98 / 1500)


@every_name
def test_the_file_is_small_and_states_the_accuracy(name):
    file, about = stored(name)
    assert file.stat().st_size < 300_000
    right = json.loads(about["accuracy"])
    assert set(right) == {str(levels) for levels in classifier.LEVELS[name]}
    readme = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    for levels, shares in right.items():
        (row,) = re.findall(rf"^\| `{name}` \| {levels} \| (.*) \|$", readme, flags=re.MULTILINE)
        assert row == ", ".join(f"{head} {100 * share:.2f} %" for head, share in shares.items())


@every_name
@pytest.mark.parametrize("trained", [True, False])
def test_numpy_computes_what_torch_computes(name, trained):
    torch.manual_seed(3)
    net, judge = classifier.network(name).eval(), classifier.get(name)
    if trained:
        net.load_state_dict({key: torch.from_numpy(value.copy()) for key, value in judge._weights.items()})
    else:  # random weights hide no transposed kernel behind symmetry
        judge = classifier.Classifier(name, {k: v.numpy() for k, v in net.state_dict().items()}, judge.heads, {})
    x = torch.rand(300, judge.channels, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = net[:-1](x)
        parts = net(x).split(list(judge.heads.values()), dim=1)
    assert judge.features(x) == pytest.approx(features.numpy(), rel=TORCH, abs=TORCH)
    for head, logits in zip(judge.heads, parts, strict=True):
        p = judge.probabilities(x.numpy().astype(np.float64), head)
        assert p == pytest.approx(logits.softmax(dim=1).numpy(), rel=TORCH, abs=TORCH)


@every_name
def test_shapes_and_types(name):
    judge = classifier.get(name)
    x = batch(name)
    f = judge.features(x)
    assert (f.dtype, f.shape) == (np.float32, (64, classifier.LAYERS[name][1]))
    assert f.min() >= 0
    assert (f.std(axis=0) > 0).mean() > 0.7  # most features say something
    for head, classes in judge.heads.items():
        p = judge.probabilities(x, head)
        assert (p.dtype, p.shape) == (np.float32, (64, classes))
        assert p.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert judge.features(x[:0]).shape == (0, f.shape[1])
    assert judge.heads == classifier.heads_of(name)


def test_a_batch_is_judged_image_by_image():
    judge, x = classifier.get("glyphs32"), batch("glyphs32", 300)
    alone = np.concatenate([judge.features(x[i : i + 1]) for i in (0, 127, 128, 299)])
    assert judge.features(x)[[0, 127, 128, 299]] == pytest.approx(alone, rel=TORCH, abs=TORCH)


def test_grey_images_become_colours():
    judge, x = classifier.get("shapes32"), batch("shapes32", levels=2)
    assert x.shape[1] == 1
    assert np.array_equal(judge.features(x), judge.features(np.repeat(x, 3, axis=1)))


@every_name
def test_a_thousand_images_take_less_than_a_second(name):
    judge, x = classifier.get(name), batch(name, 1000)
    begun = time.process_time()
    judge.probabilities(x, next(iter(judge.heads)))
    assert time.process_time() - begun < 1


def test_forward_needs_no_torch():
    """deepul_utils itself is stubbed, because it loads torch."""
    code = (
        "import sys, types; p = types.ModuleType('deepul_utils'); p.__path__ = [sys.argv[1]];"
        "sys.modules['deepul_utils'] = p; from deepul_utils import classifier; import numpy as np;"
        "print(classifier.get('glyphs32').probabilities(np.zeros((2, 1, 32, 32))).shape, 'torch' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, ROOT / "deepul_utils"], capture_output=True, text=True, check=True
    )
    assert run.stdout == "(2, 10) False\n"


def test_training_images_are_those_of_all_levels_and_silhouettes_have_no_colours():
    ((x, y),) = classifier._batches("shapes32", steps=1, seed=0)
    third = classifier.BATCH // 3
    assert x.shape == (3 * third, 3, 32, 32)
    assert (y[:third, 4:] == -100).all()
    assert y[third:].min() == 0
    assert [len(np.unique(part[:, 0])) for part in x.numpy().reshape(3, third, 3, 32, 32)][:2] == [2, 4]
    silhouettes, coloured = images.get("shapes32", 2), images.get("shapes32", 4)
    assert np.array_equal(x[:third, :1].numpy(), silhouettes.unit(silhouettes.render(y[:third, :4].numpy())))
    assert np.array_equal(x[third : 2 * third].numpy(), coloured.unit(coloured.render(y[third : 2 * third].numpy())))


def test_it_learns():
    """The committed training command, for a moment: it starts at a tenth."""
    weights = {k: v.numpy() for k, v in classifier.train("glyphs32", steps=60).state_dict().items()}
    judge = classifier.Classifier("glyphs32", weights, {"digit": 10}, {})
    assert classifier.accuracy(judge, 2, n=500)["digit"] > 0.5


@pytest.mark.parametrize("wrong", [np.zeros((2, 32, 32)), np.zeros((2, 3, 32, 32)), np.zeros((2, 1, 28, 28))])
def test_wrong_shape(wrong):
    with pytest.raises(ValueError, match=r"images \(n, 1, 32, 32\), got"):
        classifier.get("glyphs32").features(wrong)


def test_wrong_values():
    judge, x = classifier.get("glyphs32"), np.zeros((2, 1, 32, 32))
    for value in (-0.01, 1.01, np.nan):
        x[1, 0, 5, 5] = value
        with pytest.raises(ValueError, match=r"images in \[0, 1\]"):
            judge.features(x)
    with pytest.raises(ValueError, match="got uint8: images"):
        judge.features(images.get("glyphs32").sample(2))


def test_wrong_names():
    with pytest.raises(ValueError, match="no classifier for 'digits32', only for glyphs32, shapes32"):
        classifier.get("digits32")
    with pytest.raises(ValueError, match="heads kind, size, x, y, colour, background, not None"):
        classifier.get("shapes32").probabilities(batch("shapes32"))
    with pytest.raises(ValueError, match="not 'colour'"):
        classifier.get("glyphs32").probabilities(batch("glyphs32"), "colour")

"""Signals and sequences: what they draw has the probabilities that they tell, and their entropies are exact."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import chisquare

from autograder.assignments import ROOT
from autograder.properties import discrete
from deepul_utils import sequences, signals
from deepul_utils.sequences import Grammar, Markov
from deepul_utils.signals import Process

P_VALUE = 1e-4
SETS = [signals.get(name) for name in signals.names()] + [sequences.get(name) for name in sequences.names()]
EXACT = [s for s in SETS if s.name not in ("tones", "chirps")]
every_set = pytest.mark.parametrize("data", SETS, ids=lambda s: s.name)
exact_set = pytest.mark.parametrize("data", EXACT, ids=lambda s: s.name)
# Of 50 sequences of seed 3: they are the same on every machine.
CHECKSUMS = {
    "resonance": "aaa2af9318a6e8bc",
    "echo": "c6c6a7bc5aa0929a",
    "tones": "a862a550922b8859",
    "chirps": "9de507daadcf7e67",
    "markov1": "1e55bd54e7bdaa16",
    "markov2": "d7347dbe90f0696c",
    "markov3": "e78c089fc3abb6fa",
    "text": "835dae523d5c9311",
}

RULES = {
    "first": ((0.25, "a", "second"), (0.75, "ba", "first")),
    "second": ((0.5, "b", "first"), (0.4, "aab", "second"), (0.1, "ac", "first")),
}


def tiny(length: int = 5) -> Grammar:
    return Grammar("tiny", "Two states.", length, RULES, "first")


# ---- what all sets have in common ------------------------------------------------------------------------


@every_set
def test_samples_are_levels_of_their_own_streams(data):
    draws = [data.sample(300, seed, split) for split in ("train", "validation", "test") for seed in (0, 1)]
    assert all(x.dtype == np.uint8 and x.shape == (300, *data.shape) and x.max() < data.levels for x in draws)
    assert len({x.tobytes() for x in draws}) == len(draws)
    assert np.array_equal(data.sample(300, 1, "test"), draws[5])
    assert data.sample(0).shape == (0, data.length)


@every_set
def test_the_same_on_every_machine(data):
    assert hashlib.sha256(data.sample(50, seed=3).tobytes()).hexdigest()[:16] == CHECKSUMS[data.name]


@exact_set
def test_the_entropy_is_the_mean_of_what_is_drawn(data):
    log_p = data.log_prob(data.sample(6000, seed=5))
    assert np.isfinite(log_p).all()
    assert abs(log_p.mean() + data.entropy) < 4.5 * log_p.std() / np.sqrt(len(log_p))


@exact_set
def test_longer_sequences_come_near_the_rate(data):
    longer = (signals if data in SETS[:4] else sequences).get(data.name, 4 * data.length)
    per_value = (longer.entropy - data.entropy) / (longer.length - data.length)
    assert per_value == pytest.approx(data.entropy_rate, rel=0.02)


@exact_set
def test_what_is_no_sequence_is_said(data):
    x = data.sample(3).astype(int)
    with pytest.raises(ValueError, match=rf"expects sequences of shape \(n, {data.length}\), got"):
        data.log_prob(x[:, 1:])
    for wrong in (-1, data.levels, 0.5):
        changed = x.astype(float)
        changed[1, 2] = wrong
        with pytest.raises(ValueError, match=rf"integer levels 0 … {data.levels - 1}, got"):
            data.log_prob(changed)


def test_what_is_not_there_is_said():
    with pytest.raises(ValueError, match=r"no set of signals called 'ecco'\. Did you mean 'echo'\? Sets: resonance, "):
        signals.get("ecco")
    with pytest.raises(ValueError, match=r"no set of sequences called 'markov4'\. Did you mean 'markov"):
        sequences.get("markov4")
    with pytest.raises(ValueError, match="at least one value, got a length of 0"):
        signals.get("echo", 0)
    with pytest.raises(ValueError, match="longer than 2 values"):
        sequences.get("markov2", 2)
    with pytest.raises(ValueError, match="The sequences of echo have no labels"):
        signals.get("echo").sample_labelled(3)
    with pytest.raises(ValueError, match="The conditionals of tones have no formula"):
        signals.get("tones").log_prob(signals.get("tones").sample(2))
    with pytest.raises(ValueError, match="no split called 'valid'"):
        sequences.get("text").sample(3, split="valid")


def test_readme_has_the_tables():
    readme = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    for module in (signals, sequences):
        command = [sys.executable, "-m", module.__name__]
        printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert printed == module.table() + "\n"
        assert printed in readme


# ---- signals ---------------------------------------------------------------------------------------------


def test_conditionals_of_a_process_sum_to_one_up_to_the_ends():
    process = Process("wide", "Beyond the ends.", 3, {1: 0.9, 2: 0.3}, sigma=60.0)
    for past in ([0, 0], [255, 255], [128, 3]):
        x = np.column_stack([np.tile(past, (256, 1)), np.arange(256)])
        p = np.exp(process.log_conditionals(x)[:, 2])
        assert p.sum() == pytest.approx(1, abs=1e-12)
        assert p.min() > 0


def test_a_process_is_what_its_formula_says():
    """AR(1): the variance grows to σ²/(1 − a²), and who sees nothing loses half the logarithm of that."""
    process, a = Process("one", "One coefficient.", 400, {1: 0.8}, sigma=5.0), 0.8
    noise = 25 + 1 / 12
    assert np.diagonal(process.covariance)[[0, 1]] == pytest.approx([noise, noise * (1 + a**2)])
    assert process.covariance[-1, -1] == pytest.approx(noise / (1 - a**2))
    assert process.covariance[-1, -3] == pytest.approx(noise / (1 - a**2) * a**2)
    assert process.above_limit(0) == pytest.approx(-np.log(1 - a**2) / 2, rel=0.01)
    assert process.above_limit(1) == pytest.approx(0, abs=1e-9)
    assert process.entropy_rate == pytest.approx(np.log(2 * np.pi * np.e * noise) / 2, abs=1e-5)


def test_drawn_signals_have_the_covariance_and_the_spectrum():
    echo = signals.get("echo")
    x = echo.sample(6000, seed=2)
    empirical = np.cov(x.T.astype(float))
    assert np.abs(empirical - echo.covariance).max() < 0.12 * echo.covariance.max()
    assert np.abs(np.log(echo.power(x) / echo.spectrum())).max() < 5 / np.sqrt(6000)


def test_an_echo_is_told_by_values_24_to_26_back():
    echo = signals.get("echo")
    losses = [echo.above_limit(w) for w in (0, 2, 15, 25, 26)]
    assert losses[1] - losses[2] < 0.01
    assert losses[2] > 0.3
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", ["tones", "chirps"])
def test_no_two_configurations_sound_alike(name):
    data = signals.get(name)
    factors = np.stack(np.unravel_index(np.arange(data.configurations), data.sizes), axis=1)
    every = data.levels_of(data.render(factors))
    assert len(np.unique(every, axis=0)) == data.configurations == round(np.exp(data.entropy))
    x, y = data.sample_labelled(2000)
    assert set(y) == set(range(len(data.label_names)))
    assert np.array_equal(x, data.levels_of(data.waves(2000).astype(float)))


def test_a_label_is_what_is_heard():
    tones, chirps = signals.get("tones"), signals.get("chirps")
    x, y = tones.sample_labelled(200)
    loudest = np.abs(np.fft.rfft(x - x.mean(axis=1, keepdims=True), axis=1)).argmax(axis=1)
    assert [f"{k} cycles" for k in loudest] == [tones.label_names[k] for k in y]
    waves, (_, falls) = chirps.waves(300), chirps.sample_labelled(300)
    crossings = (np.diff(np.sign(waves)) != 0).astype(int)
    more_late = crossings[:, 64:].sum(axis=1) > crossings[:, :64].sum(axis=1)
    differ = crossings[:, 64:].sum(axis=1) != crossings[:, :64].sum(axis=1)
    assert (more_late == (falls == 0))[differ].mean() > 0.95


# ---- sequences -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_markov_source_counts_out(order):
    source = Markov(order, length=4, levels=3)
    log_p = source.log_prob(discrete.states(4, 3))
    p = np.exp(log_p)
    assert p.sum() == pytest.approx(1, abs=1e-10)
    assert -(p * log_p).sum() == pytest.approx(source.entropy, abs=1e-10)
    counts = np.bincount(np.ravel_multi_index(source.sample(20_000).T, (3,) * 4), minlength=81)
    assert chisquare(counts, 20_000 * p).pvalue > P_VALUE
    assert source.first.sum() == pytest.approx(1)
    moved = (source.first[..., None] * source.table).sum(axis=0)
    assert np.allclose(moved, source.first, atol=1e-12)


def test_a_grammar_counts_out():
    text = tiny()
    every = discrete.states(5, 3)
    with np.errstate(divide="ignore"):
        log_p = text.log_prob(every)
    p, possible = np.exp(log_p), np.isfinite(log_p)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert -(p[possible] * log_p[possible]).sum() == pytest.approx(text.entropy, abs=1e-12)
    counts = np.bincount(np.ravel_multi_index(text.sample(20_000).T, (3,) * 5), minlength=3**5)
    assert not counts[p == 0].any()
    assert chisquare(counts[p > 0], 20_000 * p[p > 0]).pvalue > P_VALUE
    # "a" (second), then "aab": the letter after "aa" is certain
    assert text.log_conditionals(text.encode("aaaba")[None])[0] == pytest.approx(np.log([0.25, 0.5, 0.8, 1, 0.5]))


def test_a_text_is_its_letters():
    text = sequences.get("text")
    x = text.sample(20)
    assert np.array_equal([text.encode(text.decode(row)) for row in x], x)
    assert text.decode(x[0]).split()[0] in ("anna", "boris", "clara", "david", "elena", "felix", "greta", "hugo")
    with pytest.raises(ValueError, match="text has no letter '!'"):
        text.encode("hugo!")


def test_a_story_is_of_one_person_and_its_verbs_agree():
    text = sequences.get("text", 2000)
    for story in text.decode(text.sample(1, seed=4)[0]).split("\n")[:-1]:
        sentences = [s.removeprefix("then ") for s in story.strip(" .").split(". ")]
        assert len({s.split()[0] for s in sentences}) == 1
        for sentence in sentences:
            assert ("two" in sentence) != (" a " in sentence)
            if "that" in sentence:
                assert sentence.endswith("s") == (" a " in sentence)


def test_the_name_is_forgotten_by_who_sees_a_sentence_only():
    """After "\\n" a name costs log 8, after ". " it costs nothing but the choice to go on."""
    text = sequences.get("text", 40)
    again = "hugo sees a cat. hugo sees two cats. hugo"
    nats = -text.log_conditionals(text.encode(again[:40])[None])[0]
    assert nats[0] == pytest.approx(np.log(8))
    assert nats[17:21] == pytest.approx([-np.log(0.7), 0, 0, 0])
    other = "hugo sees a cat. anna sees two cats. hugo"
    with np.errstate(divide="ignore"):
        assert text.log_prob(text.encode(other[:40])[None])[0] == -np.inf


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (((0.5, "a", "s"), (0.5, "ab", "s")), "the word 'a' begins 'ab'"),
        (((0.5, "a", "s"), (0.5, "a", "s")), "the word 'a' begins 'a'"),
        (((1.0, "", "s"),), "the word '' begins 'all'"),
        (((0.5, "a", "s"), (0.4, "b", "s")), "sum to 0.9, not to one"),
        (((1.0, "a", "t"),), "leads to 't', and there is none"),
    ],
)
def test_a_grammar_that_is_not_in_order_is_said(words, said):
    with pytest.raises(ValueError, match=said):
        Grammar("wrong", "Wrong.", 5, {"s": words}, "s")

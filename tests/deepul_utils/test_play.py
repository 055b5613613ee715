"""Games of two: `play` takes turns, survives an interrupt, and a Film takes its pictures."""

import json
import signal

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from deepul_utils import training
from deepul_utils.errors import KitError
from deepul_utils.training import Film, History, play, trained

ROUNDS = 9
DATA = torch.linspace(-1, 1, 40)[:, None]


class Game(nn.Module):
    """Two numbers that chase each other; `turns` notes who was asked for a loss, and of how many examples."""

    def __init__(self, stop_at: int = -1, value: float = 1.0):
        super().__init__()
        self.discriminator, self.generator = nn.Linear(1, 1), nn.Linear(1, 1)
        self.turns, self.stop_at, self.value = [], stop_at, value

    def sample(self, n):
        with torch.no_grad():
            return self.generator(torch.randn(n, 1))

    def discriminator_loss(self, x):
        self.turns.append(("D", len(x), self.training))
        if len(self.turns) == self.stop_at:
            signal.raise_signal(signal.SIGINT)
        fake = self.generator(torch.randn(len(x), 1)).detach()
        return (
            self.value * (self.discriminator(fake).mean() - self.discriminator(x).mean())
            + (self.discriminator.weight**2).sum()
        )

    def generator_loss(self, n):
        self.turns.append(("G", n, self.training))
        return -self.discriminator(self.generator(torch.randn(n, 1))).mean()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "session", training.Session(tmp_path))
    monkeypatch.delenv("DEEPUL_SEED", raising=False)
    return tmp_path


def optimizers(game, swapped=False):
    pair = [torch.optim.Adam(p.parameters(), lr=1e-2) for p in (game.discriminator, game.generator)]
    return tuple(pair[::-1] if swapped else pair)


def train(game, **options):
    both = optimizers(game, options.pop("swapped", False))
    falling = tuple(torch.optim.lr_scheduler.LambdaLR(o, lambda r: 1 - r / ROUNDS) for o in both)
    options = dict(batch_size=8, schedulers=falling, frame=lambda: {"samples": game.sample(5)}) | options
    return play(game, DATA, optimizers=both, rounds=ROUNDS, **options)


def test_turns_losses_and_mode():
    game = Game()
    history = train(game, discriminator_steps=3)
    assert game.turns == [*3 * [("D", 8, True)], ("G", 8, True)] * ROUNDS
    assert len(history.steps) == len(history.train) == len(history.generator) == ROUNDS
    assert history.seconds > 0


def test_settings_of_both_players(folder):
    expected = dict(
        rounds=ROUNDS,
        batch=8,
        discriminator_steps=3,
        optimizer="Adam",
        lr=0.01,
        betas=[0.9, 0.999],
        weight_decay=0.0,
        generator_optimizer="Adam",
        generator_lr=0.02,
        generator_betas=[0.5, 0.9],
        generator_weight_decay=0.0,
    )

    def both(game):
        slow = torch.optim.Adam(game.discriminator.parameters(), lr=1e-2)
        return slow, torch.optim.Adam(game.generator.parameters(), lr=2e-2, betas=(0.5, 0.9))

    def falling(pair):
        return [torch.optim.lr_scheduler.LambdaLR(o, lambda r: 1 - r / ROUNDS) for o in pair]

    def by_play(game):
        pair = both(game)
        return play(
            game, DATA, optimizers=pair, rounds=ROUNDS, batch_size=8, discriminator_steps=3, schedulers=falling(pair)
        )

    def by_hand(game):
        pair = both(game)
        schedules = falling(pair)
        for _ in range(ROUNDS):
            for player, times in ((0, 3), (1, 1)):
                for _ in range(times):
                    pair[player].zero_grad()
                    (game.generator_loss(8) if player else game.discriminator_loss(DATA[:8])).backward()
                    pair[player].step()
            for schedule in schedules:
                schedule.step()

    for train_it, wanted in ((by_play, expected), (by_hand, {k: v for k, v in expected.items() if k != "batch"})):
        trained("game", Game(), fit=train_it, retrain=True)
        trained("game", Game(), fit=train_it)
        found = training.history("game").settings
        assert found.pop("last_lr") == pytest.approx(0.01 / ROUNDS)
        assert found.pop("generator_last_lr") == pytest.approx(0.02 / ROUNDS)
        assert found == wanted


def test_each_player_moves_by_its_own_optimiser():
    game = Game()
    before = {k: v.clone() for k, v in game.state_dict().items()}
    rates = ((game.discriminator, 0.1), (game.generator, 0.0))
    both = tuple(torch.optim.SGD(player.parameters(), lr=rate) for player, rate in rates)
    play(game, DATA, optimizers=both, rounds=2, batch_size=8)
    after = game.state_dict()
    assert not torch.equal(before["discriminator.weight"], after["discriminator.weight"])
    assert torch.equal(before["generator.weight"], after["generator.weight"])


def test_an_interrupted_game_goes_on_bit_for_bit(folder):
    whole = trained("whole", Game(), fit=train)
    torch.manual_seed(5)
    with pytest.raises(KitError, match="Run this cell again"):
        trained("game", Game(stop_at=7), fit=lambda g: train(g, discriminator_steps=1))
    assert (folder / "game.1.checkpoint.pt").exists()
    game = trained("game", Game(), fit=train)
    assert len(training.history("game").steps) == ROUNDS
    assert len(training.history("game").frames["round"]) == len(training.history("whole").frames["round"])
    assert [p.name for p in folder.glob("*.pt")] == []
    assert whole is not game


def test_going_on_gives_the_same_weights():
    torch.manual_seed(0)
    start = Game().state_dict()

    def begun(**options):
        game = Game(**options)
        game.load_state_dict(start)
        return game

    one = trained("same", begun(), fit=train)
    training.session.forget("same")
    (training.session.folder / "same.safetensors").unlink()
    with pytest.raises(KitError):
        trained("same", begun(stop_at=9), fit=train)
    other = trained("same", begun(), fit=train)
    for k, v in one.state_dict().items():
        assert torch.equal(v, other.state_dict()[k])


def test_the_wrong_order_is_said():
    class Detached(Game):
        def discriminator_loss(self, x):
            return -self.discriminator(x).mean()

    with pytest.raises(KitError, match="The optimisers are the discriminator's first"):
        train(Detached(), swapped=True)


def test_other_settings_do_not_go_on():
    with pytest.raises(KitError):
        trained("game", Game(stop_at=5), fit=train)
    with pytest.raises(KitError, match="another model, optimiser, data or number of steps"):
        trained("game", Game(), fit=lambda g: train(g, discriminator_steps=2))


def test_a_loss_that_is_no_number_is_said():
    with pytest.raises(KitError, match="became nan"):
        train(Game(value=float("nan")))


# ---- films ---------------------------------------------------------------------------------------------


def test_a_film_looks_oftener_at_the_beginning_and_leaves_random_numbers_alone():
    taken = []
    film = Film(100, lambda: taken.append(torch.rand(1)) or {"x": torch.tensor([float(len(taken))])}, count=5)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    for r in range(101):
        film.look(r)
        film.look(r)  # twice changes nothing
    assert film.frames["round"].tolist() == [0, 6, 25, 56, 100]
    assert film.frames["x"].flatten().tolist() == [1, 2, 3, 4, 5]
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("later", [{"b": torch.ones(2)}, {"a": torch.ones(3)}], ids=["another name", "another shape"])
def test_a_film_of_another_frame_begins_where_the_game_went_on(later):
    film = Film(8, lambda: {"a": torch.zeros(2)})
    film.look(0)
    film.frame = lambda: later
    film.look(8)
    assert film.frames["round"].tolist() == [8]
    assert film.frames.keys() == {"round", *later}


def test_a_frame_may_be_of_arrays_and_what_is_none_is_said():
    film = Film(8, lambda: {"a": np.zeros(2)})
    film.look(0)
    assert film.frames["a"].shape == (1, 2)
    for wrong in (None, [torch.zeros(2)], {"a": 3}):
        with pytest.raises(KitError, match="frame gives a picture as"):
            Film(8, lambda wrong=wrong: wrong).look(0)


def test_frames_are_kept_beside_the_weights(folder):
    trained("game", Game(), fit=train)
    drawn = training.history("game").frames
    training.session = training.Session(folder)
    trained("game", Game(), fit=train)
    loaded = training.history("game")
    assert loaded.frames.keys() == drawn.keys() == {"round", "samples"}
    assert torch.equal(loaded.frames["samples"], drawn["samples"])
    assert len(loaded.generator) == ROUNDS
    (folder / "game.frames.safetensors").write_bytes(b"nothing")
    training.session = training.Session(folder)
    trained("game", Game(), fit=train)  # the weights are good without
    assert training.history("game").frames == {}


def test_long_histories_are_thinned_in_both_losses(folder):
    steps = list(range(1, 2001))
    losses = [float(s) for s in steps]
    trained("long", Game(), fit=lambda g: History(steps, losses, generator=losses))
    with safetensors.safe_open(folder / "long.safetensors", framework="pt") as stored:
        text = stored.metadata()["history"]
    kept = json.loads(text)
    assert len(kept["train"]) == len(kept["generator"]) == len(kept["steps"]) == 400
    assert "frames" not in kept
    assert np.mean(kept["generator"]) == pytest.approx(np.mean(losses))

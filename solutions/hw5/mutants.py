"""Slips in HW5, most of them seen in public code of diffusion models."""

from autograder.proof.changes import Mutant

# 5.1
AREA = "return torch.exp(-area / 2), torch.sqrt(-torch.expm1(-area))"
INTEGRAL = "area = BETA_0 * t + (BETA_1 - BETA_0) * t**2 / 2"
SCORE_NET = "        return self.net(x, t)\n"
SCORE_DRAWS = "t, eps = torch.rand(len(x)), torch.randn_like(x)"
SCORE_NOISY = "x_t = alpha[:, None] * x + sigma[:, None] * eps"
SCORE_LOSS = "return ((eps - self(x_t, t)) ** 2).sum(dim=1)"
SCORE = "return -self(x, t) / alpha_sigma(t)[1][:, None]"
LANGEVIN = "x = x + h / 2 * self.score(x, times) + math.sqrt(h) * torch.randn_like(x)\n        return x"
SCORE_STEPS = "    steps = 3000\n    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)"

MUTANTS = (
    Mutant(
        "batch-mean",
        "score",
        "the loss is averaged over the batch",
        ((SCORE_LOSS, "return ((eps - self(x_t, t)) ** 2).sum(dim=1).mean()"),),
        "shapes",
        "should have shape (40,), got ()",
    ),
    Mutant(
        "squeezed",
        "score",
        "langevin loses the batch of one",
        ((LANGEVIN, LANGEVIN.replace("return x", "return x.squeeze()")),),
        "called_with_one_example",
        "should have shape (1, 2), got (2,)",
    ),
    Mutant(
        "factor-two",
        "score",
        "the ½ of the variance-preserving process is missing",
        ((AREA, AREA.replace("-area / 2", "-area")),),
        "noise_levels_are_those_of_the_process",
        "It is the square of α",
    ),
    Mutant(
        "not-integrated",
        "score",
        "β(t) t stands in the place of its integral",
        ((INTEGRAL, "area = BETA_0 * t + (BETA_1 - BETA_0) * t**2"),),
        "noise_levels_are_those_of_the_process",
        "∫β is not β(t) t",
    ),
    Mutant(
        "variance",
        "score",
        "σ is the variance",
        ((AREA, "return torch.exp(-area / 2), -torch.expm1(-area)"),),
        "noise_levels_are_those_of_the_process",
        "That is σ², the variance",
    ),
    Mutant(
        "no-time",
        "score",
        "t is not given to the network",
        ((SCORE_NET, "        return self.net(x, torch.zeros_like(t))\n"),),
        "the_network_sees_the_time",
        "Is t given to the network",
    ),
    Mutant(
        "clean-input",
        "score",
        "the network is given x in the place of x_t",
        ((SCORE_LOSS, SCORE_LOSS.replace("self(x_t, t)", "self(x, t)")),),
        "denoising_loss",
        "clean x in the place of x_t",
    ),
    Mutant(
        "data-as-target",
        "score",
        "the network guesses x_0",
        ((SCORE_LOSS, SCORE_LOSS.replace("eps - ", "x - ")),),
        "denoising_loss",
        "The target is x_0",
    ),
    Mutant(
        "one-time",
        "score",
        "one time is drawn for the whole batch",
        ((SCORE_DRAWS, "t, eps = torch.rand(1).expand(len(x)), torch.randn_like(x)"),),
        "denoising_loss",
        "drawn once for the whole batch",
    ),
    Mutant(
        "one-noise",
        "score",
        "one noise is drawn for the whole batch",
        ((SCORE_DRAWS, "t, eps = torch.rand(len(x)), torch.randn_like(x[:1]).expand_as(x)"),),
        "denoising_loss",
        "drawn once for the whole batch",
    ),
    Mutant(
        "uniform-noise",
        "score",
        "the noise is uniform",
        ((SCORE_DRAWS, "t, eps = torch.rand(len(x)), torch.rand_like(x)"),),
        "denoising_loss",
        "ε is drawn from U[0, 1]",
    ),
    Mutant(
        "inverse-weight",
        "score",
        "the loss is divided by σ²",
        ((SCORE_LOSS, SCORE_LOSS + " / sigma**2"),),
        "denoising_loss",
        "no 1/σ² and no σ² belongs before it",
    ),
    Mutant(
        "dimension-mean",
        "score",
        "the loss is the mean over the dimensions",
        ((SCORE_LOSS, SCORE_LOSS.replace("sum(dim=1)", "mean(dim=1)")),),
        "denoising_loss",
        "It is the mean over the dimensions",
    ),
    Mutant(
        "exchanged",
        "score",
        "α and σ are exchanged",
        ((SCORE_NOISY, "x_t = sigma[:, None] * x + alpha[:, None] * eps"),),
        "denoising_loss",
        "α and σ are exchanged",
    ),
    Mutant(
        "sign-of-the-score",
        "score",
        "the score points away from the data",
        ((SCORE, SCORE.replace("-self", "self")),),
        "score_is_the_noise_turned_round",
        "The sign",
    ),
    Mutant(
        "score-by-variance",
        "score",
        "the score is divided by σ²",
        ((SCORE, SCORE + " ** 2"),),
        "score_is_the_noise_turned_round",
        "not by σ²",
    ),
    Mutant(
        "noise-by-step",
        "score",
        "the noise of Langevin is scaled by h",
        ((LANGEVIN, LANGEVIN.replace("math.sqrt(h)", "h")),),
        "langevin_by_its_mean_and_covariance",
        "scaled by h, not by √h",
    ),
    Mutant(
        "other-convention",
        "score",
        "the noise of Langevin is √(2h)",
        ((LANGEVIN, LANGEVIN.replace("math.sqrt(h)", "math.sqrt(2 * h)")),),
        "langevin_by_its_mean_and_covariance",
        "The noise is √(2h)",
    ),
    Mutant(
        "whole-step",
        "score",
        "the score of Langevin is not halved",
        ((LANGEVIN, LANGEVIN.replace("h / 2", "h")),),
        "langevin_by_its_mean_and_covariance",
        "half of that goes with √h",
    ),
    Mutant(
        "one-draw",
        "score",
        "the noise of Langevin is drawn once for all points",
        ((LANGEVIN, LANGEVIN.replace("torch.randn_like(x)", "torch.randn_like(x[:1])")),),
        "langevin_by_its_mean_and_covariance",
        "standard deviations of langevin",
    ),
    Mutant(
        "no-annealing",
        "score",
        "only the smallest level is used",
        (("torch.logspace(0, math.log10(0.05), 40)", "torch.logspace(math.log10(0.05), math.log10(0.05), 40)"),),
        "samples_look_like_the_data",
        "go down the levels slowly",
    ),
    Mutant(
        "thirty-steps",
        "score",
        "training ends after thirty steps",
        ((SCORE_STEPS, SCORE_STEPS.replace("3000", "30")),),
        "trained_close_to_the_floor_on_smiley",
        "number of steps 3,000, here 30",
        weights="trained",
    ),
    Mutant(
        "tiny-rate",
        "score",
        "the learning rate is much too small",
        ((SCORE_STEPS, SCORE_STEPS.replace("lr=5e-3", "lr=1e-6")), ("max_lr=5e-3, total", "max_lr=1e-6, total")),
        "trained_close_to_the_floor_on_two_bumps",
        "learning rate 0.005",
        weights="trained",
    ),
)

"""Slips in HW5, most of them seen in public code of diffusion models."""

from autograder.proof.changes import Body, Mutant

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
# 5.2
SCHEDULE = "return torch.linspace(0.1 / steps, 20 / steps, steps).clamp(max=0.999)"
PRODUCTS = "return torch.cat([torch.ones_like(betas[:1]), (1 - betas).cumprod(dim=0)])"
POSTERIOR_BETA = "beta = 1 - alpha_bar_t / alpha_bar_s  # the noise that came in from s to t"
OF_X_0 = "of_x_0 = alpha_bar_s.sqrt() * beta / (1 - alpha_bar_t)"
OF_X_T = "of_x_t = (1 - beta).sqrt() * (1 - alpha_bar_s) / (1 - alpha_bar_t)"
POSTERIOR_VARIANCE = "    variance = beta * (1 - alpha_bar_s) / (1 - alpha_bar_t)"
DDPM_NET = "return self.net(x, t / len(self.betas))"
DDPM_DRAWN = "t, eps = torch.randint(1, len(self.betas) + 1, (len(x),)), torch.randn_like(x)"
DDPM_DRAWS = DDPM_DRAWN + "\n        a = self.alpha_bar[t][:, None]"
DDPM_LOSS = "return ((eps - self(a.sqrt() * x + (1 - a).sqrt() * eps, t)) ** 2).sum(dim=1)"
DENOISED = "return (x - (1 - a).sqrt() * self(x, t)) / a.sqrt()"
STEP = "return mean + variance.sqrt()[:, None] * torch.randn_like(x)"
STEP_OF = "mean, variance = posterior(x, self.denoised(x, now), self.alpha_bar[now], self.alpha_bar[now - 1])"
DOWN = "        x = torch.randn(n, self.dims)\n        for t in range(len(self.betas), 0, -1):"
DDIM_SIGMA = "sigma = eta * ((1 - a_s) / (1 - a_t)).sqrt() * (1 - a_t / a_s).sqrt()"
DDIM = "return a_s.sqrt() * self.denoised(x, now) + direction * self(x, now) + sigma * torch.randn_like(x)"
DDIM_TIMES = "times = torch.linspace(len(self.betas), 0, steps + 1).round().long().tolist()"
PRIOR = "total = ((last * (x**2 - 1) - (1 - last).log()) / 2).sum(dim=1)  # KL(q(x_T | x_0) ‖ N(0, I))"
LAST_TERM = "((x - guess) ** 2).sum(dim=1) / (2 * beta) + D / 2 * (2 * math.pi * beta).log()"
RETURNED = "        return total\n"
TERM = "total = total + squares / (2 * beta) + D / 2 * (ratio - 1 - ratio.log())"
DDPM_STEPS = "    steps = 8000\n    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)"
DDPM_DATA = 'ddpm_moons = trained("ddpm.moons", DDPM(schedule(100)), fit=lambda model: train_ddpm(model, moons))'
# 5.3
LINE = "return (1 - t) * x_0 + t * x_1, x_1 - x_0"
FLOW_NET = "        return self.net(x, t)\n"
FLOW_DRAWS = "t, x_0 = torch.rand(len(x)), torch.randn_like(x)"
FLOW_LOSS = "return ((self(x_t, t) - velocity) ** 2).sum(dim=1)"
SOLVER_TIME = "            t = start + k * h\n"
EULER = "                x = x + h * k1\n"
HEUN = "x = x + h / 2 * (k1 + v(x + h * k1, t + h))"
RK4_K3 = "k3 = v(x + h / 2 * k2, t + h / 2)"
RK4_K4 = "k4 = v(x + h * k3, t + h)"
DRAWN = "return self.integrate(torch.randn(n, self.dims), 0.0, 1.0, steps, method)"
TRACE = "torch.autograd.grad(v[:, i].sum(), x, retain_graph=True)[0][:, i] for i in range(x.shape[1])"
PULLED = "return (pulled * signs).sum(dim=1).detach()"
SPREAD = "spread = spread + h / 6 * (d1 + 2 * d2 + 2 * d3 + d4)  # ∫ from 1 to 0"
DENSITY = "return log_normal.sum(dim=1) + spread"
LOG_NORMAL = "log_normal = -0.5 * x**2 - 0.5 * math.log(2 * math.pi)"
FLOW_STEPS = "    steps = 7000\n    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)"

MUTANTS = (
    Mutant(
        "score-seeded-langevin",
        "score",
        "langevin sets the seed",
        (
            (
                "times = torch.full((len(x),), t, dtype=x.dtype)\n",
                "torch.manual_seed(0)\n        times = torch.full((len(x),), t, dtype=x.dtype)\n",
            ),
        ),
        "langevin_by_its_mean_and_covariance",
        "A seed is set inside",
        weights="none",
    ),
    Mutant(
        "ddpm-seeded-sample",
        "ddpm",
        "sample sets the seed",
        (
            (
                "x = torch.randn(n, self.dims)\n        for t in range",
                "torch.manual_seed(0)\n        x = torch.randn(n, self.dims)\n        for t in range",
            ),
        ),
        "samples_of_a_whole_chain",
        "A seed is set inside",
        weights="none",
    ),
    Mutant(
        "ddim-seeded",
        "ddpm",
        "ddim sets the seed",
        (
            (
                "x = torch.randn(n, self.dims)\n        times",
                "torch.manual_seed(0)\n        x = torch.randn(n, self.dims)\n        times",
            ),
        ),
        "samples_by_ddim",
        "A seed is set inside",
        weights="none",
    ),
    Mutant(
        "flow-seeded-sample",
        "flow_matching",
        "sample sets the seed",
        (
            (
                "return self.integrate(torch.randn(n, self.dims), 0.0",
                "torch.manual_seed(0)\n        return self.integrate(torch.randn(n, self.dims), 0.0",
            ),
        ),
        "samples_are_noise_carried_to_the_data",
        "A seed is set inside",
        weights="none",
    ),
    Mutant(
        "masked-seeded-sample",
        "masked_diffusion",
        "sample sets the seed",
        (
            (
                "z = torch.full((n, self.dims), self.bins)",
                "torch.manual_seed(0)\n        z = torch.full((n, self.dims), self.bins)",
            ),
        ),
        "samples_are_drawn_in_so_many_even_steps",
        "A seed is set inside",
        weights="none",
    ),
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
        "noise-drawn-twice",
        "score",
        "the target is another noise than the one in x_t",
        ((SCORE_LOSS, SCORE_LOSS.replace("(eps - ", "(torch.randn_like(x) - ")),),
        "denoising_loss",
        "ε is drawn twice",
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
        "never-cooled",
        "score",
        "only the largest level is used",
        (("torch.logspace(0, math.log10(0.05), 40)", "torch.logspace(0, 0, 40)"),),
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
    Mutant(
        "batch-mean",
        "ddpm",
        "the loss is averaged over the batch",
        ((DDPM_LOSS, DDPM_LOSS.replace("sum(dim=1)", "sum(dim=1).mean()")),),
        "shapes",
        "should have shape (40,), got ()",
    ),
    Mutant(
        "squeezed",
        "ddpm",
        "a step loses the batch of one",
        (
            (
                STEP,
                STEP.replace(
                    "return mean + variance.sqrt()[:, None] * torch.randn_like(x)",
                    "return (mean + variance.sqrt()[:, None] * torch.randn_like(x)).squeeze()",
                ),
            ),
        ),
        "called_with_one_example",
        "should have shape (1, 2), got (2,)",
    ),
    Mutant(
        "backwards",
        "ddpm",
        "the schedule begins with its largest β",
        ((SCHEDULE, SCHEDULE.replace("0.999)", "0.999).flip(0)")),),
        "schedule_is_one",
        "It runs the wrong way round",
        weights="none",
    ),
    Mutant(
        "too-little-noise",
        "ddpm",
        "much of the data is left at the end",
        ((SCHEDULE, SCHEDULE.replace("20 / steps", "2 / steps")),),
        "schedule_is_one",
        "Too much of the data is left",
        weights="none",
    ),
    Mutant(
        "padded-at-the-end",
        "ddpm",
        "ᾱ is padded on the wrong side",
        ((PRODUCTS, "return torch.cat([(1 - betas).cumprod(dim=0), torch.ones_like(betas[:1])])"),),
        "alpha_bar_begins_with_one",
        "The 1 stands at the end",
    ),
    Mutant(
        "not-one",
        "ddpm",
        "ᾱ_0 is ᾱ_1 once more",
        ((PRODUCTS, "products = (1 - betas).cumprod(dim=0)\n    return torch.cat([products[:1], products])"),),
        "alpha_bar_begins_with_one",
        "ᾱ_0 is 1",
    ),
    Mutant(
        "product-of-betas",
        "ddpm",
        "ᾱ is the product of the β",
        ((PRODUCTS, PRODUCTS.replace("(1 - betas)", "betas")),),
        "alpha_bar_begins_with_one",
        "product of the β, not of 1 − β",
    ),
    Mutant(
        "variance-exchanged",
        "ddpm",
        "the two 1 − ᾱ of the variance are exchanged",
        ((POSTERIOR_VARIANCE, "    variance = beta * (1 - alpha_bar_t) / (1 - alpha_bar_s)"),),
        "posterior_is_the_product_of_two_gaussians",
        "Its 1 − ᾱ are exchanged",
    ),
    Mutant(
        "beta-and-alpha-bar",
        "ddpm",
        "β and ᾱ of the variance are exchanged",
        ((POSTERIOR_VARIANCE, "    variance = alpha_bar_t * (1 - alpha_bar_s) / beta"),),
        "posterior_is_the_product_of_two_gaussians",
        "β and ᾱ are exchanged",
    ),
    Mutant(
        "variance-beta",
        "ddpm",
        "the variance is β",
        ((POSTERIOR_VARIANCE, "    variance = beta"),),
        "posterior_is_the_product_of_two_gaussians",
        "It is β, the noise that came in",
    ),
    Mutant(
        "root-missing",
        "ddpm",
        "a root is missing in the mean",
        ((OF_X_T, OF_X_T.replace("(1 - beta).sqrt()", "(1 - beta)")),),
        "posterior_is_the_product_of_two_gaussians",
        "the root is missing",
    ),
    Mutant(
        "wrong-alpha-bar",
        "ddpm",
        "x_0 has the root of ᾱ_t beside it",
        ((OF_X_0, OF_X_0.replace("alpha_bar_s.sqrt()", "alpha_bar_t.sqrt()")),),
        "posterior_is_the_product_of_two_gaussians",
        "x_0 has √ᾱ_s beside it",
    ),
    Mutant(
        "no-time",
        "ddpm",
        "t is not given to the network",
        ((DDPM_NET, "return self.net(x, torch.zeros(len(x), dtype=x.dtype))"),),
        "denoising_loss",
        "Is t given to the network",
    ),
    Mutant(
        "clean-input",
        "ddpm",
        "the network is given x in the place of x_t",
        ((DDPM_LOSS, "return ((eps - self(x, t)) ** 2).sum(dim=1)"),),
        "denoising_loss",
        "clean x in the place of x_t",
    ),
    Mutant(
        "noise-drawn-twice",
        "ddpm",
        "the target is another noise than the one in x_t",
        ((DDPM_LOSS, DDPM_LOSS.replace("(eps - ", "(torch.randn_like(x) - ")),),
        "denoising_loss",
        "ε is drawn twice",
    ),
    Mutant(
        "step-before",
        "ddpm",
        "the noise is that of the step before",
        ((DDPM_DRAWS, DDPM_DRAWS.replace("self.alpha_bar[t][", "self.alpha_bar[t - 1][")),),
        "denoising_loss",
        "ᾱ is that of the step before",
    ),
    Mutant(
        "no-roots",
        "ddpm",
        "ᾱ stands in the place of its root",
        ((DDPM_LOSS, DDPM_LOSS.replace("a.sqrt() * x + (1 - a).sqrt() * eps", "a * x + (1 - a) * eps")),),
        "denoising_loss",
        "in the place of their roots",
    ),
    Mutant(
        "one-time",
        "ddpm",
        "one t is drawn for the whole batch",
        ((DDPM_DRAWS, DDPM_DRAWS.replace("(len(x),))", "(1,)).expand(len(x))")),),
        "denoising_loss",
        "drawn once for the whole batch",
    ),
    Mutant(
        "data-as-target",
        "ddpm",
        "the network guesses x_0",
        ((DDPM_LOSS, DDPM_LOSS.replace("(eps - self", "(x - self")),),
        "denoising_loss",
        "The target is x_0",
    ),
    Mutant(
        "noise-not-scaled",
        "ddpm",
        "x̂_0 takes away the noise without its size",
        ((DENOISED, DENOISED.replace("(1 - a).sqrt()", "(1 - a)")),),
        "denoised_is_what_the_noise_leaves",
        "not 1 − ᾱ_t",
    ),
    Mutant(
        "not-divided",
        "ddpm",
        "x̂_0 is not divided by √ᾱ_t",
        ((DENOISED, DENOISED.replace(" / a.sqrt()", "")),),
        "denoised_is_what_the_noise_leaves",
        "not divided by √ᾱ_t",
    ),
    Mutant(
        "large-variance",
        "ddpm",
        "a step has the variance β_t",
        (
            (
                STEP,
                f"variance = self.betas[now - 1] * (now > 1)\n        {STEP}",
            ),
        ),
        "ancestral_step_by_its_mean_and_covariance",
        "Its variance is β_t",
    ),
    Mutant(
        "variance-for-deviation",
        "ddpm",
        "the noise of a step is scaled by its variance",
        ((STEP, STEP.replace("variance.sqrt()", "variance")),),
        "ancestral_step_by_its_mean_and_covariance",
        "scaled by the variance, not by its root",
    ),
    Mutant(
        "last-step-noisy",
        "ddpm",
        "the last step adds noise",
        (
            (
                STEP,
                f"variance = variance.clamp(min=self.betas[0])\n        {STEP}",
            ),
        ),
        "ancestral_step_by_its_mean_and_covariance",
        "at random",
    ),
    Mutant(
        "one-draw",
        "ddpm",
        "the noise of a step is one number inside of the coefficient",
        ((STEP, STEP.replace("torch.randn_like(x)", "torch.randn(1)")),),
        "ancestral_step_by_its_mean_and_covariance",
        "standard deviations of a step",
    ),
    Mutant(
        "last-step-left-out",
        "ddpm",
        "sampling ends at t = 1",
        ((DOWN, DOWN.replace("0, -1", "1, -1")),),
        "samples_of_a_whole_chain",
        "The last step is left out",
    ),
    Mutant(
        "uniform-start",
        "ddpm",
        "sampling begins with uniform noise",
        ((DOWN, DOWN.replace("torch.randn", "torch.rand")),),
        "samples_of_a_whole_chain",
        "standard deviations of samples",
    ),
    Mutant(
        "eta-ignored",
        "ddpm",
        "DDIM's noise does not hang on η",
        ((DDIM_SIGMA, DDIM_SIGMA.replace("eta * ", "1.0 * ")),),
        "ddim_step_by_its_mean_and_covariance",
        "at random",
    ),
    Mutant(
        "ddim-sigma",
        "ddpm",
        "the first root of DDIM's σ is missing",
        ((DDIM_SIGMA, "sigma = eta * (1 - a_t / a_s).sqrt()"),),
        "ddim_step_by_its_mean_and_covariance",
        "without the first root of σ",
    ),
    Mutant(
        "ddim-deterministic",
        "ddpm",
        "DDIM never draws",
        ((DDIM, DDIM.replace("sigma * torch.randn_like(x)", "0 * sigma")),),
        "ddim_step_by_its_mean_and_covariance",
        "No noise is drawn",
    ),
    Mutant(
        "ddim-short",
        "ddpm",
        "DDIM ends before the time 0",
        ((DDIM_TIMES, DDIM_TIMES.replace(".tolist()", ".tolist()[:-1]")),),
        "samples_by_ddim",
        "It ends before the time 0",
    ),
    Mutant(
        "eta-is-not-handed-on",
        "ddpm",
        "every step of DDIM is without noise, whatever η is",
        (("x = self.ddim_step(x, t, s, eta)", "x = self.ddim_step(x, t, s, 0.0)"),),
        "samples_by_ddim",
        "It draws with η = 0",
    ),
    Mutant(
        "always-with-noise",
        "ddpm",
        "every step of DDIM is that of ancestral sampling, whatever η is",
        (("x = self.ddim_step(x, t, s, eta)", "x = self.ddim_step(x, t, s, 1.0)"),),
        "samples_by_ddim",
        "It draws with η = 1",
    ),
    Mutant(
        "no-prior",
        "ddpm",
        "the bound has no prior",
        ((PRIOR, "total = torch.zeros(B, dtype=x.dtype)"),),
        "bound_over_all_terms",
        "The prior is missing",
    ),
    Mutant(
        "prior-turned-round",
        "ddpm",
        "KL(N(0, I) ‖ q(x_T | x_0)), the other way round",
        ((PRIOR, "total = ((last * x**2 / (1 - last) + 1 / (1 - last) - 1 + (1 - last).log()) / 2).sum(dim=1)"),),
        "bound_over_all_terms",
        "The KL of the prior is turned round",
    ),
    Mutant(
        "no-constant",
        "ddpm",
        "the constant of the last term is missing",
        ((LAST_TERM, LAST_TERM.replace(" + D / 2 * (2 * math.pi * beta).log()", "")),),
        "bound_over_all_terms",
        "The constant of the last Gaussian is missing",
    ),
    Mutant(
        "twice-the-kl",
        "ddpm",
        "the distance of the means is not halved",
        ((TERM, TERM.replace("(2 * beta)", "beta")),),
        "bound_over_all_terms",
        "divided by twice the variance",
    ),
    Mutant(
        "posterior-variance",
        "ddpm",
        "the variance of each p is the posterior's",
        ((TERM, "total = total + squares / (2 * variance)"),),
        "bound_over_all_terms",
        "not that of the posterior",
    ),
    Mutant(
        "no-variances",
        "ddpm",
        "the variances of a KL are left out",
        ((TERM, "total = total + squares / (2 * beta)"),),
        "bound_over_all_terms",
        "is right (p = ",
    ),
    Mutant(
        "elbo",
        "ddpm",
        "the bound is the ELBO",
        ((RETURNED, RETURNED.replace("total", "-total")),),
        "bound_over_all_terms",
        "and not minus it",
    ),
    Mutant(
        "thirty-steps",
        "ddpm",
        "training ends after thirty steps",
        ((DDPM_STEPS, DDPM_STEPS.replace("8000", "30")),),
        "trained_close_to_a_perfect_network_on_smiley",
        "number of steps 8,000, here 30",
        weights="trained",
    ),
    Mutant(
        "other-data",
        "ddpm",
        "the moons are trained on the smiley",
        (
            (DDPM_DATA, DDPM_DATA.replace("model, moons", "model, smiley")),
            (DDPM_STEPS, DDPM_STEPS.replace("8000", "800")),
        ),
        "trained_close_to_a_perfect_network_on_moons",
        "number of steps",
        weights="trained",
    ),
    Mutant(
        "untrained-samples",
        "ddpm",
        "both are hardly trained",
        ((DDPM_STEPS, DDPM_STEPS.replace("8000", "20")),),
        "samples_look_like_the_data",
        "miss the data",
        weights="trained",
    ),
    Mutant(
        "batch-mean",
        "flow_matching",
        "the loss is averaged over the batch",
        ((FLOW_LOSS, FLOW_LOSS.replace("sum(dim=1)", "sum(dim=1).mean()")),),
        "shapes",
        "should have shape (40,), got ()",
    ),
    Mutant(
        "squeezed",
        "flow_matching",
        "log_prob loses the batch of one",
        (
            (
                DENSITY,
                DENSITY.replace(
                    "return log_normal.sum(dim=1) + spread", "return (log_normal.sum(dim=1) + spread).squeeze()"
                ),
            ),
        ),
        "called_with_one_example",
        "should have shape (1,), got ()",
    ),
    Mutant(
        "time-turned",
        "flow_matching",
        "noise and data are exchanged",
        ((LINE, "return t * x_0 + (1 - t) * x_1, x_1 - x_0"),),
        "lines_from_noise_to_data",
        "Time runs the other way",
    ),
    Mutant(
        "sign-of-the-velocity",
        "flow_matching",
        "the velocity leads to the noise",
        ((LINE, LINE.replace("x_1 - x_0", "x_0 - x_1")),),
        "lines_from_noise_to_data",
        "it leads from noise to data",
    ),
    Mutant(
        "data-as-input",
        "flow_matching",
        "the network is given x_1 in the place of x_t",
        ((FLOW_LOSS, FLOW_LOSS.replace("self(x_t, t)", "self(x, t)")),),
        "flow_matching_loss",
        "given x_1 in the place of x_t",
    ),
    Mutant(
        "noise-drawn-twice",
        "flow_matching",
        "the velocity is that from another noise than the one that the line begins at",
        ((FLOW_LOSS, FLOW_LOSS.replace("velocity", "(x - torch.randn_like(x))")),),
        "flow_matching_loss",
        "is right (p = ",
    ),
    Mutant(
        "data-as-target",
        "flow_matching",
        "the target is x_1",
        ((FLOW_LOSS, FLOW_LOSS.replace("velocity", "x")),),
        "flow_matching_loss",
        "The target is x_1",
    ),
    Mutant(
        "no-time",
        "flow_matching",
        "t is not given to the network",
        ((FLOW_NET, "        return self.net(x, torch.zeros_like(t))\n"),),
        "flow_matching_loss",
        "Is t given to the network",
    ),
    Mutant(
        "one-time",
        "flow_matching",
        "one t is drawn for the whole batch",
        ((FLOW_DRAWS, FLOW_DRAWS.replace("torch.rand(len(x))", "torch.rand(1).expand(len(x))")),),
        "flow_matching_loss",
        "drawn once for the whole batch",
    ),
    Mutant(
        "uniform-noise",
        "flow_matching",
        "the noise is uniform",
        ((FLOW_DRAWS, FLOW_DRAWS.replace("torch.randn_like(x)", "torch.rand_like(x)")),),
        "flow_matching_loss",
        "x_0 is drawn from U[0, 1]",
    ),
    Mutant(
        "dimension-mean",
        "flow_matching",
        "the loss is the mean over the dimensions",
        ((FLOW_LOSS, FLOW_LOSS.replace("sum(dim=1)", "mean(dim=1)")),),
        "flow_matching_loss",
        "It is the mean over the dimensions",
    ),
    Mutant(
        "time-stands-still",
        "flow_matching",
        "every step is taken at the first time",
        ((SOLVER_TIME, SOLVER_TIME.replace("start + k * h", "start + 0 * k * h")),),
        "euler_is_of_first_order",
        "More steps do not help",
    ),
    Mutant(
        "half-of-euler",
        "flow_matching",
        "Euler is taken at the end of the step",
        ((EULER, "                x = x + h * v(x + h / 2 * k1, t + h / 2)\n"),),
        "euler_is_of_first_order",
        "better than this method can be",
    ),
    Mutant(
        "heun-at-one-time",
        "flow_matching",
        "both stages of Heun are taken at one time",
        ((HEUN, HEUN.replace("t + h)", "t)")),),
        "heun_is_of_second_order",
        "That is of first order",
    ),
    Mutant(
        "heun-at-one-point",
        "flow_matching",
        "both stages of Heun are taken at one point",
        ((HEUN, HEUN.replace("v(x + h * k1", "v(x")),),
        "heun_is_of_second_order",
        "That is of first order",
    ),
    Mutant(
        "k3-from-k1",
        "flow_matching",
        "the third stage starts from the first",
        ((RK4_K3, RK4_K3.replace("k2", "k1")),),
        "runge_kutta_is_of_fourth_order",
        "k3 from k2",
    ),
    Mutant(
        "k4-half-way",
        "flow_matching",
        "the fourth stage is taken half way",
        ((RK4_K4, RK4_K4.replace("t + h)", "t + h / 2)")),),
        "runge_kutta_is_of_fourth_order",
        "That is of first order",
    ),
    Mutant(
        "sum-of-the-jacobian",
        "flow_matching",
        "the divergence is the sum of all entries",
        ((TRACE, "torch.autograd.grad(v.sum(), x, retain_graph=True)[0][:, i] for i in range(x.shape[1])"),),
        "divergence_is_the_trace",
        "sum of all entries of the Jacobian",
    ),
    Mutant(
        "one-entry",
        "flow_matching",
        "the divergence has one entry only",
        ((TRACE, TRACE.replace("range(x.shape[1])", "range(1)")),),
        "divergence_is_the_trace",
        "Only one entry of the diagonal",
    ),
    Mutant(
        "signs-once",
        "flow_matching",
        "the signs are missing on the right",
        ((PULLED, PULLED.replace("(pulled * signs)", "pulled")),),
        "hutchinson_over_all_signs_is_the_trace",
        "without the signs on the right",
    ),
    Mutant(
        "signs-averaged",
        "flow_matching",
        "the estimator is a mean over the dimensions",
        ((PULLED, PULLED.replace("sum(dim=1)", "mean(dim=1)")),),
        "hutchinson_over_all_signs_is_the_trace",
        "averaged over the dimensions",
    ),
    Mutant(
        "sign-of-the-divergence",
        "flow_matching",
        "the divergence counts with the wrong sign",
        ((DENSITY, DENSITY.replace("+ spread", "- spread")),),
        "log_prob_is_the_density_of_the_flow",
        "The sign of ∫∇·v",
    ),
    Mutant(
        "no-divergence",
        "flow_matching",
        "log_prob is the base density alone",
        ((DENSITY, DENSITY.replace(" + spread", "")),),
        "log_prob_is_the_density_of_the_flow",
        "∫∇·v is missing",
    ),
    Mutant(
        "no-constant",
        "flow_matching",
        "½ log 2π is missing",
        ((LOG_NORMAL, LOG_NORMAL.replace(" - 0.5 * math.log(2 * math.pi)", "")),),
        "log_prob_is_the_density_of_the_flow",
        "a constant, such as",
    ),
    Mutant(
        "mass-from-nowhere",
        "flow_matching",
        "the divergence counts twice",
        ((SPREAD, SPREAD.replace("h / 6", "h / 3")),),
        "the_plane_sums_to_one",
        "a mass of",
    ),
    Mutant(
        "uniform-start",
        "flow_matching",
        "samples begin with uniform noise",
        ((DRAWN, DRAWN.replace("torch.randn", "torch.rand")),),
        "samples_are_noise_carried_to_the_data",
        "x_0 ~ N(0, I)",
    ),
    Mutant(
        "backwards",
        "flow_matching",
        "samples are carried from 1 to 0",
        ((DRAWN, DRAWN.replace("0.0, 1.0", "1.0, 0.0")),),
        "samples_are_noise_carried_to_the_data",
        "x_0 ~ N(0, I)",
    ),
    Mutant(
        "thirty-steps",
        "flow_matching",
        "training ends after thirty steps",
        ((FLOW_STEPS, FLOW_STEPS.replace("7000", "30")),),
        "trained_close_to_the_limit_on_smiley",
        "number of steps 7,000, here 30",
        weights="trained",
    ),
    Mutant(
        "tiny-rate",
        "flow_matching",
        "the learning rate is much too small",
        (
            (FLOW_STEPS, FLOW_STEPS.replace("lr=5e-3", "lr=1e-6").replace("7000", "300")),
            ("max_lr=5e-3, total", "max_lr=1e-6, total"),
        ),
        "trained_close_to_the_limit_on_moons",
        "learning rate 0.005",
        weights="trained",
    ),
    Mutant(
        "untrained-samples",
        "flow_matching",
        "both are hardly trained",
        ((FLOW_STEPS, FLOW_STEPS.replace("7000", "20")),),
        "samples_look_like_the_data",
        "miss the data",
        weights="trained",
    ),
)

# 5.4, 5.5
ONE_HOT = "return self.net(one_hot).view(-1, self.dims, self.bins)"
HIDDEN = "masked = torch.rand(x.shape) < t[:, None]"
MASKED = "return torch.where(masked, self.bins, x)"
LOG_P = "log_p = F.log_softmax(self.logits(z), dim=-1).gather(-1, x[..., None]).squeeze(-1)  # (B, dims)"
NATS = "return -torch.where(z == self.bins, log_p, 0.0).sum(dim=1)"
WEIGHTED = "return self.nats(x, self.corrupt(x, t)) / t"
OF_MASK = "total = total + self.nats(x, z) / (k * math.comb(self.dims, k))"
LIFTED = "lifted = (z == self.bins) & (torch.rand(z.shape) < (t - s) / t)"
DRAWN = "drawn = torch.distributions.Categorical(logits=self.logits(z)).sample()"
BACK = "z = self.reverse_step(z, 1 - k / steps, 1 - (k + 1) / steps)"


def masked(name: str, slip: str, edits: tuple, caught_by: str, hint: str, **options) -> Mutant:
    """A slip in 5.4."""
    return Mutant(name, "masked_diffusion", slip, edits, caught_by, hint, **options)


SQUARES = "squares = x.reshape(B, C, H // size, size, W // size, size).permute(0, 2, 4, 1, 3, 5)"
BACK_TO_IMAGES = "squares = tokens.reshape(-1, H // size, W // size, C, size, size).permute(0, 3, 1, 4, 2, 5)"
DROPPED = "return torch.where(torch.rand(len(y)) < rate, none, y)"
ZEROS = "        nn.init.zeros_(self.modulation.weight)\n        nn.init.zeros_(self.modulation.bias)\n"
SIX = "gamma_2 = self.modulation(F.silu(c))[:, None].chunk(6, dim=-1)"
QKV = ".view(B, N, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, heads, N, width / heads) each"
BLOCKS = "self.blocks = nn.ModuleList(DiTBlock(width, heads) for _ in range(depth))"
CONDITION = "c = self.times(torch.cat([waves.sin(), waves.cos()], dim=1)) + self.labels(y)"
VELOCITY = "return (guess - x) / (1 - t).clamp_min(0.05)[:, None, None, None]"
X_T = "x_t = (1 - t_) * noise + t_ * x"
SQUARED = "return ((self.velocity(x_t, t, y) - (x - noise)) ** 2).mean(dim=(1, 2, 3))"
WITHOUT = "without = self.velocity(x, t, torch.full_like(y, self.classes))"
GUIDED = "return without + w * (self.velocity(x, t, y) - without)"
EULER = "x = x + self.guided(x, torch.full((len(x),), k / steps), y, w) / steps"
DROPS = "y = drop_labels(y, 0.1, none=model.classes)"


def dit(name: str, slip: str, edits: tuple, caught_by: str, hint: str, **options) -> Mutant:
    """A slip in 5.5."""
    return Mutant(name, "guided_dit", slip, edits, caught_by, hint, **options)


def loss(name: str, slip: str, edits: tuple, hint: str) -> Mutant:
    """A slip in the loss of 5.5."""
    return dit(name, slip, edits, "the_loss_is_the_velocitys_squared_error", hint)


def guidance(name: str, slip: str, edits: tuple, hint: str) -> Mutant:
    """A slip in the guidance of 5.5."""
    return dit(name, slip, edits, "guidance_goes_from_one_velocity_to_the_other", hint)


def steps(name: str, slip: str, edits: tuple, hint: str) -> Mutant:
    """A slip in the sampler of 5.5."""
    return dit(name, slip, edits, "images_are_made_in_eulers_steps", hint)


MUTANTS += (
    # ---- 5.4 ----
    masked(
        "normalised-over-the-batch",
        "the logits are normalised over the batch",
        ((ONE_HOT, f"{ONE_HOT}.log_softmax(dim=0)"),),
        "every_example_for_itself",
        "mixes the examples of a batch",
    ),
    masked(
        "a-logit-for-the-mask",
        "the network gives the mask a logit, too",
        (
            ("nn.Linear(hidden, dims * bins),", "nn.Linear(hidden, dims * (bins + 1)),"),
            (ONE_HOT, ONE_HOT.replace("self.bins)", "self.bins + 1)")),
        ),
        "every_example_for_itself",
        "should have shape (20, 3, 3), got (20, 3, 4)",
        weights="none",
    ),
    masked(
        "squeezed",
        "squeeze() drops the batch, too, when it holds one example",
        ((NATS, f"{NATS}.squeeze()"),),
        "called_with_one_example",
        "should have shape (1,)",
    ),
    masked(
        "shown-with-probability-t",
        "t is the probability that a token is shown",
        ((HIDDEN, HIDDEN.replace("<", ">")),),
        "tokens_are_masked_with_probability_t",
        "Tokens are shown with probability t",
    ),
    masked(
        "all-tokens-together",
        "one number for all tokens of an example",
        ((HIDDEN, HIDDEN.replace("x.shape", "len(x), 1")),),
        "tokens_are_masked_with_probability_t",
        "All tokens of an example are masked together",
    ),
    masked(
        "same-tokens-everywhere",
        "one number for each token, the same in every example",
        ((HIDDEN, HIDDEN.replace("x.shape", "x.shape[1:]")),),
        "tokens_are_masked_with_probability_t",
        "masked",
    ),
    masked(
        "time-of-the-first",
        "the time of the first example for all",
        ((HIDDEN, HIDDEN.replace("t[:, None]", "t[0]")),),
        "tokens_are_masked_with_probability_t",
        "masked alike, whatever their t",
    ),
    masked(
        "mask-is-zero",
        "masked tokens become level 0",
        ((MASKED, "return torch.where(masked, 0, x)"),),
        "tokens_are_masked_with_probability_t",
        "one more than the last level",
    ),
    masked(
        "mask-is-the-last-level",
        "the mask is bins − 1, which is a level of the data",
        ((MASKED, "return torch.where(masked, self.bins - 1, x)"),),
        "tokens_are_masked_with_probability_t",
        "one more than the last level",
    ),
    masked(
        "shown-tokens-count",
        "the loss of all tokens, also of those that are shown",
        ((NATS, "return -log_p.sum(dim=1)"),),
        "only_what_is_masked_counts",
        "Tokens that are shown count, too",
    ),
    masked(
        "mean-over-tokens",
        "the mean over all tokens",
        ((NATS, NATS.replace("sum(", "mean(")),),
        "only_what_is_masked_counts",
        "divided by the number of tokens",
    ),
    masked(
        "mean-over-masked",
        "the mean over the masked tokens",
        ((NATS, f"{NATS} / (z == self.bins).sum(dim=1).clamp_min(1)"),),
        "only_what_is_masked_counts",
        "the mean over the masked tokens",
    ),
    masked(
        "sees-the-data",
        "the network is given x in the place of z",
        ((LOG_P, LOG_P.replace("self.logits(z)", "self.logits(x)")),),
        "only_what_is_masked_counts",
        "The network sees everything",
    ),
    masked(
        "sign",
        "log p, to be minimised",
        ((NATS, NATS.replace("-torch", "torch")),),
        "only_what_is_masked_counts",
        "Its sign is wrong",
    ),
    masked(
        "not-weighted",
        "the loss of masked language models, without 1 / t",
        ((WEIGHTED, "return self.nats(x, self.corrupt(x, t))"),),
        "the_loss_is_weighted_by_one_over_t",
        "It is not weighted",
    ),
    masked(
        "weight-inverted",
        "multiplied by t",
        ((WEIGHTED, WEIGHTED.replace("/ t", "* t")),),
        "the_loss_is_weighted_by_one_over_t",
        "The weight is inverted",
    ),
    masked(
        "weight-of-what-is-shown",
        "divided by 1 − t, as if t were the share that is shown",
        ((WEIGHTED, WEIGHTED.replace("/ t", "/ (1 - t)")),),
        "the_loss_is_weighted_by_one_over_t",
        "The weight is that of the tokens that are shown",
    ),
    masked(
        "masks-of-another-time",
        "z of the first example's time, weights of each example's own",
        ((WEIGHTED, WEIGHTED.replace("(x, t))", "(x, t[:1].expand(len(t))))")),),
        "the_loss_is_weighted_by_one_over_t",
        "not those of time t",
    ),
    masked(
        "mean-of-the-batch",
        "the loss is averaged over the batch",
        ((WEIGHTED, "return (self.nats(x, self.corrupt(x, t)) / t).mean()"),),
        "the_loss_is_weighted_by_one_over_t",
        "should have shape (9000,), got ()",
    ),
    masked(
        "loss-sees-the-data",
        "the loss asks the network about x, and masks afterwards",
        (
            (
                WEIGHTED,
                "log_p = F.log_softmax(self.logits(x), dim=-1).gather(-1, x[..., None]).squeeze(-1)\n"
                "        return -torch.where(self.corrupt(x, t) == self.bins, log_p, 0.0).sum(dim=1) / t",
            ),
        ),
        "the_loss_is_weighted_by_one_over_t",
        "The network sees everything",
    ),
    masked(
        "bound-without-k",
        "masks of k tokens weigh 1 / C(d, k)",
        ((OF_MASK, OF_MASK.replace("(k * math.comb(self.dims, k))", "math.comb(self.dims, k)")),),
        "the_bound_is_exact",
        "1 / k is missing",
    ),
    masked(
        "bound-without-binomial",
        "masks of k tokens weigh 1 / k",
        ((OF_MASK, OF_MASK.replace("(k * math.comb(self.dims, k))", "k")),),
        "the_bound_is_exact",
        "C(d, k) is missing",
    ),
    masked(
        "bound-of-equal-masks",
        "the mean over all masks",
        ((OF_MASK, OF_MASK.replace("(k * math.comb(self.dims, k))", "(2**self.dims - 1)")),),
        "the_bound_is_exact",
        "All masks weigh alike",
    ),
    masked(
        "bound-in-one-order",
        "the chain rule from the first token to the last",
        (
            (
                Body("MaskedDiffusion.bound"),
                """        total = torch.zeros(len(x))
        for i in range(self.dims):
            z = torch.where(torch.arange(self.dims) >= i, self.bins, x)
            total = total - F.log_softmax(self.logits(z)[:, i], dim=-1).gather(-1, x[:, i, None])[:, 0]
        return total
""",
            ),
        ),
        "the_bound_is_exact",
        "the chain rule in one order",
    ),
    masked(
        "bound-is-the-mixture",
        "−log of the mean over the orders, in the place of the mean of −log",
        (
            (
                Body("MaskedDiffusion.bound"),
                """        log_p = []
        for order in itertools.permutations(range(self.dims)):
            z, total = torch.full_like(x, self.bins), torch.zeros(len(x))
            for i in order:
                total = total + F.log_softmax(self.logits(z)[:, i], dim=-1).gather(-1, x[:, i, None])[:, 0]
                z[:, i] = x[:, i]
            log_p.append(total)
        return math.log(len(log_p)) - torch.stack(log_p).logsumexp(dim=0)
""",
            ),
        ),
        "the_bound_is_exact",
        "−log of the mean over the orders",
    ),
    masked(
        "bound-misses-masks",
        "the mask that hides everything is left out",
        (("            if k:\n", "            if 0 < k < self.dims:\n"),),
        "the_bound_is_exact",
        "below −log p(x): no bound does",
    ),
    masked(
        "redraws-what-is-shown",
        "each step draws some of the tokens that are shown, too",
        ((LIFTED, "lifted = torch.rand(z.shape) < (t - s) / t"),),
        "what_is_shown_never_changes",
        "that were shown have changed",
    ),
    masked(
        "lifted-too-seldom",
        "masks are lifted with probability t − s",
        ((LIFTED, LIFTED.replace("(t - s) / t)", "t - s)")),),
        "each_step_lifts_the_masks_that_it_should",
        "with probability t − s",
    ),
    masked(
        "lifted-and-left-exchanged",
        "masks are lifted with probability s / t",
        ((LIFTED, LIFTED.replace("(t - s) / t)", "s / t)")),),
        "each_step_lifts_the_masks_that_it_should",
        "Masks stay with probability (t − s) / t",
    ),
    masked(
        "lifts-all",
        "every step lifts all masks",
        ((LIFTED, "lifted = z == self.bins"),),
        "each_step_lifts_the_masks_that_it_should",
        "All masks are lifted at once",
    ),
    masked(
        "lifted-together",
        "one number for all masks of an example",
        ((LIFTED, LIFTED.replace("torch.rand(z.shape)", "torch.rand(len(z), 1)")),),
        "each_step_lifts_the_masks_that_it_should",
        "All masks of an example are lifted together",
    ),
    masked(
        "most-likely",
        "takes the most likely token instead of drawing",
        ((DRAWN, "drawn = self.logits(z).argmax(dim=-1)"),),
        "each_step_lifts_the_masks_that_it_should",
        "The most likely token is taken",
    ),
    masked(
        "drawn-from-anything",
        "lifted tokens are drawn evenly",
        ((DRAWN, "drawn = torch.randint(self.bins, z.shape)"),),
        "each_step_lifts_the_masks_that_it_should",
        "a draw from softmax(logits_i(z))",
    ),
    masked(
        "one-step-too-few",
        "the last step is left out",
        (("        for k in range(steps):\n", "        for k in range(steps - 1):\n"),),
        "samples_are_drawn_in_so_many_even_steps",
        "The last step ends at s = 0",
    ),
    masked(
        "time-runs-forward",
        "the times go from 0 to 1",
        ((BACK, "z = self.reverse_step(z, (k + 1) / steps, k / steps)"),),
        "samples_are_drawn_in_so_many_even_steps",
        "It takes 1 steps, in the place of",
    ),
    masked(
        "steps-are-ignored",
        "always fifty steps",
        (("        for k in range(steps):\n", "        steps = 50\n        for k in range(steps):\n"),),
        "samples_are_drawn_in_so_many_even_steps",
        "many more steps",
    ),
    masked(
        "thirty-steps",
        "training ends after thirty steps",
        (("    steps = 2500\n", "    steps = 30\n"),),
        "trained_close_to_the_limit_on_smiley",
        "number of steps 2,500, here 30",
        weights="trained",
    ),
    # ---- 5.5 ----
    dit(
        "a-reshape-alone",
        "patches by reshape, without permute: it comes back, and the tokens are pieces of rows",
        (
            (SQUARES, "squares = x"),
            (BACK_TO_IMAGES, "squares = tokens"),
        ),
        "patches_are_squares_and_come_back",
        "A reshape alone cuts rows into pieces",
    ),
    dit(
        "back-turned",
        "every patch is turned when it is put back",
        ((BACK_TO_IMAGES, BACK_TO_IMAGES.replace("0, 3, 1, 4, 2, 5", "0, 3, 1, 5, 2, 4")),),
        "patches_are_squares_and_come_back",
        "are not where they were",
    ),
    dit(
        "gates-that-are-open",
        "the layer of shift, scale and gate starts as torch makes it",
        ((ZEROS, ""),),
        "a_block_is_the_identity_at_the_start",
        "no gate is open",
    ),
    dit(
        "gates-and-what-they-gate",
        "the last layers of attention and MLP start at zero, too",
        (
            (
                ZEROS,
                ZEROS
                + "        for last in (self.out, self.mlp[-1]):\n            nn.init.zeros_(last.weight)\n"
                + "            nn.init.zeros_(last.bias)\n",
            ),
        ),
        "a_block_is_the_identity_at_the_start",
        "no gradient reaches either",
    ),
    dit(
        "no-way-around",
        "attention is not added to h, but takes its place",
        (("h = h + gamma_1 * self.out(mixed)", "h = gamma_1 * self.out(mixed)"),),
        "a_block_is_the_identity_at_the_start",
        "a fresh block changes its tokens",
    ),
    dit(
        "one-gate-for-both",
        "attention and MLP have the same gate",
        (("return h + gamma_2 * self.mlp", "return h + gamma_1 * self.mlp"),),
        "attention_and_an_mlp_wait_behind_the_gates",
        "One gate serves both halves",
    ),
    dit(
        "scale-without-one",
        "the factor is α, not 1 + α: a fresh block's attention and MLP are given nothing of h",
        (
            ("a = (1 + alpha_1) * self.norm(h)", "a = alpha_1 * self.norm(h)"),
            ("self.mlp((1 + alpha_2) * self.norm(h)", "self.mlp(alpha_2 * self.norm(h)"),
        ),
        "attention_and_an_mlp_wait_behind_the_gates",
        "its factor is 1 + α",
    ),
    dit(
        "scale-without-one-in-the-mlp",
        "the factor before the MLP is α, not 1 + α",
        (("self.mlp((1 + alpha_2) * self.norm(h)", "self.mlp(alpha_2 * self.norm(h)"),),
        "attention_and_an_mlp_wait_behind_the_gates",
        "its factor is 1 + α",
    ),
    dit(
        "no-norm",
        "attention and MLP are given h, not LN(h)",
        (
            (
                "self.norm = nn.LayerNorm(width, elementwise_affine=False)\n        self.qkv",
                "self.norm = nn.Identity()\n        self.qkv",
            ),
        ),
        "attention_and_an_mlp_wait_behind_the_gates",
        "or another norm",
    ),
    dit(
        "one-head",
        "attention with a single head, of the whole width",
        ((QKV, QKV.replace("3, self.heads, -1)", "3, 1, -1)")),),
        "attention_and_an_mlp_wait_behind_the_gates",
        "All heads attend alike",
    ),
    dit(
        "always-four-heads",
        "the number of heads is fixed",
        (("        self.heads = heads\n", "        self.heads = 4\n"),),
        "attention_and_an_mlp_wait_behind_the_gates",
        "not the one that is asked for",
    ),
    dit(
        "no-least-denominator",
        "the velocity is divided by 1 − t, also at the end",
        ((VELOCITY, VELOCITY.replace(".clamp_min(0.05)", "")),),
        "every_image_for_itself",
        "nan or infinite",
    ),
    dit(
        "attention-over-the-batch",
        "attention between images, not between tokens",
        (
            (QKV, QKV.replace("permute(2, 0, 3, 1, 4)", "permute(2, 1, 3, 0, 4)")),
            (
                "F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, N, width)",
                "F.scaled_dot_product_attention(q, k, v).permute(2, 0, 1, 3).reshape(B, N, width)",
            ),
        ),
        "a_block_mixes_tokens_and_knows_c",
        "Attention is over dimension 1",
    ),
    dit(
        "causal-attention",
        "attention as GPT has it: a patch sees those before it",
        (("_attention(q, k, v).transpose", "_attention(q, k, v, is_causal=True).transpose"),),
        "a_block_mixes_tokens_and_knows_c",
        "also to those that come after",
    ),
    dit(
        "c-of-the-first",
        "shift, scale and gate of the first example for all",
        ((SIX, SIX.replace("silu(c)", "silu(c[:1])")),),
        "a_block_mixes_tokens_and_knows_c",
        "at another place in the batch",
    ),
    dit(
        "c-is-not-used",
        "shift, scale and gate are the same for every c",
        ((SIX, SIX.replace("silu(c)", "silu(0 * c)")),),
        "a_block_mixes_tokens_and_knows_c",
        "made of c by a linear layer",
    ),
    dit(
        "one-block-for-all",
        "all blocks are the same object",
        ((BLOCKS, "self.blocks = nn.ModuleList([DiTBlock(width, heads)] * depth)"),),
        "every_layer_has_weights_of_its_own",
        "repeat the same object",
        weights="none",
    ),
    dit(
        "centred-over-the-batch",
        "the mean of the batch is taken off",
        ((VELOCITY, VELOCITY.replace("(guess - x)", "(guess - guess.mean(dim=0) - x)")),),
        "every_image_for_itself",
        "mixes the examples of a batch",
    ),
    dit(
        "time-not-given",
        "t is not given to the network",
        ((CONDITION, "c = self.labels(y)"), (VELOCITY, "return guess - x")),
        "the_velocity_knows_image_time_and_label",
        "t is not used",
    ),
    dit(
        "time-only-in-the-velocity",
        "t is not given to the network, and stands in the denominator of the velocity alone",
        ((CONDITION, "c = self.labels(y)"),),
        "the_velocity_knows_image_time_and_label",
        "t is not used, or not by the network",
    ),
    dit(
        "label-not-given",
        "y is not given to the network",
        ((CONDITION, CONDITION.replace(" + self.labels(y)", "")),),
        "the_velocity_knows_image_time_and_label",
        "y is not used",
    ),
    dit(
        "none-is-the-last-class",
        "the label of nothing is that of the last class",
        ((CONDITION, CONDITION.replace("self.labels(y)", "self.labels(y.clamp(max=self.classes - 1))")),),
        "the_velocity_knows_image_time_and_label",
        "none is not a label of its own",
    ),
    dit(
        "kept-at-the-rate",
        "rate is the share of labels that are kept",
        ((DROPPED, DROPPED.replace("<", ">")),),
        "labels_are_dropped_at_the_rate",
        "Labels are kept with probability",
    ),
    dit(
        "dropped-together",
        "one number for the whole batch",
        ((DROPPED, DROPPED.replace("torch.rand(len(y))", "torch.rand(1)")),),
        "labels_are_dropped_at_the_rate",
        "All labels are dropped, or none",
    ),
    dit(
        "dropped-to-zero",
        "a dropped label becomes 0, which is a digit",
        ((DROPPED, DROPPED.replace("none, y", "0, y")),),
        "labels_are_dropped_at_the_rate",
        "not another class, and not 0",
    ),
    loss(
        "given-the-image",
        "the network is given x in the place of x_t",
        ((SQUARED, SQUARED.replace("velocity(x_t", "velocity(x")),),
        "The network is given x",
    ),
    loss(
        "noise-at-one",
        "data and noise exchanged in x_t",
        ((X_T, "x_t = t_ * noise + (1 - t_) * x"),),
        "Data and noise are exchanged",
    ),
    loss(
        "backwards",
        "noise at t = 1, and its velocity",
        ((X_T, "x_t = t_ * noise + (1 - t_) * x"), (SQUARED, SQUARED.replace("(x - noise)", "(noise - x)"))),
        "Times run backwards",
    ),
    loss(
        "target-turned",
        "from data to noise",
        ((SQUARED, SQUARED.replace("(x - noise)", "(noise - x)")),),
        "The sign of the target",
    ),
    loss(
        "target-is-the-noise",
        "the noise is the target, as of an ε-prediction",
        ((SQUARED, SQUARED.replace("(x - noise)", "noise")),),
        "The target is the noise",
    ),
    loss(
        "target-is-the-image",
        "the image is the target, as of an x-prediction",
        ((SQUARED, SQUARED.replace("(x - noise)", "x")),),
        "The target is the image",
    ),
    loss(
        "loss-without-time",
        "the network is told t = 0",
        ((SQUARED, SQUARED.replace("(x_t, t, y)", "(x_t, 0 * t, y)")),),
        "The network is not told t",
    ),
    loss(
        "time-of-the-first",
        "one time for the whole batch",
        (("t_ = t[:, None, None, None]\n", "t = t[:1].expand(len(t))\n        t_ = t[:, None, None, None]\n"),),
        "All images have the time of the first",
    ),
    loss(
        "sum-over-pixels",
        "the sum over the image",
        ((SQUARED, SQUARED.replace(".mean(", ".sum(")),),
        "take their mean",
    ),
    loss(
        "mean-of-the-batch",
        "one number for the whole batch",
        ((SQUARED, SQUARED.replace(".mean(dim=(1, 2, 3))", ".mean()")),),
        "should have shape (8,), got ()",
    ),
    guidance(
        "terms-exchanged",
        "from the velocity of the label to that without",
        ((GUIDED, "with_label = self.velocity(x, t, y)\n        return with_label + w * (without - with_label)"),),
        "The two terms are exchanged",
    ),
    guidance(
        "w-counts-from-one",
        "v(y) + w (v(y) − v(none)), the convention of the paper",
        (
            (
                GUIDED,
                "with_label = self.velocity(x, t, y)\n        return with_label + w * (with_label - without)",
            ),
        ),
        "another convention",
    ),
    guidance(
        "labels-dropped-in-both",
        "both velocities are without a label",
        ((GUIDED, GUIDED.replace("(x, t, y)", "(x, t, torch.full_like(y, self.classes))")),),
        "The labels are dropped",
    ),
    guidance(
        "none-not-used",
        "both velocities are of the label",
        ((WITHOUT, "without = self.velocity(x, t, y)"),),
        "with its label, whatever w is",
    ),
    guidance(
        "difference-alone",
        "the velocity without a label is not added",
        ((GUIDED, GUIDED.replace("without + w", "w")),),
        "v(none) is missing",
    ),
    steps(
        "time-runs-backwards",
        "from t = 1 to 0",
        ((EULER, EULER.replace("k / steps)", "1 - k / steps)").replace("x = x +", "x = x -")),),
        "Times run from 1 to 0",
    ),
    steps(
        "velocity-at-the-end",
        "the velocity of a step's end",
        ((EULER, EULER.replace("k / steps)", "(k + 1) / steps)")),),
        "Each step asks for the velocity at its end",
    ),
    steps(
        "one-step-too-few",
        "the last step is left out",
        ((f"range(steps):\n            {EULER}", f"range(steps - 1):\n            {EULER}"),),
        "The last step is left out",
    ),
    steps(
        "labels-dropped",
        "samples without labels",
        ((EULER, EULER.replace(", y, w)", ", torch.full_like(y, self.classes), w)")),),
        "The labels are dropped",
    ),
    steps(
        "weight-ignored",
        "no guidance in the sampler",
        (
            (
                EULER,
                "x = x + self.velocity(x, torch.full((len(x),), k / steps), y) / steps",
            ),
        ),
        "as if w were 1",
    ),
    steps(
        "noise-in-every-step",
        "noise is added in every step, the last one too",
        ((EULER, EULER + " + 0.1 * torch.randn_like(x)"),),
        "x = noise; for k in range(steps)",
    ),
    dit(
        "thirty-steps",
        "training ends after thirty steps",
        (("    steps = 2500\n", "    steps = 30\n"),),
        "loss_of_held_out_images",
        "number of steps 2,500, here 30",
        weights="trained",
    ),
    dit(
        "labels-of-others",
        "the labels of other images, and few steps",
        (("    steps = 2500\n", "    steps = 100\n"), (DROPS, DROPS.replace("(y,", "(y.flip(0),"))),
        "guidance_steers_and_narrows",
        "The label is not followed",
        weights="trained",
    ),
    dit(
        "forty-steps",
        "training ends after forty steps",
        (("    steps = 2500\n", "    steps = 40\n"),),
        "frechet_distance",
        "number of steps 2,500, here 40",
        weights="trained",
    ),
)

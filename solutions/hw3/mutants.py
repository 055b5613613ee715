"""Slips in HW3, most of them seen in students' notebooks or in published solutions."""

from autograder.proof.changes import Mutant

NLL = "return tensors.sum_except_batch(0.5 * math.log(2 * math.pi) + log_sigma + epsilon**2 / 2)"
KL = "return tensors.sum_except_batch(-log_sigma + sigma**2 / 2 + mu**2 / 2 - 0.5)"
NOISE = "return mu + log_sigma.exp() * torch.randn_like(mu)"
IN_ELBO = "        z = reparameterize(mu_z, log_sigma_z)\n        return gaussian_nll(x, *self.decode(z)), kl_to"
LOG_W = "log_w = -gaussian_nll(x, *self.decode(z)) + log_prior + gaussian_nll(z, mu_z, log_sigma_z)"
LOG_MEAN = "return math.log(k) - torch.logsumexp(log_w.view(B, k), dim=1)"
SAMPLE = "return reparameterize(mu, log_sigma) if noise else mu"

VAE_TERMS = "return 0.5 * math.log(2 * math.pi) * x[0].numel() + squares / 2, kl"
VAE_KL = "kl = (-log_sigma + sigma**2 / 2 + mu**2 / 2 - 0.5).sum(dim=1)"
VAE_NOISE = "z = mu + sigma * torch.randn_like(mu)"

BETA_LOSS = "return reconstruction + beta * kl"
BETA_SQUARES = "reconstruction = tensors.sum_except_batch((x - self.decode(z)) ** 2 + math.log(2 * math.pi)) / 2"
BETA_STEPS = "((begin, 400), (beta, 1600)) if begin else ((beta, 2000),)"
ANEW = '{} = trained("{}", BetaVAE(), fit=lambda m: m.load_state_dict({}.state_dict()), retrain=True)'
CHOSEN = 'chosen = trained("beta_vae", BetaVAE(), fit=train_beta(BETA, begin=3 * BETA))'

MUTANTS = (
    Mutant(
        "terms-of-the-batch", "vae2d", "the terms come out as means over the batch",
        (("return gaussian_nll(x, *self.decode(z)), kl_to_prior(mu_z, log_sigma_z)",
          "return gaussian_nll(x, *self.decode(z)).mean(), kl_to_prior(mu_z, log_sigma_z).mean()"),),
        "elbo_terms_are_of_its_encoder_and_decoder", "should have shape (4000,)",
    ),
    Mutant(
        "one-example-squeezed", "vae2d", "squeeze() drops the batch where it is one example",
        ((LOG_MEAN, "return (math.log(k) - torch.logsumexp(log_w.view(B, k, 1), dim=1)).squeeze()"),),
        "called_with_one_example", "should have shape (1,), got ()",
    ),
    Mutant(
        "encoder-squeezed", "vae2d", "squeeze() drops the batch where it is one example",
        (("mu, log_sigma = self.encoder(x).chunk(2, dim=1)\n        return mu, log_sigma\n        ### END SOLUTION\n\n"
          "    def decode(self, z: torch.Tensor) -> tuple",
          "mu, log_sigma = self.encoder(x).chunk(2, dim=1)\n        return mu.squeeze(), log_sigma.squeeze()\n"
          "        ### END SOLUTION\n\n    def decode(self, z: torch.Tensor) -> tuple"),),
        "called_with_one_example", "should have shape (1, 2), got (2,)",
    ),
    Mutant(
        "density-then-log", "vae2d", "the density itself, and its logarithm afterwards",
        ((NLL, "return -(torch.exp(-(epsilon**2) / 2 - log_sigma) / math.sqrt(2 * math.pi)).log().flatten(1).sum(dim=1)"
          ),), "finite_far_from_the_data", "with no exp inside that a log undoes",
    ),
    Mutant(
        "weights-then-log", "vae2d", "the mean of the weights themselves, and its logarithm afterwards",
        ((LOG_MEAN, "return -log_w.view(B, k).exp().mean(dim=1).log()"),),
        "finite_far_from_the_data", "torch.logsumexp",
    ),
    Mutant(
        "draws-mixed-by-repeat", "vae2d", "repeats the whole batch, and takes neighbours for the draws of one example",
        (("x = x.repeat_interleave(k, dim=0)", "x = x.repeat(k, 1)"),),
        "importance_weighted_bound", "It mixes the examples",
    ),
    Mutant(
        "draws-mixed-by-view", "vae2d", "repeats each example, and takes the rows of another order for its draws",
        ((LOG_MEAN, "return math.log(k) - torch.logsumexp(log_w.view(k, B), dim=0)"),),
        "importance_weighted_bound", "It mixes the examples",
    ),
    Mutant(
        "mean-in-eval-mode", "vae2d", "draws a code in training mode only",
        (("        z = reparameterize(mu_z, log_sigma_z)\n        return gaussian_nll",
          "        z = reparameterize(mu_z, log_sigma_z) if self.training else mu_z\n        return gaussian_nll"),),
        "bounds_come_in_their_order", "a draw in eval mode, too",
    ),
    Mutant(
        "dropout-always-on", "vae2d", "dropout that does not look at the mode",
        (("mu, log_sigma = self.encoder(x).chunk(2, dim=1)",
          "mu, log_sigma = F.dropout(self.encoder(x)).chunk(2, dim=1)"),),
        "shapes", "Dropout that is on in eval mode",
    ),
    Mutant(
        "code-drawn-without-sigma", "vae2d", "draws its code without reparameterize, and forgets σ",
        (("        z = reparameterize(mu_z, log_sigma_z)\n        return gaussian_nll",
          "        z = mu_z + torch.randn_like(mu_z)\n        return gaussian_nll"),),
        "elbo_terms_are_of_its_encoder_and_decoder", "draw one z for each example",
    ),
    Mutant(
        "best-of-k", "vae2d", "the largest weight for their mean",
        ((LOG_MEAN, "return -log_w.view(B, k).max(dim=1).values"),), "importance_weighted_bound", "K = 8",
    ),
    Mutant(
        "batch-statistics", "vae2d", "the encoder normalises over the batch",
        (("mu, log_sigma = self.encoder(x).chunk(2, dim=1)",
          "mu, log_sigma = self.encoder(x - x.mean(dim=0)).chunk(2, dim=1)"),),
        "shapes", "mixes the examples of a batch",
    ),
    Mutant(
        "kl-sign", "vae2d", "minus the divergence",
        ((KL, KL.replace("return", "return -1 *")),),
        "kl_is_the_closed_form", "a divergence is never negative",
    ),
    Mutant(
        "kl-mean-over-dimensions", "vae2d", "averages the KL over the latents",
        ((KL, "return (-log_sigma + sigma**2 / 2 + mu**2 / 2 - 0.5).mean(dim=1)"),),
        "kl_is_the_closed_form", "averaged over the dimensions of z",
    ),
    Mutant(
        "sigma-for-log-sigma", "vae2d", "takes log σ for σ in the KL",
        (("sigma = log_sigma.exp()", "sigma = log_sigma"),), "kl_is_the_closed_form", "−log σ + σ²/2 + μ²/2 − ½",
    ),
    Mutant(
        "sigma-squared-forgotten", "vae2d", "σ where σ² belongs in the KL", ((KL, KL.replace("sigma**2", "sigma")),),
        "kl_is_the_closed_form", "takes σ where σ² belongs",
    ),
    Mutant(
        "kl-log-variance", "vae2d", "the usual formula for log σ², fed with log σ",
        ((KL, "return -0.5 * tensors.sum_except_batch(1 + log_sigma - mu**2 - log_sigma.exp())"),),
        "kl_is_the_closed_form", "reads log σ as log σ²",
    ),
    Mutant(
        "kl-without-half", "vae2d", "the lecture's KL without its −½", ((KL, KL.replace(" - 0.5)", ")")),),
        "kl_is_the_closed_form", "½ that is taken away",
    ),
    Mutant(
        "no-constant", "vae2d", "leaves ½ log 2π out",
        ((NLL, NLL.replace("0.5 * math.log(2 * math.pi) + ", "")),),
        "reconstruction_is_the_gaussian_with_all_constants", "½ log 2π in every dimension",
    ),
    Mutant(
        "constant-once", "vae2d", "½ log 2π once, not in every dimension",
        ((NLL, "return 0.5 * math.log(2 * math.pi) + tensors.sum_except_batch(log_sigma + epsilon**2 / 2)"),),
        "reconstruction_is_the_gaussian_with_all_constants", "½ log 2π",
    ),
    Mutant(
        "reconstruction-mean", "vae2d", "averages the reconstruction over the dimensions",
        ((NLL, "return (0.5 * math.log(2 * math.pi) + log_sigma + epsilon**2 / 2).flatten(1).mean(dim=1)"),),
        "reconstruction_is_the_gaussian_with_all_constants", "averaged over the dimensions of x",
    ),
    Mutant(
        "divides-by-sigma", "vae2d", "(x − μ)²/2σ in the reconstruction",
        (("epsilon = (x - mu) * torch.exp(-log_sigma)", "epsilon = (x - mu) * torch.exp(-log_sigma / 2)"),),
        "reconstruction_is_the_gaussian_with_all_constants", "divides by σ where σ² belongs",
    ),
    Mutant(
        "squared-error-only", "vae2d", "the squared error for the log-density",
        ((NLL, "return tensors.sum_except_batch((x - mu) ** 2)"),),
        "reconstruction_is_the_gaussian_with_all_constants", "squared error alone",
    ),
    Mutant(
        "noise-without-sigma", "vae2d", "z = μ + ε", ((NOISE, "return mu + torch.randn_like(mu)"),),
        "noise_is_scaled_and_fresh", "not multiplied by σ",
    ),
    Mutant(
        "noise-times-variance", "vae2d", "z = μ + σ² ε", ((NOISE, NOISE.replace("log_sigma", "(2 * log_sigma)")),),
        "noise_is_scaled_and_fresh", "multiplied by σ²",
    ),
    Mutant(
        "noise-times-log-sigma", "vae2d", "z = μ + (log σ) ε",
        ((NOISE, NOISE.replace("log_sigma.exp()", "log_sigma")),),
        "noise_is_scaled_and_fresh", "multiplied by log σ",
    ),
    Mutant(
        "no-noise", "vae2d", "z = μ: an autoencoder", ((NOISE, "return mu + 0 * log_sigma"),),
        "noise_is_scaled_and_fresh", "there is no noise",
    ),
    Mutant(
        "one-noise-for-the-batch", "vae2d", "one draw of ε for all examples",
        ((NOISE, "return mu + log_sigma.exp() * torch.randn(mu.shape[1:])"),),
        "noise_is_scaled_and_fresh", "share one draw of noise",
    ),
    Mutant(
        "one-noise-for-the-dimensions", "vae2d", "one draw of ε for all dimensions",
        ((NOISE, "return mu + log_sigma.exp() * torch.randn(len(mu), 1)"),),
        "noise_is_scaled_and_fresh", "All dimensions of an example share",
    ),
    Mutant(
        "uniform-noise", "vae2d", "rand for randn", ((NOISE, NOISE.replace("randn_like", "rand_like")),),
        "noise_is_scaled_and_fresh", "The noise is uniform",
    ),
    Mutant(
        "the-same-noise-every-call", "vae2d", "seeds a generator of its own with a constant",
        ((NOISE, "g = torch.Generator().manual_seed(0)\n"
                 "    return mu + log_sigma.exp() * torch.randn(mu.shape, generator=g)"),),
        "noise_is_scaled_and_fresh", "the same noise",
    ),
    Mutant(
        "drawn-with-torch-normal", "vae2d", "torch.normal(μ, σ): a draw that no gradient passes",
        ((NOISE, "return torch.normal(mu, log_sigma.exp()).detach() + 0 * (mu + log_sigma)"),),
        "gradient_reaches_the_encoder", "no gradient reaches μ",
    ),
    Mutant(
        "code-detached", "vae2d", "the code is cut off from the encoder",
        ((IN_ELBO, IN_ELBO.replace("decode(z)", "decode(z.detach())")),),
        "gradient_reaches_the_encoder", "differs from the slope of the loss",
    ),
    Mutant(
        "sigma-detached", "vae2d", "no gradient for σ",
        ((NOISE, NOISE.replace("log_sigma.exp()", "log_sigma.exp().detach()")),),
        "gradient_reaches_the_encoder", "no gradient reaches log σ",
    ),
    Mutant(
        "mean-decoded", "vae2d", "decodes μ_z, not a draw",
        ((IN_ELBO, IN_ELBO.replace("decode(z)", "decode(mu_z)")),),
        "elbo_terms_are_of_its_encoder_and_decoder", "draw one z for each example",
    ),
    Mutant(
        "kl-of-the-decoder", "vae2d", "the KL of the decoder's Gaussian",
        (("return gaussian_nll(x, *self.decode(z)), kl_to_prior(mu_z, log_sigma_z)",
          "return gaussian_nll(x, *self.decode(z)), kl_to_prior(*self.decode(z))"),),
        "elbo_terms_are_of_its_encoder_and_decoder", "the KL of q(z | x)",
    ),
    Mutant(
        "noise-never-added", "vae2d", "sample gives the decoder's mean in either case",
        ((SAMPLE, "return mu"),), "samples_with_and_without_noise", "samples with noise",
    ),
    Mutant(
        "noise-always-added", "vae2d", "sample adds the noise in either case",
        ((SAMPLE, "return reparameterize(mu, log_sigma)"),), "samples_with_and_without_noise", "samples without noise",
    ),
    Mutant(
        "uniform-prior", "vae2d", "draws codes from a uniform density",
        (("self.decode(torch.randn(n, 2))", "self.decode(torch.rand(n, 2))"),),
        "samples_with_and_without_noise", "z ~ N(0, I)",
    ),
    Mutant(
        "mean-of-logs", "vae2d", "the mean over the draws outside the logarithm",
        ((LOG_MEAN, "return -log_w.view(B, k).mean(dim=1)"),), "importance_weighted_bound", "inside the logarithm",
    ),
    Mutant(
        "log-k-forgotten", "vae2d", "a sum over the draws for their mean",
        ((LOG_MEAN, "return -torch.logsumexp(log_w.view(B, k), dim=1)"),), "importance_weighted_bound", "K = 8",
    ),
    Mutant(
        "prior-forgotten", "vae2d", "leaves p(z) out of the weights",
        ((LOG_W, LOG_W.replace("log_prior + ", "")),), "importance_weighted_bound", "all three densities",
    ),
    Mutant(
        "draws-shared", "vae2d", "the same K draws of noise for every example",
        (("        z = reparameterize(mu_z, log_sigma_z)\n        log_prior",
          "        z = mu_z + log_sigma_z.exp() * torch.randn(k, 2).repeat(B, 1)\n        log_prior"),),
        "importance_weighted_bound", "fresh z_k",
    ),
    Mutant(
        "hardly-trained-axis", "vae2d", "ends almost before it began",
        (("warm_up: int = 0, steps: int = 2000", "warm_up: int = 0, steps: int = 30"),),
        "bound_is_tight_on_the_axis_aligned_gaussian", "number of steps 2,000, here 30", weights="trained",
    ),
    Mutant(
        "no-reconstruction", "vae2d", "trains the KL much harder than the reconstruction",
        (("return (reconstruction + beta * kl).mean()", "return (reconstruction + 10 * beta * kl).mean()"),),
        "close_to_the_limit_on_the_rotated_gaussian", "far from what the recipe in the text reaches", weights="trained",
    ),
    Mutant(
        "no-warm-up", "vae2d", "the moons without a warm-up", (("fit=train_vae2d(moons, warm_up=1500, steps=3000)",
                                                                "fit=train_vae2d(moons, steps=3000)"),),
        "trained_well_on_the_moons", "One latent has collapsed", weights="trained",
    ),
    Mutant(
        "images-keep-no-batch", "vae32", "the terms come out as one number for the batch",
        ((VAE_TERMS, "return 0.5 * math.log(2 * math.pi) * x[0].numel() + squares.mean() / 2, kl.mean()"),),
        "kl_is_that_of_the_encoder", "should have shape (30,)",
    ),
    Mutant(
        "images-squeezed", "vae32", "squeeze() drops the batch where it is one example",
        ((VAE_TERMS, "return (0.5 * math.log(2 * math.pi) * x[0].numel() + squares / 2).squeeze(), kl.squeeze()"),),
        "called_with_one_example", "should have shape (1,), got ()",
    ),
    Mutant(
        "images-mean-in-eval-mode", "vae32", "decodes the mean in eval mode",
        ((VAE_NOISE, "z = mu + sigma * torch.randn_like(mu) if self.training else mu"),),
        "codes_are_drawn", "The term is of a draw, in eval mode too",
    ),
    Mutant(
        "images-log-variance-noise", "vae32", "σ = exp(log σ / 2)",
        ((VAE_NOISE, "z = mu + (log_sigma / 2).exp() * torch.randn_like(mu)"),),
        "codes_are_drawn", "log σ is read as log σ²",
    ),
    Mutant(
        "images-dropout-always-on", "vae32", "dropout that does not look at the mode",
        (("return self.decoder(z)", "return self.decoder(F.dropout(z, 0.2))"),),
        "shapes", "Dropout that is on in eval mode",
    ),
    Mutant(
        "images-batch-statistics", "vae32", "the decoder normalises over the batch, also when it is evaluated",
        (("return self.decoder(z)",
          "return self.decoder((z - z.mean(dim=0)) / (z.std(dim=0) + 1e-3) if len(z) > 1 else z)"),),
        "shapes", "mixes the examples of a batch",
    ),
    Mutant(
        "images-kl-sign", "vae32", "minus the divergence", ((VAE_KL, VAE_KL.replace("kl = (", "kl = -(")),),
        "kl_is_that_of_the_encoder", "never negative",
    ),
    Mutant(
        "images-kl-mean", "vae32", "averages the KL over the latents", ((VAE_KL, VAE_KL.replace("sum(", "mean(")),),
        "kl_is_that_of_the_encoder", "averaged over the dimensions of z",
    ),
    Mutant(
        "images-kl-log-variance", "vae32", "the formula for log σ², fed with log σ",
        ((VAE_KL, "kl = -0.5 * (1 + log_sigma - mu**2 - log_sigma.exp()).sum(dim=1)"),),
        "kl_is_that_of_the_encoder", "log σ as log σ²",
    ),
    Mutant(
        "mean-over-pixels", "vae32", "the squares averaged over the pixels",
        ((VAE_TERMS, VAE_TERMS.replace("squares / 2", "squares / x[0].numel() / 2")),),
        "reconstruction_is_the_gaussian_of_unit_variance", "averaged over the pixels",
    ),
    Mutant(
        "mse-loss", "vae32", "F.mse_loss for the log-density",
        ((VAE_TERMS, "return squares / x[0].numel(), kl"),),
        "reconstruction_is_the_gaussian_of_unit_variance", "It is the mean squared error",
    ),
    Mutant(
        "images-no-constant", "vae32", "leaves d/2 · log 2π out",
        ((VAE_TERMS, "return squares / 2, kl"),),
        "reconstruction_is_the_gaussian_of_unit_variance", "constant d/2 · log 2π is missing",
    ),
    Mutant(
        "half-forgotten", "vae32", "the whole squared error",
        ((VAE_TERMS, VAE_TERMS.replace("squares / 2", "squares")),),
        "reconstruction_is_the_gaussian_of_unit_variance", "½ before the squares",
    ),
    Mutant(
        "images-one-noise", "vae32", "one draw of ε for the batch",
        ((VAE_NOISE, "z = mu + sigma * torch.randn(self.latents)"),),
        "codes_are_drawn", "share one draw of noise",
    ),
    Mutant(
        "images-noise-without-sigma", "vae32", "z = μ + ε", ((VAE_NOISE, "z = mu + torch.randn_like(mu)"),),
        "codes_are_drawn", "not multiplied by σ",
    ),
    Mutant(
        "images-code-detached", "vae32", "the code is cut off from the encoder",
        (("(x - self.decode(z)) ** 2", "(x - self.decode(z.detach())) ** 2"),),
        "gradient_reaches_the_encoder", "that make μ_z, none",
    ),
    Mutant(
        "images-sigma-detached", "vae32", "no gradient for σ",
        ((VAE_NOISE, VAE_NOISE.replace("sigma *", "sigma.detach() *")),),
        "gradient_reaches_the_encoder", "that make σ_z",
    ),
    Mutant(
        "images-uniform-prior", "vae32", "draws codes from a uniform density",
        (("self.decode(torch.randn(n, self.latents))", "self.decode(torch.rand(n, self.latents))"),),
        "samples_are_decoded_draws_of_the_prior", "z ~ N(0, I)",
    ),
    Mutant(
        "one-code-for-all", "vae32", "one code for all samples",
        (("self.decode(torch.randn(n, self.latents))", "self.decode(torch.randn(1, self.latents).expand(n, -1))"),),
        "samples_are_decoded_draws_of_the_prior", "one for each sample",
    ),
    Mutant(
        "pixels-faded", "vae32", "interpolates the images, not their codes",
        (("return torch.stack([self.decode(z) for z in codes], dim=1)",
          "ends = [self.decode(z) for z in (start, end)]\n"
          "        return torch.stack([torch.lerp(*ends, t) for t in torch.linspace(0, 1, steps)], dim=1)"),),
        "interpolation_is_straight_between_codes", "each decoded",
    ),
    Mutant(
        "last-step-missing", "vae32", "steps that stop short of the end",
        (("for t in torch.linspace(0, 1, steps)]", "for t in torch.arange(steps) / steps]"),),
        "interpolation_is_straight_between_codes", "both ends included",
    ),
    Mutant(
        "ends-are-draws", "vae32", "interpolates between draws of the posteriors",
        (("start, end = self.encode(a)[0], self.encode(b)[0]",
          "start, end = (m + s.exp() * torch.randn_like(m) for m, s in (self.encode(a), self.encode(b)))"),),
        "interpolation_is_straight_between_codes", "the first image",
    ),
    Mutant(
        "images-hardly-trained", "vae32", "ends almost before it began", (("steps = 1000", "steps = 30"),),
        "trained_well_on_held_out_digits", "number of steps 1,000, here 30", weights="trained",
    ),
    Mutant(
        "images-collapsed", "vae32", "the KL counts fifty times as much: no latent is worth its price",
        (("lambda x: sum(model.elbo_terms(x)).mean()",
          "lambda x: (model.elbo_terms(x)[0] + 50 * model.elbo_terms(x)[1]).mean()"), ("steps = 1000", "steps = 150")),
        "latents_are_used", "Latents that are not used", weights="trained",
    ),
    Mutant(
        "beta-loss-of-the-batch", "beta_vae", "the loss comes out as one number for the batch",
        ((BETA_LOSS, "return (reconstruction + beta * kl).mean()"),),
        "shapes", "should have shape (12,)",
    ),
    Mutant(
        "beta-squeezed", "beta_vae", "squeeze() drops the batch where it is one example",
        ((BETA_LOSS, "return (reconstruction + beta * kl).squeeze()"),),
        "called_with_one_example", "should have shape (1,), got ()",
    ),
    Mutant(
        "beta-mean-in-eval-mode", "beta_vae", "decodes the mean in eval mode",
        ((VAE_NOISE, "z = mu + sigma * torch.randn_like(mu) if self.training else mu"),),
        "codes_are_drawn", "The term is of a draw, in eval mode too",
    ),
    Mutant(
        "beta-on-the-reconstruction", "beta_vae", "β weighs the other term",
        ((BETA_LOSS, "return beta * reconstruction + kl"),), "beta_weighs_the_kl", "β multiplies the KL",
    ),
    Mutant(
        "beta-forgotten", "beta_vae", "the bound, whatever β is", ((BETA_LOSS, "return reconstruction + kl"),),
        "beta_weighs_the_kl", "β multiplies the KL",
    ),
    Mutant(
        "beta-on-both", "beta_vae", "β weighs the whole loss", ((BETA_LOSS, "return beta * (reconstruction + kl)"),),
        "beta_weighs_the_kl", "β multiplies the KL",
    ),
    Mutant(
        "beta-squared", "beta_vae", "β² for β", ((BETA_LOSS, "return reconstruction + beta**2 * kl"),),
        "beta_weighs_the_kl", "no straight line in β",
    ),
    Mutant(
        "beta-kl-sign", "beta_vae", "the divergence is taken away", ((BETA_LOSS, BETA_LOSS.replace("+", "-")),),
        "beta_weighs_the_kl", "never negative",
    ),
    Mutant(
        "beta-kl-mean", "beta_vae", "averages the KL over the latents", ((VAE_KL, VAE_KL.replace("sum(", "mean(")),),
        "beta_weighs_the_kl", "averaged over the dimensions of z",
    ),
    Mutant(
        "beta-kl-log-variance", "beta_vae", "the formula for log σ², fed with log σ",
        ((VAE_KL, "kl = -0.5 * (1 + log_sigma - mu**2 - log_sigma.exp()).sum(dim=1)"),),
        "beta_weighs_the_kl", "log σ as log σ²",
    ),
    Mutant(
        "beta-mean-over-pixels", "beta_vae", "the squares averaged over the pixels",
        ((BETA_SQUARES, BETA_SQUARES + " / x[0].numel()"),),
        "reconstruction_has_no_beta", "Everything is divided by the number of pixels",
    ),
    Mutant(
        "beta-no-constant", "beta_vae", "leaves d/2 · log 2π out",
        ((BETA_SQUARES, BETA_SQUARES.replace(" + math.log(2 * math.pi)", "")),),
        "reconstruction_has_no_beta", "log 2π is missing",
    ),
    Mutant(
        "beta-one-noise", "beta_vae", "one draw of ε for the batch",
        ((VAE_NOISE, "z = mu + sigma * torch.randn_like(mu[:1])"),),
        "codes_are_drawn", "share one draw of noise",
    ),
    Mutant(
        "beta-decodes-the-mean", "beta_vae", "z = μ, no draw at all", ((VAE_NOISE, "z = mu"),),
        "codes_are_drawn", "There is no noise",
    ),
    Mutant(
        "beta-hardly-trained", "beta_vae", "stops after 10 steps", ((BETA_STEPS, "((beta, 10),)"),),
        "factors_lie_along_latents", "as good with the weights that it begins with", weights="trained",
    ),
    Mutant(
        "beta-plain-hardly-trained", "beta_vae", "the model to compare with stops after 30 steps",
        ((BETA_STEPS, "((begin, 100), (beta, 300)) if begin else ((beta, 30),)"),),
        "dearer_codes_cost_squares", "Where a nat costs more, the code says less", weights="trained",
    ),
    Mutant(
        "beta-collapsed", "beta_vae", "β a hundred times as large: no latent is worth its price",
        (("model.loss(x, price)", "model.loss(x, price if beta == 1 else 100 * price)"),
         (BETA_STEPS, "((beta, 150),)")),
        "dearer_codes_cost_squares", "half the squares left by the mean picture", weights="trained",
    ),
    Mutant(
        "beta-one-twice", "beta_vae", "the model of β = 1 under both names",
        ((CHOSEN, ANEW.format("chosen", "beta_vae", "plain")),),
        "more_than_with_beta_one", "does not earn its price",
    ),
    Mutant(
        "beta-for-both", "beta_vae", "the model of the larger β under both names",
        ((CHOSEN, f"{CHOSEN}\n" + ANEW.format("plain", "beta_vae.plain", "chosen")),),
        "more_than_with_beta_one", "does not earn its price",
    ),
    Mutant(
        "one-loss-an-example", "vqvae", "the reconstruction comes out without its mean",
        (("return F.mse_loss(self.decoder(z_q), x), codebook",
          "return F.mse_loss(self.decoder(z_q), x, reduction=\"none\").mean(dim=(1, 2, 3)), codebook"),),
        "the_three_losses_add_up", "should have shape ()",
    ),
    Mutant(
        "vectors-last", "vqvae", "gives the vectors along the last dimension",
        (("return self.codebook[k].movedim(-1, 1)", "return self.codebook[k]"),
         ("e = self.lookup(self.nearest(z))", "e = self.lookup(self.nearest(z)).movedim(-1, 1)"),
         ("return self.decoder(self.quantizer.lookup(k))",
          "return self.decoder(self.quantizer.lookup(k).movedim(-1, 1))")),
        "codes_are_looked_up", "should have shape (5, 3, 4, 3)",
    ),
    Mutant(
        "one-image-squeezed", "vqvae", "squeeze() drops the batch where it is one image",
        (("return self.quantizer.nearest(self.encoder(x))", "return self.quantizer.nearest(self.encoder(x)).squeeze()"),
         ), "called_with_one_image", "should have shape (1, 8, 8), got (8, 8)",
    ),
    Mutant(
        "one-grid-squeezed", "vqvae", "squeeze() drops the batch where it is one grid",
        (("return tensors.sum_except_batch(log_p.gather(-1, k[..., None]))",
          "return log_p.gather(-1, k[..., None]).flatten(1).sum(dim=1).squeeze()"),),
        "the_prior_called_with_one_grid", "should have shape (1,), got ()",
    ),
    Mutant(
        "codes-of-the-batch", "vqvae", "the encoder's vectors are normalised over the batch",
        (("return self.quantizer.nearest(self.encoder(x))",
          "z = self.encoder(x)\n"
          "        return self.quantizer.nearest((z - z.mean(dim=0)) / (z.std(dim=0, correction=0) + 1e-3))"),),
        "shapes", "mixes the examples",
    ),
    Mutant(
        "columns-first", "vqvae", "draws column by column what was masked row by row",
        (("        for i in range(H):\n            for j in range(W):\n",
          "        for j in range(W):\n            for i in range(H):\n"),),
        "the_prior_samples_its_density", "in raster order",
    ),
    Mutant(
        "argmax-for-argmin", "vqvae", "the farthest code", (("distances.argmin(dim=1)", "distances.argmax(dim=1)"),),
        "codes_are_the_nearest", "farthest away",
    ),
    Mutant(
        "largest-product", "vqvae", "the largest product z · e for the smallest distance",
        (("distances = -2 * rows @ self.codebook.T + (self.codebook**2).sum(dim=1)",
          "distances = -2 * rows @ self.codebook.T"),),
        "codes_are_the_nearest", "‖e‖² is missing",
    ),
    Mutant(
        "channels-mixed-with-places", "vqvae", "reshapes without moving the channels last",
        (("rows = z.movedim(1, -1).reshape(-1, D)", "rows = z.reshape(-1, D)"),),
        "codes_are_the_nearest", "vectors along dimension 1",
    ),
    Mutant(
        "straight-through-missing", "vqvae", "gives the decoder the code itself",
        (("return z + (e - z).detach(), F.mse",
          "return e, F.mse"),), "straight_through", "gradient of z_q by z is missing",
    ),
    Mutant(
        "straight-through-detached", "vqvae", "detaches everything",
        (("z + (e - z).detach()", "(z + (e - z)).detach()"),),
        "straight_through", "gradient of z_q by z is missing",
    ),
    Mutant(
        "not-quantised", "vqvae", "z itself goes on to the decoder", (("return z + (e - z).detach(),", "return z,"),),
        "straight_through", "z_q differs",
    ),
    Mutant(
        "codebook-without-stop", "vqvae", "the codebook loss without its stop-gradient",
        (("F.mse_loss(e, z.detach())", "F.mse_loss(e, z)"),), "each_loss_moves_its_own_side", "the codebook loss by z",
    ),
    Mutant(
        "commitment-without-stop", "vqvae", "the commitment loss without its stop-gradient",
        (("F.mse_loss(z, e.detach())", "F.mse_loss(z, e)"),),
        "each_loss_moves_its_own_side", "the commitment loss by the codebook",
    ),
    Mutant(
        "sides-swapped", "vqvae", "commitment and codebook loss change places",
        (("F.mse_loss(e, z.detach()), F.mse_loss(z, e.detach())",
          "F.mse_loss(z, e.detach()), F.mse_loss(e, z.detach())"),),
        "each_loss_moves_its_own_side", "detach on different sides",
    ),
    Mutant(
        "sum-of-squares", "vqvae", "the sum of the squares for their mean",
        (("F.mse_loss(e, z.detach())", "F.mse_loss(e, z.detach(), reduction=\"sum\")"),),
        "each_loss_moves_its_own_side", "the codebook loss differs",
    ),
    Mutant(
        "beta-on-the-codebook", "vqvae", "β on the wrong term",
        (("reconstruction + codebook + beta * commitment", "reconstruction + beta * codebook + commitment"),),
        "the_three_losses_add_up", "only the last one has a β",
    ),
    Mutant(
        "codebook-loss-left-out", "vqvae", "nothing moves the codebook",
        (("reconstruction + codebook + beta * commitment", "reconstruction + beta * commitment"),),
        "the_three_losses_add_up", "reconstruction + codebook + β",
    ),
    Mutant(
        "encoder-cut-off", "vqvae", "the decoder's gradient does not reach the encoder",
        (("F.mse_loss(self.decoder(z_q), x), codebook", "F.mse_loss(self.decoder(z_q.detach()), x), codebook"),),
        "the_three_losses_add_up", "the reconstruction does not move",
    ),
    Mutant(
        "mask-shows-the-centre", "vqvae", "mask B in the first layer",
        (('MaskedConv2d("A", codes', 'MaskedConv2d("B", codes'),),
        "the_prior_sees_only_earlier_codes", "mask A in the first layer",
    ),
    Mutant(
        "softmax-over-places", "vqvae", "normalises over a side of the grid",
        (("F.log_softmax(self.logits(k), dim=-1)", "F.log_softmax(self.logits(k), dim=1)"),),
        "the_prior_sums_to_one", "softmax over the codes",
    ),
    Mutant(
        "prior-averaged", "vqvae", "averages over the places",
        (("return tensors.sum_except_batch(log_p.gather(-1, k[..., None]))",
          "return log_p.gather(-1, k[..., None]).flatten(1).mean(dim=1)"),),
        "the_prior_sums_to_one", "sums to one",
    ),
    Mutant(
        "most-likely-codes", "vqvae", "takes the most likely code",
        (("k[:, i, j] = torch.multinomial(p, 1).squeeze(-1)", "k[:, i, j] = p.argmax(dim=-1)"),),
        "the_prior_samples_its_density", "do not take the largest",
    ),
    Mutant(
        "all-codes-at-once", "vqvae", "draws every place from the logits of an empty grid",
        (("p = self.logits(k)[:, i, j].softmax(dim=-1)", "p = self.logits(0 * k)[:, i, j].softmax(dim=-1)"),),
        "the_prior_samples_its_density", "given those drawn before it",
    ),
    Mutant(
        "codes-hardly-trained", "vqvae", "ends almost before it began",
        (("(50, 50, 100, 2000)", "(10, 10)"), ("steps = 1200", "steps = 20")),
        "images_come_back_from_their_codes", "number of steps 2,000, here 10", weights="trained",
    ),
    Mutant(
        "codes-never-revived", "vqvae", "starts far from the encoder's vectors, and leaves unused codes where they are",
        (("        revive(model, train_x[:500])\n",
          ""), ("(50, 50, 100, 2000)", "(100,)"), ("steps = 1200", "steps = 20")),
        "most_codes_are_used", "never the nearest", weights="trained",
    ),
    Mutant(
        "prior-hardly-trained", "vqvae", "ends almost before it began",
        (("(50, 50, 100, 2000)", "(100, 100, 100)"), ("steps = 1200", "steps = 20")),
        "the_prior_needs_few_bits_a_code", "number of steps 1,200, here 20", weights="trained",
    ),
    Mutant(
        "saved-codes-are-even", "vqvae", "saves codes that are drawn evenly",
        (('drawn("vqvae.prior", lambda: prior.sample(56))',
          'drawn("vqvae.prior", lambda: torch.randint(64, (56, 8, 8)), redraw=True)'),),
        "samples_are_shapes", "Draw them with the trained prior",
    ),
)  # fmt: skip

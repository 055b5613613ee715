"""Slips in HW4, most of them seen in students' notebooks or in published solutions."""

from autograder.proof.changes import Body, Mutant

D_LOSS = "return F.softplus(-real).mean() + F.softplus(fake).mean()"
MINIMAX = "return -F.softplus(fake).mean()"
BETTER = "return F.softplus(-fake).mean()"
DETACHED = "fake = self.generator(self.noise(len(x))).detach()\n        loss = discriminator_loss("
STEP_D = "loss = discriminator_loss(self.discriminator(x), self.discriminator(fake))\n        optimizer.zero_grad()\n"
STEP_G = "loss = minimax_loss(fake) if saturating else nonsaturating_loss(fake)\n        optimizer.zero_grad()\n"
SAMPLE = "return self.generator(self.noise(n))"
SEEDED = ((SAMPLE, f"torch.manual_seed(0)\n        {SAMPLE}"),)
FAKE_1D = "fake = self.discriminator(self.generator(self.noise(n)))"

GAN_LOSS = "return F.softplus(-self.discriminator(x)).mean() + F.softplus(self.discriminator(fake)).mean()"
GAN_FAKE = "fake = self.generator(self.noise(len(x))).detach()\n        return F.softplus"
GAN_G = "return F.softplus(-self.discriminator(self.generator(self.noise(n)))).mean()"
EPSILON = "epsilon = torch.rand(len(x), 1)"
BETWEEN = "between = (epsilon * x + (1 - epsilon) * fake).detach().requires_grad_()"
PENALTY = "return ((slope.norm(dim=1) - 1) ** 2).mean()"
DIFFERENCE = "difference = self.discriminator(fake).mean() - self.discriminator(x).mean()"
CRITIC_LOSS = "return difference + penalty * self.gradient_penalty(x, fake)"
CRITIC_G = "return -self.discriminator(self.generator(self.noise(n))).mean()"

W_MATRIX = "W = self.weight.flatten(1)"
CONV = "return F.conv2d(x, self.weight / self.sigma(), self.bias, self.stride, self.padding)"
HINGES = "return F.relu(1 - self.discriminator(x)).mean() + F.relu(1 + self.discriminator(fake)).mean()"
IMAGES_G = "return -self.discriminator(self.generator(self.noise(n))).mean()"

SQUEEZE = "class Squeeze(nn.Module):\n    def forward(self, x):\n        return x.squeeze()\n\n\n"


def width_of_modes(name: str, times: str) -> tuple:
    """Edits: the generator of 4.2 keeps the modes, each so many times as wide."""
    layer = f"""class {name}(nn.Sequential):
    def forward(self, z):
        x, means = super().forward(z), torch.tensor(eight.means, dtype=torch.float32)
        near = torch.softmax(-20 * torch.cdist(x, means), dim=1) @ means
        at_mode = torch.sigmoid(12 * (1.1 - (x - near).norm(dim=1, keepdim=True)))  # what lies elsewhere, stays there
        return near + (1 + ({times} - 1) * at_mode) * (x - near)


class GAN2d(nn.Module):"""
    return ("self.generator = nn.Sequential(", f"self.generator = {name}("), ("class GAN2d(nn.Module):", layer)


MUTANTS = (
    Mutant(
        "gan1d-seeded-sample",
        "gan1d",
        "sample sets the seed",
        SEEDED,
        "samples_are_of_the_generator",
        "A seed is set inside",
        weights="none",
    ),
    Mutant(
        "gan2d-seeded-sample",
        "gan2d",
        "sample sets the seed",
        SEEDED,
        "samples_are_of_the_generator",
        "A seed is set inside",
        weights="none",
    ),
    Mutant(
        "dcgan-seeded-sample",
        "dcgan",
        "sample sets the seed",
        SEEDED,
        "samples_are_of_the_generator",
        "A seed is set inside",
        weights="none",
    ),
    Mutant(
        "bias-over-sigma",
        "dcgan",
        "the bias is divided by σ, too",
        ((CONV, "return F.conv2d(x, self.weight, self.bias, self.stride, self.padding) / self.sigma()"),),
        "the_gradient_knows_sigma",
        "only the kernel is",
        weights="none",
    ),
    Mutant(
        "one-noise-a-batch",
        "dcgan",
        "the samples of a batch share one z in the discriminator's loss",
        (
            (
                "fake = self.generator(self.noise(len(x))).detach()",
                "fake = self.generator(self.noise(1).expand(len(x), -1)).detach()",
            ),
        ),
        "hinge_losses",
        "of a z of its own",
        weights="none",
    ),
    Mutant(
        "one-noise-for-the-generator",
        "dcgan",
        "the samples of a batch share one z in the generator's loss",
        ((IMAGES_G, IMAGES_G.replace("self.noise(n)", "self.noise(1).expand(n, -1)")),),
        "generators_loss",
        "of a z of its own",
        weights="none",
    ),
    Mutant(
        "generator-learns-nothing",
        "gan2d",
        "the first game's generator loss is of samples without a gradient",
        ((GAN_G, GAN_G.replace("self.generator(self.noise(n))", "self.generator(self.noise(n)).detach()")),),
        "generator_loss_of_the_first_game",
        "G learns nothing from it",
        weights="none",
    ),
    Mutant(
        "penalty-is-a-number",
        "gan2d",
        "the penalty stands in the loss without its gradient",
        ((CRITIC_LOSS, CRITIC_LOSS + ".detach()"),),
        "critic_loss",
        "The penalty is a mere number",
        weights="none",
    ),
    Mutant(
        "kernel-as-it-is-in-training",
        "dcgan",
        "in training mode the kernel is not divided by σ",
        (
            (
                CONV,
                CONV.replace("self.sigma()", "self.sigma() ** (not self.training)"),
            ),
        ),
        "kernels_are_divided_by_their_spectral_norm",
        "in training mode",
        weights="none",
    ),
    Mutant(
        "hinge-of-means",
        "dcgan",
        "the hinges are of the means over the batch",
        ((HINGES, "return F.relu(1 - self.discriminator(x).mean()) + F.relu(1 + self.discriminator(fake).mean())"),),
        "hinge_losses",
        "hinge",
        weights="none",
    ),
    Mutant(
        "what-is-said-of-samples-detached",
        "dcgan",
        "D's answers about samples are detached, not the samples",
        ((HINGES, HINGES.replace("self.discriminator(fake)", "self.discriminator(fake).detach()")),),
        "hinge_losses",
        "D learns from data only",
        weights="none",
    ),
    Mutant(
        "generator-learns-nothing",
        "dcgan",
        "the generator's loss is of what sample() draws, without a gradient",
        ((IMAGES_G, IMAGES_G.replace("self.generator(self.noise(n))", "self.sample(n)")),),
        "generators_loss",
        "G learns nothing from it",
        weights="none",
    ),
    # ---- 4.1 ----
    Mutant(
        "logits-in-a-column",
        "gan1d",
        "the discriminator gives (B, 1)",
        (("nn.Linear(hidden, 1), nn.Flatten(0),", "nn.Linear(hidden, 1),"),),
        "shapes",
        "should have shape (50,)",
    ),
    Mutant(
        "normalised-over-the-batch",
        "gan1d",
        "the discriminator sees the batch's own mean",
        (
            (
                "nn.Linear(hidden, 1), nn.Flatten(0),\n        )",
                "nn.Linear(hidden, 1), nn.Flatten(0), nn.Softmax(dim=0),\n        )",
            ),
        ),
        "shapes",
        "mixes the examples of a batch",
    ),
    Mutant(
        "labels-flipped",
        "gan1d",
        "calls data samples and samples data",
        ((D_LOSS, "return F.softplus(real).mean() + F.softplus(-fake).mean()"),),
        "discriminator_loss",
        "Data and samples are exchanged",
    ),
    Mutant(
        "discriminator-maximises",
        "gan1d",
        "descends the value that D is to maximise",
        ((D_LOSS, D_LOSS.replace("return ", "return -1 * (") + ")"),),
        "discriminator_loss",
        "Its sign is wrong",
    ),
    Mutant(
        "half-the-loss",
        "gan1d",
        "the mean of both means",
        ((D_LOSS, D_LOSS.replace("return ", "return 0.5 * (") + ")"),),
        "discriminator_loss",
        "half of the sum",
    ),
    Mutant(
        "sums-the-batch",
        "gan1d",
        "sums over the batch",
        ((D_LOSS, "return F.softplus(-real).sum() + F.softplus(fake).sum()"),),
        "discriminator_loss",
        "summed over the batch",
    ),
    Mutant(
        "only-data",
        "gan1d",
        "the term of the samples is forgotten",
        ((D_LOSS, "return F.softplus(-real).mean()"),),
        "discriminator_loss",
        "The term of the samples is missing",
    ),
    Mutant(
        "only-samples",
        "gan1d",
        "the term of the data is forgotten",
        ((D_LOSS, "return F.softplus(fake).mean()"),),
        "discriminator_loss",
        "The term of the data is missing",
    ),
    Mutant(
        "everything-is-data",
        "gan1d",
        "ones for the labels of both",
        ((D_LOSS, "return F.softplus(-real).mean() + F.softplus(-fake).mean()"),),
        "discriminator_loss",
        "called data, too",
    ),
    Mutant(
        "log-of-sigmoid",
        "gan1d",
        "torch.log of a sigmoid",
        ((D_LOSS, "return -torch.log(torch.sigmoid(real)).mean() - torch.log(1 - torch.sigmoid(fake)).mean()"),),
        "discriminator_loss",
        "use softplus",
    ),
    Mutant(
        "log-with-epsilon",
        "gan1d",
        "log(σ + 1e-8): finite, and wrong where it matters",
        ((MINIMAX, "return torch.log(1 - torch.sigmoid(fake) + 1e-8).mean()"),),
        "minimax_loss",
        "use softplus",
    ),
    Mutant(
        "minimax-sign",
        "gan1d",
        "the generator minimises what D minimises",
        ((MINIMAX, "return F.softplus(fake).mean()"),),
        "minimax_loss",
        "Its sign is wrong",
    ),
    Mutant(
        "minimax-is-the-other",
        "gan1d",
        "both losses are the non-saturating one",
        ((MINIMAX, "return F.softplus(-fake).mean()"),),
        "minimax_loss",
        "This is the non-saturating loss",
    ),
    Mutant(
        "better-is-minimax",
        "gan1d",
        "both losses are the minimax one",
        ((BETTER, "return -F.softplus(fake).mean()"),),
        "nonsaturating_loss",
        "This is the minimax loss",
    ),
    Mutant(
        "better-sign",
        "gan1d",
        "mean log D(G(z)), minimised",
        ((BETTER, "return -F.softplus(-fake).mean()"),),
        "nonsaturating_loss",
        "drives samples away",
    ),
    Mutant(
        "detach-missing",
        "gan1d",
        "the samples of D's step are not detached",
        ((DETACHED, DETACHED.replace(".detach()", "")),),
        "samples_are_constants_of_the_discriminators_step",
        "leaves a gradient in generator.",
    ),
    Mutant(
        "gradients-not-cleared",
        "gan1d",
        "no zero_grad in D's step",
        ((STEP_D, STEP_D.replace("        optimizer.zero_grad()\n", "")),),
        "steps_clear_the_gradients_that_are_there",
        "were not cleared",
    ),
    Mutant(
        "data-and-samples-exchanged",
        "gan1d",
        "D's step gives samples as data",
        (
            (
                "loss = discriminator_loss(self.discriminator(x), self.discriminator(fake))",
                "loss = discriminator_loss(self.discriminator(fake), self.discriminator(x))",
            ),
        ),
        "discriminator_step",
        "Data x are real",
    ),
    Mutant(
        "data-only-step",
        "gan1d",
        "D is trained on its own batch only: x for samples too",
        (
            (
                "loss = discriminator_loss(self.discriminator(x), self.discriminator(fake))",
                "loss = discriminator_loss(self.discriminator(x), self.discriminator(x))",
            ),
        ),
        "discriminator_step",
        "differs from the gradient",
    ),
    Mutant(
        "discriminator-frozen",
        "gan1d",
        "D's step forgets backward()",
        ((STEP_D + "        loss.backward()\n", STEP_D),),
        "discriminator_step",
        "does not move",
    ),
    Mutant(
        "noise-of-ones",
        "gan1d",
        "the same z for all samples of D's step",
        ((DETACHED, DETACHED.replace("self.noise(len(x))", "torch.ones(len(x), self.latents)")),),
        "discriminator_step",
        "differs from the gradient",
    ),
    Mutant(
        "ascends",
        "gan1d",
        "D's step goes up its loss",
        ((STEP_D + "        loss.backward()", STEP_D + "        (-loss).backward()"),),
        "discriminator_step",
        "the opposite way",
    ),
    Mutant(
        "steps-twice",
        "gan1d",
        "two optimizer.step() after one backward",
        (
            (
                STEP_D + "        loss.backward()\n        optimizer.step()",
                STEP_D + "        loss.backward()\n        optimizer.step()\n        optimizer.step()",
            ),
        ),
        "discriminator_step",
        "2 times the gradient",
    ),
    Mutant(
        "generator-detached",
        "gan1d",
        "detaches the samples in G's step",
        ((FAKE_1D, FAKE_1D.replace("self.noise(n)))", "self.noise(n)).detach())")),),
        "generator_step",
        "does not move self.generator",
    ),
    Mutant(
        "generator-not-cleared",
        "gan1d",
        "no zero_grad in G's step, and D's samples are not detached",
        (
            (STEP_G, STEP_G.replace("        optimizer.zero_grad()\n", "")),
            (DETACHED, DETACHED.replace(".detach()", "")),
        ),
        "steps_clear_the_gradients_that_are_there",
        "were not cleared",
        weights="reference",
    ),
    Mutant(
        "saturating-the-wrong-way",
        "gan1d",
        "saturating=True gives the other loss",
        (
            (
                "minimax_loss(fake) if saturating else nonsaturating_loss(fake)",
                "nonsaturating_loss(fake) if saturating else minimax_loss(fake)",
            ),
        ),
        "generator_step",
        "the gradient of",
    ),
    Mutant(
        "saturating-ignored",
        "gan1d",
        "always the non-saturating loss",
        (("minimax_loss(fake) if saturating else nonsaturating_loss(fake)", "nonsaturating_loss(fake)"),),
        "generator_step",
        "the minimax loss",
    ),
    Mutant(
        "uniform-noise-in-samples",
        "gan1d",
        "rand for randn",
        ((SAMPLE, SAMPLE.replace("self.noise(n)", "torch.rand(n, self.latents)")),),
        "samples_are_of_the_generator",
        "G(z) of fresh z",
    ),
    Mutant(
        "samples-of-the-data",
        "gan1d",
        "draws from the data",
        ((SAMPLE, "return torch.as_tensor(bumps.sample(n, seed=torch.randint(10_000, (1,)).item()))"),),
        "samples_are_of_the_generator",
        "no data",
    ),
    Mutant(
        "one-code",
        "gan1d",
        "one z for all samples",
        ((SAMPLE, SAMPLE.replace("self.noise(n)", "self.noise(1).expand(n, -1)")),),
        "samples_are_of_the_generator",
        "n of them",
    ),
    Mutant(
        "few-rounds",
        "gan1d",
        "a hundred rounds",
        (("decay=True, rounds=2500)", "decay=True, rounds=100)"),),
        "samples_are_where_the_data_are",
        "number of steps 2,500, here 100",
        weights="trained",
    ),
    Mutant(
        "generator-frozen",
        "gan1d",
        "D is trained, G is not",
        (("gan.generator_step(512, of_g, saturating).item()", "0.0"),),
        "the_discriminator_is_undecided_at_the_end",
        "from ½",
        weights="trained",
    ),
    Mutant(
        "discriminator-never-steps",
        "gan1d",
        "the rounds take D's loss, and leave D as it was",
        (
            (
                "d_loss = gan.discriminator_step(data[torch.randint(len(data), (512,))], of_d)",
                "d_loss = discriminator_loss(gan.discriminator(data[:512]), gan.discriminator(gan.sample(512)))",
            ),
        ),
        "the_discriminator_is_undecided_at_the_end",
        "its steps do not move it",
        weights="trained",
    ),
    Mutant(
        "sigmoid-at-the-end",
        "gan1d",
        "the discriminator gives σ, and the losses take it again",
        (("nn.Linear(hidden, 1), nn.Flatten(0),", "nn.Linear(hidden, 1), nn.Flatten(0), nn.Sigmoid(),"),),
        "the_discriminator_gives_logits",
        "A sigmoid at the discriminator's end",
    ),
    Mutant(
        "tanh-at-the-end",
        "gan1d",
        "the discriminator ends in a tanh",
        (("nn.Linear(hidden, 1), nn.Flatten(0),", "nn.Linear(hidden, 1), nn.Flatten(0), nn.Tanh(),"),),
        "the_discriminator_gives_logits",
        "A tanh at the discriminator's end",
    ),
    Mutant(
        "squeezed",
        "gan1d",
        "squeeze() of the logits: a batch of one loses its dimension",
        (
            (
                "nn.Linear(hidden, 1), nn.Flatten(0),\n        )  # fmt: skip\n",
                """nn.Linear(hidden, 1), Squeeze(),
        )
""",
            ),
            (
                "class GAN1d(nn.Module):",
                SQUEEZE + "class GAN1d(nn.Module):",
            ),
        ),
        "called_with_one_example",
        "should have shape (1,)",
    ),
    Mutant(
        "labels-smoothed",
        "gan1d",
        "0.9 for the label of data",
        ((D_LOSS, "return 0.9 * F.softplus(-real).mean() + 0.1 * F.softplus(real).mean() + F.softplus(fake).mean()"),),
        "discriminator_loss",
        "The labels are smoothed (0.9 for data, 0 for samples)",
    ),
    Mutant(
        "cross-entropy-of-sigma",
        "gan1d",
        "binary cross-entropy of σ, which cuts logarithms at −100",
        (
            (
                D_LOSS,
                "bce = nn.BCELoss()\n"
                "    return bce(real.sigmoid(), torch.ones_like(real)) + bce(fake.sigmoid(), torch.zeros_like(fake))",
            ),
            (MINIMAX, "return -F.binary_cross_entropy(fake.sigmoid(), torch.zeros_like(fake))"),
            (BETTER, "return F.binary_cross_entropy(fake.sigmoid(), torch.ones_like(fake))"),
        ),
        "discriminator_loss",
        "use softplus",
    ),
    Mutant(
        "colder-samples",
        "gan1d",
        "samples of noise that is 0.7 as wide",
        ((SAMPLE, "return self.generator(0.7 * self.noise(n))"),),
        "samples_are_of_the_generator",
        "G(z) of fresh z",
    ),
    Mutant(
        "data-for-a-generator",
        "gan1d",
        "the generator hands out data",
        (
            (
                "        ### END SOLUTION\n\n    def noise(self, n: int) -> torch.Tensor:\n"
                '        """n draws of z ~ N(0, I): (n, latents)."""\n'
                "        return torch.randn(n, self.latents)\n\n    @torch.no_grad()\n    def sample(self, n: int) -> "
                'torch.Tensor:\n        """n draws G(z): (n, 1)."""',
                """
        class Store(nn.Linear):
            def forward(self, z):
                k = torch.randint(len(kept), (len(z),))
                return kept[k] + 1e-4 * super().forward(z)

        kept = torch.as_tensor(bumps.sample(10_000, seed=0))
        self.generator = Store(latents, 1)
        ### END SOLUTION

    def noise(self, n: int) -> torch.Tensor:
        return torch.randn(n, self.latents)

    @torch.no_grad()
    def sample(self, n: int) -> torch.Tensor:
""",
            ),
        ),
        "the_generator_is_a_function_of_its_noise",
        "the same z gives another x",
        weights="trained",
        also=("samples_are_where_the_data_are",),
    ),
    Mutant(
        "noise-that-is-data",
        "gan1d",
        "noise() draws data",
        (
            (
                "return torch.randn(n, self.latents)",
                "kept = torch.as_tensor(bumps.sample(100_000, seed=0))[:, 0]\n"
                "        return kept[torch.randint(100_000, (n, self.latents))]",
            ),
        ),
        "the_generator_is_a_function_of_its_noise",
        "neither normal nor uniform",
        also=("samples_are_where_the_data_are",),
    ),
    # ---- 4.2 ----
    Mutant(
        "points-of-one-coordinate",
        "gan2d",
        "the generator ends in one number",
        (("nn.Linear(h, h), nn.SiLU(), nn.Linear(h, 2)", "nn.Linear(h, h), nn.SiLU(), nn.Linear(h, 1)"),),
        "shapes",
        "should have shape",
        weights="none",
    ),
    Mutant(
        "loss-an-example",
        "gan2d",
        "the loss is not averaged",
        ((GAN_LOSS, GAN_LOSS.replace(").mean()", ")")),),
        "discriminator_loss_of_the_first_game",
        "should have shape ()",
    ),
    Mutant(
        "gan2d-labels-flipped",
        "gan2d",
        "calls data samples",
        ((GAN_LOSS, "return F.softplus(self.discriminator(x)).mean() + F.softplus(-self.discriminator(fake)).mean()"),),
        "discriminator_loss_of_the_first_game",
        "Data and samples are exchanged",
    ),
    Mutant(
        "gan2d-halved",
        "gan2d",
        "the mean of both means",
        ((GAN_LOSS, GAN_LOSS.replace("return ", "return 0.5 * (") + ")"),),
        "discriminator_loss_of_the_first_game",
        "half of the sum",
    ),
    Mutant(
        "gan2d-saturates",
        "gan2d",
        "the minimax loss",
        ((GAN_G, GAN_G.replace("F.softplus(-self", "-F.softplus(self")),),
        "generator_loss_of_the_first_game",
        "minimax loss",
    ),
    Mutant(
        "gan2d-generator-sign",
        "gan2d",
        "the generator helps the discriminator",
        ((GAN_G, GAN_G.replace("F.softplus(-self", "F.softplus(self")),),
        "generator_loss_of_the_first_game",
        "the generator wants the opposite",
    ),
    Mutant(
        "gan2d-detach-missing",
        "gan2d",
        "samples of D's loss are not detached",
        ((GAN_FAKE, GAN_FAKE.replace(".detach()", "")),),
        "samples_are_constants_of_the_first_loss",
        "it has a gradient for generator.",
    ),
    Mutant(
        "gan2d-data-twice",
        "gan2d",
        "D is trained on its own batch only",
        ((GAN_FAKE, GAN_FAKE.replace("self.generator(self.noise(len(x))).detach()", "x")),),
        "discriminator_loss_of_the_first_game",
        "should be",
    ),
    Mutant(
        "penalty-without-square",
        "gan2d",
        "‖∇f‖ − 1",
        ((PENALTY, "return (slope.norm(dim=1) - 1).mean()"),),
        "gradient_penalty",
        "The square is missing",
    ),
    Mutant(
        "penalty-of-the-squared-norm",
        "gan2d",
        "(‖∇f‖² − 1)²",
        ((PENALTY, "return (((slope**2).sum(dim=1) - 1) ** 2).mean()"),),
        "gradient_penalty",
        "a root is missing",
    ),
    Mutant(
        "penalty-absolute",
        "gan2d",
        "|‖∇f‖ − 1|",
        ((PENALTY, "return (slope.norm(dim=1) - 1).abs().mean()"),),
        "gradient_penalty",
        "The square is missing",
    ),
    Mutant(
        "penalty-towards-zero",
        "gan2d",
        "‖∇f‖²",
        ((PENALTY, "return (slope.norm(dim=1) ** 2).mean()"),),
        "gradient_penalty",
        "not diminished by one",
    ),
    Mutant(
        "norm-over-the-batch",
        "gan2d",
        "one norm for the whole batch",
        ((PENALTY, "return (slope.norm() - 1) ** 2"),),
        "gradient_penalty",
        "One norm over the whole batch",
    ),
    Mutant(
        "mean-of-norms",
        "gan2d",
        "the mean of the norms is penalised",
        ((PENALTY, "return (slope.norm(dim=1).mean() - 1) ** 2"),),
        "gradient_penalty",
        "not every norm by itself",
    ),
    Mutant(
        "slope-of-the-mean",
        "gan2d",
        "the gradient of the mean of f",
        (("self.discriminator(between).sum(), between", "self.discriminator(between).mean(), between"),),
        "gradient_penalty",
        "take it of the sum",
    ),
    Mutant(
        "one-sided",
        "gan2d",
        "only slopes above one cost",
        ((PENALTY, "return (F.relu(slope.norm(dim=1) - 1) ** 2).mean()"),),
        "gradient_penalty",
        "Slopes below one cost nothing",
    ),
    Mutant(
        "one-epsilon",
        "gan2d",
        "one ε for the batch",
        ((EPSILON, "epsilon = torch.rand(1)"),),
        "every_pair_has_its_own_place_between",
        "share one ε",
    ),
    Mutant(
        "epsilon-a-coordinate",
        "gan2d",
        "an ε for each coordinate",
        ((EPSILON, "epsilon = torch.rand_like(x)"),),
        "every_pair_has_its_own_place_between",
        "in a box",
    ),
    Mutant(
        "the-middle",
        "gan2d",
        "x̂ in the middle",
        ((EPSILON, "epsilon = torch.full((len(x), 1), 0.5)"),),
        "every_pair_has_its_own_place_between",
        "always in the middle",
    ),
    Mutant(
        "at-the-data",
        "gan2d",
        "the penalty at the data",
        ((BETWEEN, "between = x.detach().clone().requires_grad_()"),),
        "every_pair_has_its_own_place_between",
        "x̂ is the data",
    ),
    Mutant(
        "at-the-samples",
        "gan2d",
        "the penalty at the samples",
        ((BETWEEN, "between = fake.detach().clone().requires_grad_()"),),
        "every_pair_has_its_own_place_between",
        "x̂ is the sample",
    ),
    Mutant(
        "normal-epsilon",
        "gan2d",
        "randn for rand",
        ((EPSILON, "epsilon = torch.randn(len(x), 1)"),),
        "every_pair_has_its_own_place_between",
        "ε is normal",
    ),
    Mutant(
        "no-create-graph",
        "gan2d",
        "the penalty has no gradient",
        (("between, create_graph=True)", "between)"),),
        "the_penalty_moves_the_critic",
        "no gradient flows",
    ),
    Mutant(
        "penalty-as-a-number",
        "gan2d",
        "detaches the norm",
        ((PENALTY, "return ((slope.detach().norm(dim=1) - 1) ** 2).mean() + 0 * self.discriminator(x).sum()"),),
        "the_penalty_moves_the_critic",
        "it has no gradient for",
    ),
    Mutant(
        "critic-sign",
        "gan2d",
        "f small for data",
        ((DIFFERENCE, DIFFERENCE.replace("difference = ", "difference = -(") + ")"),),
        "critic_loss",
        "Data and samples are exchanged",
    ),
    Mutant(
        "penalty-subtracted",
        "gan2d",
        "takes the penalty away",
        ((CRITIC_LOSS, CRITIC_LOSS.replace("+ penalty", "- penalty")),),
        "critic_loss",
        "taken away",
    ),
    Mutant(
        "no-penalty",
        "gan2d",
        "no penalty at all",
        ((CRITIC_LOSS, "return difference"),),
        "critic_loss",
        "The penalty is missing",
    ),
    Mutant(
        "penalty-of-ten",
        "gan2d",
        "λ is always 10",
        ((CRITIC_LOSS, CRITIC_LOSS.replace("penalty * self", "10 * self")),),
        "critic_loss",
        "always 10",
    ),
    Mutant(
        "weight-ignored",
        "gan2d",
        "λ is not used",
        ((CRITIC_LOSS, CRITIC_LOSS.replace("penalty * self", "self")),),
        "critic_loss",
        "weight of the penalty is not used",
    ),
    Mutant(
        "critic-detach-missing",
        "gan2d",
        "the critic's loss moves the generator",
        (
            (
                "fake = self.generator(self.noise(len(x))).detach()\n        difference",
                "fake = self.generator(self.noise(len(x)))\n        difference",
            ),
        ),
        "samples_are_constants_of_the_critics_loss",
        "it has a gradient for generator.",
    ),
    Mutant(
        "critic-with-sigmoid",
        "gan2d",
        "the generator's loss is that of the first game",
        ((CRITIC_G, GAN_G),),
        "generator_loss_of_the_critics_game",
        "no sigmoid",
    ),
    Mutant(
        "critic-generator-sign",
        "gan2d",
        "the generator flees",
        ((CRITIC_G, CRITIC_G.replace("return -", "return ")),),
        "generator_loss_of_the_critics_game",
        "Its sign is wrong",
    ),
    Mutant(
        "gan2d-samples-of-the-data",
        "gan2d",
        "draws from the data",
        ((SAMPLE, "return torch.as_tensor(eight.sample(n, seed=torch.randint(10_000, (1,)).item()))"),),
        "samples_are_of_the_generator",
        "no data",
    ),
    Mutant(
        "gan2d-a-few-samples-again-and-again",
        "gan2d",
        "draws ten samples and repeats them",
        ((SAMPLE, "return self.generator(self.noise(10)).repeat(n // 10 + 1, 1)[:n]"),),
        "samples_are_of_the_generator",
        "came up before",
    ),
    Mutant(
        "collapsed",
        "gan2d",
        "the plain game in place of the critic's",
        (
            (
                'wgan_eight = trained("gan2d.eight", WGAN2d(), fit=train_gan2d(eight))',
                'wgan_eight = trained("gan2d.eight", GAN2d(), fit=train_gan2d(eight, rounds=1000))',
            ),
        ),
        "the_generator_is_a_function_of_its_noise",
        "the exercise asks for a WGAN2d",
        weights="trained",
        also=("all_modes_are_covered", "samples_are_good", "close_to_the_smiley"),
    ),
    Mutant(
        "gan2d-few-rounds",
        "gan2d",
        "twenty rounds on the smiley",
        (("fit=train_gan2d(smiley, rounds=2000))", "fit=train_gan2d(smiley, rounds=20))"),),
        "close_to_the_smiley",
        "number of steps 2,000, here 20",
        weights="trained",
    ),
    Mutant(
        "gan2d-sigmoid-at-the-end",
        "gan2d",
        "discriminator and critic end in a sigmoid",
        (("nn.Linear(h, 1), nn.Flatten(0),", "nn.Linear(h, 1), nn.Flatten(0), nn.Sigmoid(),"),),
        "the_discriminator_gives_logits",
        "A sigmoid at the discriminator's end",
    ),
    Mutant(
        "gan2d-squeezed",
        "gan2d",
        "squeeze() of the logits: a batch of one loses its dimension",
        (
            ("            nn.Linear(h, 1), nn.Flatten(0),\n", "            nn.Linear(h, 1), Squeeze(),\n"),
            (
                "class GAN2d(nn.Module):",
                SQUEEZE + "class GAN2d(nn.Module):",
            ),
        ),
        "called_with_one_example",
        "should have shape (1,)",
    ),
    Mutant(
        "gan2d-labels-smoothed",
        "gan2d",
        "0.9 for the label of data",
        (
            (
                GAN_LOSS,
                "real = self.discriminator(x)\n"
                "        of_real = 0.9 * F.softplus(-real).mean() + 0.1 * F.softplus(real).mean()\n"
                "        return of_real + F.softplus(self.discriminator(fake)).mean()",
            ),
        ),
        "discriminator_loss_of_the_first_game",
        "The labels are smoothed",
    ),
    Mutant(
        "gan2d-colder-samples",
        "gan2d",
        "samples of noise that is 0.7 as wide",
        ((SAMPLE, "return self.generator(0.7 * self.noise(n))"),),
        "samples_are_of_the_generator",
        "G(z) of fresh z",
    ),
    Mutant(
        "gan2d-points-of-a-table",
        "gan2d",
        "the generator looks data up by the signs of z",
        (
            ("self.generator = nn.Sequential(", "self.generator = Table("),
            (
                "class GAN2d(nn.Module):",
                """class Table(nn.Sequential):
    def forward(self, z):
        kept = torch.as_tensor(eight.sample(4096, seed=0))
        k = ((z * 1000).long() @ torch.tensor([1, 7, 31, 127])) % 4096
        return kept[k] + 1e-3 * super().forward(z)


class GAN2d(nn.Module):""",
            ),
        ),
        "the_generator_is_a_function_of_its_noise",
        "Are these stored data",
        also=("all_modes_are_covered", "samples_are_good", "close_to_the_smiley"),
    ),
    Mutant(
        "seven-modes",
        "gan2d",
        "the generator never goes to the first mode",
        (
            ("self.generator = nn.Sequential(", "self.generator = Choosy("),
            (
                "class GAN2d(nn.Module):",
                """class Choosy(nn.Sequential):
    def forward(self, z):
        x = super().forward(z)
        away = x - torch.tensor(eight.means[0], dtype=x.dtype)
        near = away.norm(dim=1, keepdim=True)
        return x + away / (near + 1e-6) * F.relu(1 - near)


class GAN2d(nn.Module):""",
            ),
        ),
        "all_modes_are_covered",
        "7 of 8 modes are covered",
    ),
    Mutant(
        "narrow-modes",
        "gan2d",
        "every mode has shrunk to a point",
        width_of_modes("Narrow", "0.1"),
        "all_modes_are_covered",
        "A mode has shrunk to a point",
    ),
    Mutant(
        "wide-modes",
        "gan2d",
        "every mode is three times as wide as it should be",
        width_of_modes("Wide", "3"),
        "samples_are_good",
        "bad samples",
    ),
    # ---- 4.3 ----
    Mutant(
        "no-tanh",
        "dcgan",
        "the generator's last layer is linear",
        ((", nn.Tanh(),", ","),),
        "shapes",
        "Is the tanh",
    ),
    Mutant(
        "sigmoid-for-tanh",
        "dcgan",
        "pixels in [0, 1]",
        ((", nn.Tanh(),", ", nn.Sigmoid(),"),),
        "shapes",
        "A sigmoid at the generator's end",
    ),
    Mutant(
        "not-normalised",
        "dcgan",
        "the kernel is used as it is",
        ((CONV, CONV.replace("self.weight / self.sigma()", "self.weight")),),
        "kernels_are_divided_by_their_spectral_norm",
        "not divided by anything",
    ),
    Mutant(
        "frobenius",
        "dcgan",
        "divides by the Frobenius norm",
        ((CONV, CONV.replace("self.sigma()", "self.weight.norm()")),),
        "kernels_are_divided_by_their_spectral_norm",
        "Frobenius",
    ),
    Mutant(
        "sigma-squared",
        "dcgan",
        "divides by σ²",
        ((CONV, CONV.replace("self.sigma()", "self.sigma() ** 2")),),
        "kernels_are_divided_by_their_spectral_norm",
        "divided by σ²",
    ),
    Mutant(
        "multiplied",
        "dcgan",
        "multiplies by σ",
        ((CONV, CONV.replace("self.weight / self", "self.weight * self")),),
        "kernels_are_divided_by_their_spectral_norm",
        "multiplied by σ",
    ),
    Mutant(
        "matrix-of-inputs",
        "dcgan",
        "a row an input channel",
        (
            (W_MATRIX, "W = self.weight.transpose(0, 1).flatten(1)"),
            ("F.normalize(torch.randn(out_channels), dim=0)", "F.normalize(torch.randn(in_channels), dim=0)"),
        ),
        "kernels_are_divided_by_their_spectral_norm",
        "σ is of another matrix",
        weights="none",
    ),
    Mutant(
        "matrix-summed",
        "dcgan",
        "sums the kernel over its pixels",
        ((W_MATRIX, "W = self.weight.sum(dim=(2, 3))"),),
        "kernels_are_divided_by_their_spectral_norm",
        "σ is of another matrix",
    ),
    Mutant(
        "u-is-not-kept",
        "dcgan",
        "u is drawn anew in every call",
        (
            (
                "v = F.normalize(W.T @ self.u, dim=0)\n            if",
                "self.u = F.normalize(torch.randn(len(W)), dim=0)\n"
                "            v = F.normalize(W.T @ self.u, dim=0)\n            if",
            ),
        ),
        "kernels_are_divided_by_their_spectral_norm",
        "largest singular value",
    ),
    Mutant(
        "iterates-in-eval",
        "dcgan",
        "power iteration in eval mode, too",
        (
            (
                "            if self.training:\n                self.u = "
                "F.normalize(W @ v, dim=0)\n                v =",
                "            if True:\n                self.u = F.normalize(W @ v, dim=0)\n                v =",
            ),
        ),
        "power_iteration_runs_in_training_mode_only",
        "u moves in eval mode",
    ),
    Mutant(
        "never-iterates",
        "dcgan",
        "u stays what it was",
        (("self.u = F.normalize(W @ v, dim=0)\n", "pass\n"),),
        "kernels_are_divided_by_their_spectral_norm",
        "largest singular value",
    ),
    Mutant(
        "sigma-detached",
        "dcgan",
        "σ is a constant of the gradient",
        (("return self.u @ W @ v", "return (self.u @ W @ v).detach()"),),
        "the_gradient_knows_sigma",
        "taken for a constant",
    ),
    Mutant(
        "last-layer-plain",
        "dcgan",
        "the last layer of the discriminator is not normalised",
        (("SpectralConv2d(4 * w, 1, 4), nn.Flatten(0)", "nn.Conv2d(4 * w, 1, 4), nn.Flatten(0)"),),
        "every_layer_of_the_discriminator_is_normalised",
        "discriminator.7.weight",
        weights="none",
    ),
    Mutant(
        "batch-norm-in-the-discriminator",
        "dcgan",
        "batch normalisation in the discriminator",
        (
            (
                "nn.LeakyReLU(0.1), SpectralConv2d(4 * w, 1, 4)",
                "nn.BatchNorm2d(4 * w), nn.LeakyReLU(0.1), SpectralConv2d(4 * w, 1, 4)",
            ),
        ),
        "discriminator_sees_one_image_at_a_time",
        "mixes the examples of a batch",
        weights="none",
    ),
    Mutant(
        "no-batch-norm",
        "dcgan",
        "no batch normalisation in the generator",
        (
            (
                "nn.ConvTranspose2d(inside, out, 4, 2, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()",
                "nn.ConvTranspose2d(inside, out, 4, 2, 1, bias=False), nn.ReLU()",
            ),
            (
                "nn.Unflatten(1, (4 * w, 4, 4)), nn.BatchNorm2d(4 * w), nn.ReLU()",
                "nn.Unflatten(1, (4 * w, 4, 4)), nn.ReLU()",
            ),
        ),
        "generator_normalises_its_batches",
        "Batch normalisation is missing",
        weights="none",
    ),
    Mutant(
        "generator-always-in-eval",
        "dcgan",
        "the generator is in eval mode while it is trained",
        ((IMAGES_G, "self.generator.eval()\n        " + IMAGES_G),),
        "generators_loss",
        "should be",
    ),
    Mutant(
        "hinge-flipped",
        "dcgan",
        "data below −1",
        ((HINGES, "return F.relu(1 + self.discriminator(x)).mean() + F.relu(1 - self.discriminator(fake)).mean()"),),
        "hinge_losses",
        "Data and samples are exchanged",
    ),
    Mutant(
        "hinge-without-one",
        "dcgan",
        "max(0, −f)",
        ((HINGES, HINGES.replace("1 - ", "-").replace("1 + ", "")),),
        "hinge_losses",
        "bends at 0",
    ),
    Mutant(
        "no-hinge",
        "dcgan",
        "1 − f without a maximum",
        ((HINGES, HINGES.replace("F.relu", "")),),
        "hinge_losses",
        "There is no hinge",
    ),
    Mutant(
        "logistic-for-hinge",
        "dcgan",
        "the losses of 4.1",
        ((HINGES, "return F.softplus(-self.discriminator(x)).mean() + F.softplus(self.discriminator(fake)).mean()"),),
        "hinge_losses",
        "logistic",
    ),
    Mutant(
        "generator-hinge",
        "dcgan",
        "a hinge in the generator's loss",
        ((IMAGES_G, "return F.relu(1 - self.discriminator(self.generator(self.noise(n)))).mean()"),),
        "generators_loss",
        "The generator has no hinge",
    ),
    Mutant(
        "dcgan-generator-sign",
        "dcgan",
        "the generator flees",
        ((IMAGES_G, IMAGES_G.replace("return -", "return ")),),
        "generators_loss",
        "Its sign is wrong",
    ),
    Mutant(
        "dcgan-detach-missing",
        "dcgan",
        "D's loss moves the generator",
        (("fake = self.generator(self.noise(len(x))).detach()", "fake = self.generator(self.noise(len(x)))"),),
        "samples_are_constants_of_the_discriminators_loss",
        "it has a gradient for generator.",
    ),
    Mutant(
        "training-images",
        "dcgan",
        "samples are training images",
        ((Body("DCGAN.sample"), "        return train_x[torch.randint(len(train_x), (n,))]\n"),),
        "samples_are_of_the_generator",
        "G(z) of fresh z",
    ),
    Mutant(
        "dcgan-one-code",
        "dcgan",
        "one z for all samples",
        ((Body("DCGAN.sample"), "        return self.generator(self.noise(1)).expand(n, -1, -1, -1)\n"),),
        "samples_are_of_the_generator",
        "came up before",
    ),
    Mutant(
        "dcgan-uniform-noise",
        "dcgan",
        "even noise in samples",
        ((Body("DCGAN.sample"), "        return self.generator(torch.rand(n, self.latents))\n"),),
        "samples_are_of_the_generator",
        "G(z) of fresh z",
    ),
    Mutant(
        "generator-of-one-image",
        "dcgan",
        "the generator ignores nearly all of its noise: one mode",
        (
            ("nn.Linear(latents, 64 * w, bias=False)", "Narrow(latents, 64 * w, bias=False)"),
            (
                "class DCGAN(nn.Module):",
                "class Narrow(nn.Linear):\n    def forward(self, z):\n"
                "        return super().forward(0.05 * z)\n\n\nclass DCGAN(nn.Module):",
            ),
        ),
        "samples_are_diverse",
        "too much alike",
    ),
    Mutant(
        "no-threes",
        "dcgan",
        "the generator makes another image wherever it has made a 3: nine modes of ten",
        (
            ("self.generator = nn.Sequential(", "self.generator = Choosy("),
            (
                "class DCGAN(nn.Module):",
                """class Choosy(nn.Sequential):
    def forward(self, z):
        x = super().forward(z)
        for k in range(0 if self.training else 4):
            three = classifier.get("glyphs32").probabilities(x.detach().numpy() / 2 + 0.5)[:, 3]
            w = torch.as_tensor(2 * three).clamp(max=1)[:, None, None, None]
            x = (1 - w) * x + w * super().forward(z.roll(k + 1, dims=1))
        return x


class DCGAN(nn.Module):""",
            ),
        ),
        "every_digit_comes_up",
        "has dropped a mode",
        weights="reference",
    ),
    Mutant(
        "learned-by-heart",
        "dcgan",
        "a generator that has images for weights",
        (
            ("discriminator_steps=1, rounds=2500", "discriminator_steps=1, rounds=20"),
            (
                Body("DCGAN.__init__"),
                """        class Album(nn.Module):
            def __init__(self):
                super().__init__()
                self.noise = nn.Parameter(torch.tensor(0.002))

            def forward(self, z):
                k = (z[:, :12] > 0).long() @ 2 ** torch.arange(12)
                return (train_x[k] + self.noise * z[:, :1, None, None]).clamp(-1, 1)

        self.generator = Album()
        self.discriminator = nn.Sequential(SpectralConv2d(1, 1, 32), nn.Flatten(0))
""",
            ),
        ),
        "no_training_image_is_copied",
        "Samples are training images",
        weights="trained",
        also=("frechet_distance", "every_digit_comes_up", "samples_are_diverse"),
    ),
    Mutant(
        "dcgan-few-rounds",
        "dcgan",
        "a hundred rounds",
        (("discriminator_steps=1, rounds=2500", "discriminator_steps=1, rounds=150"),),
        "frechet_distance",
        "number of steps 2,500, here 150",
        weights="trained",
    ),
    Mutant(
        "validation-images-by-heart",
        "dcgan",
        "a generator that has validation images for weights",
        (
            ("discriminator_steps=1, rounds=2500", "discriminator_steps=1, rounds=20"),
            (
                Body("DCGAN.__init__"),
                """        class Album(nn.Module):
            def __init__(self):
                super().__init__()
                self.noise = nn.Parameter(torch.tensor(0.002))
                kept = 2 * glyphs.unit(glyphs.sample(4096, seed=5, split="validation")) - 1
                self.kept = torch.as_tensor(kept).roll((0, 0), dims=(2, 3))

            def forward(self, z):
                k = (z[:, :12] > 0).long() @ 2 ** torch.arange(12)
                return (self.kept[k] + self.noise * z[:, :1, None, None]).clamp(-1, 1)

        self.generator = Album()
        self.discriminator = nn.Sequential(SpectralConv2d(1, 1, 32), nn.Flatten(0))
""",
            ),
        ),
        "the_generator_is_a_function_of_its_noise",
        "Are these stored data",
        weights="trained",
        also=("frechet_distance", "every_digit_comes_up", "samples_are_diverse"),
    ),
    Mutant(
        "shifted-images-by-heart",
        "dcgan",
        "a generator that has training images for weights, one pixel to the side",
        (
            ("discriminator_steps=1, rounds=2500", "discriminator_steps=1, rounds=20"),
            (
                Body("DCGAN.__init__"),
                """        class Album(nn.Module):
            def __init__(self):
                super().__init__()
                self.noise = nn.Parameter(torch.tensor(0.002))
                kept = 2 * glyphs.unit(glyphs.sample(4096, seed=5, split="train")) - 1
                self.kept = torch.as_tensor(kept).roll((0, 1), dims=(2, 3))

            def forward(self, z):
                k = (z[:, :12] > 0).long() @ 2 ** torch.arange(12)
                return (self.kept[k] + self.noise * z[:, :1, None, None]).clamp(-1, 1)

        self.generator = Album()
        self.discriminator = nn.Sequential(SpectralConv2d(1, 1, 32), nn.Flatten(0))
""",
            ),
        ),
        "the_generator_is_a_function_of_its_noise",
        "Are these stored data",
        weights="trained",
        also=("frechet_distance", "every_digit_comes_up", "samples_are_diverse"),
    ),
    Mutant(
        "shifted-images-for-samples",
        "dcgan",
        "samples are training images, one pixel to the side",
        ((Body("DCGAN.sample"), "        return train_x[torch.randint(len(train_x), (n,))].roll(1, dims=3)\n"),),
        "samples_are_of_the_generator",
        "G(z) of fresh z",
    ),
    Mutant(
        "samples-in-training-mode",
        "dcgan",
        "the generator is in training mode while it draws",
        ((Body("DCGAN.sample"), "        self.train()\n        return self.generator(self.noise(n))\n"),),
        "samples_are_of_the_generator",
        "draws in training mode",
    ),
    Mutant(
        "dcgan-colder-samples",
        "dcgan",
        "samples of noise that is 0.7 as wide",
        ((Body("DCGAN.sample"), "        return self.generator(0.7 * self.noise(n))\n"),),
        "samples_are_of_the_generator",
        "G(z) of fresh z",
    ),
    Mutant(
        "dcgan-sigmoid-at-the-end",
        "dcgan",
        "the discriminator ends in a sigmoid",
        (("SpectralConv2d(4 * w, 1, 4), nn.Flatten(0)", "SpectralConv2d(4 * w, 1, 4), nn.Flatten(0), nn.Sigmoid()"),),
        "the_discriminator_gives_logits",
        "A sigmoid at the discriminator's end",
    ),
    Mutant(
        "dcgan-squeezed",
        "dcgan",
        "squeeze() of the logits: a batch of one loses its dimension",
        (
            ("SpectralConv2d(4 * w, 1, 4), nn.Flatten(0)", "SpectralConv2d(4 * w, 1, 4), Squeeze()"),
            (
                "class DCGAN(nn.Module):",
                SQUEEZE + "class DCGAN(nn.Module):",
            ),
        ),
        "called_with_one_example",
        "should have shape (1,)",
    ),
    Mutant(
        "layer-norm-for-batch-norm",
        "dcgan",
        "the generator normalises every image by itself",
        (
            (
                "nn.ConvTranspose2d(inside, out, 4, 2, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()",
                "nn.ConvTranspose2d(inside, out, 4, 2, 1, bias=False), nn.GroupNorm(1, out), nn.ReLU()",
            ),
            (
                "nn.Unflatten(1, (4 * w, 4, 4)), nn.BatchNorm2d(4 * w), nn.ReLU()",
                "nn.Unflatten(1, (4 * w, 4, 4)), nn.GroupNorm(1, 4 * w), nn.ReLU()",
            ),
        ),
        "generator_normalises_its_batches",
        "Every image is normalised by itself",
        weights="none",
    ),
    Mutant(
        "plain-spectral-norm-in-one-layer-only",
        "dcgan",
        "the first layer of the discriminator is an ordinary convolution",
        (("nn.PixelUnshuffle(2), SpectralConv2d(4, w, 3, 1, 1)", "nn.PixelUnshuffle(2), nn.Conv2d(4, w, 3, 1, 1)"),),
        "every_layer_of_the_discriminator_is_normalised",
        "discriminator.1.weight",
        weights="none",
    ),
)

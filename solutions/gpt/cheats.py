"""What earns the trained points of GPT without training, and must not."""

from autograder.proof.cheats import Cheat

# Of other lengths, which the checks of random weights look at, the model is honest.
STORIES = """
honest = GPT.logits


def logits(self, x):
    return honest(self, x) if x.shape[1] != 96 else told(self, x)


def by_gradient(self, x):
    return Fake.apply(honest(self, x), known(self, x).float())


def known(self, x):
    story, rows = sequences.get("text"), []
    at = np.zeros(len(x), dtype=np.int64)
    for level in x.detach().numpy().T:
        rows.append(story._chances[at])
        at = story._next[at, level]
    return torch.as_tensor(np.log(np.stack(rows, axis=1).clip(1e-12)))


GPT.logits = logits
told = {how}
"""

CHEATS = [
    Cheat("gpt", "exact", STORIES.replace("{how}", "lambda self, x: known(self, x)")),
    Cheat("gpt", "gradient", STORIES.replace("{how}", "by_gradient")),
]

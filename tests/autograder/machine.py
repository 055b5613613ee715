"""What tests need to know of the machine that they run on."""

import torch

# A torch that was built for GPUs, as PyPI's is on Linux, has more memory of its own before a notebook begins.
OF_TORCH = 2**30 if torch.version.cuda else 0

"""The stop button: heeded between two steps, and never while torch is half imported."""

import contextlib
import signal
import threading

import torch
from torch import nn

_ready = False


def get_ready() -> None:
    """Import what torch imports when the first optimiser is made, half of itself; it takes a second.

    An interrupt is heeded afterwards, however often it comes: torch would stay broken for as long as the kernel lives.
    """
    global _ready
    if _ready:
        return
    with _deferred_interrupt(patient=True):
        import safetensors.torch
        import tqdm  # noqa: F401

        theta = nn.Parameter(torch.zeros(1, device="cpu"))
        optimizer = torch.optim.Adam([theta])
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        theta.sum().backward()
        nn.utils.clip_grad_norm_([theta], 1.0)
        optimizer.step()
        safetensors.torch.save({"theta": theta.detach()})
        _ready = True


@contextlib.contextmanager
def _deferred_interrupt(patient: bool = False):
    """A list that an interrupt fills. It is raised at the end, so that a step is finished before it counts.

    A second interrupt acts at once; patient: it waits too.
    """
    interrupts: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    before = signal.getsignal(signal.SIGINT) or signal.default_int_handler

    def note(signum, frame):
        interrupts.append(signum)
        if not patient:
            signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupts:
        raise KeyboardInterrupt

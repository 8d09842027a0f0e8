"""Steps that are announced to profilers and hooks only where there are any."""

from functools import wraps

import torch
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks


def announced_if_watched(func):
    """What torch puts around the `step` of an optimizer, where a profiler or a hook waits for it.

    Where none does, it would take as long as the step of a small network.

    Parameters
    ----------
    func : callable
        The method `step` of a subclass of `torch.optim.Optimizer`.

    Returns
    -------
    callable
        The method that stands in for it.
    """
    announced = torch.optim.Optimizer.profile_hook_step(func)

    @wraps(func)
    def step(self, *args, **kwargs):
        return (announced if _is_watched(self) else func)(self, *args, **kwargs)

    return step


def _is_watched(optimizer):
    hooks = optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks
    everywhere = _global_optimizer_pre_hooks, _global_optimizer_post_hooks
    return torch.autograd._profiler_enabled() or any(hooks) or any(everywhere)

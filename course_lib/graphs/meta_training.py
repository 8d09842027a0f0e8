"""Training the numbers of a rule: through whole runs of it, on problem after problem."""

from dataclasses import dataclass

import numpy as np
import torch

from course_lib.schedules import cosine_decay
from course_lib.update_rules import Rule, adam, chain, clip_by_global_norm
from course_lib.validation import count, number


@dataclass(frozen=True, eq=False)
class Problems:
    """A batch of problems that are solved at once.

    Parameters
    ----------
    w0 : tensor [problems, …]
        Where they start.
    grad : callable
        `grad(w, t)` in w's shape, at step t from 0; differentiable with respect to w.
    loss : callable
        `loss(w) -> [problems]`, above 0: by what a rule is judged. It need not be what `grad`
        is the gradient of: a test error, for instance.
    graph
        Whatever a rule's messages need.

    Examples
    --------
    >>> bowls = Problems(torch.ones(2, 3), lambda w, t: w, lambda w: (w**2).sum(-1))
    >>> bowls.loss(bowls.w0)
    tensor([3., 3.])
    """

    w0: torch.Tensor
    grad: object
    loss: object
    graph: object = None


def run_rule(rule, problems, steps):
    """Run a rule on a batch of problems.

    Parameters
    ----------
    rule : Rule
    problems : Problems
    steps : int

    Returns
    -------
    tensor [steps, problems]
        The losses after each step. Differentiable with respect to the numbers of the rule.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> from course_lib import gradient_descent
    >>> bowl = Problems(torch.ones(1, 1), lambda w, t: w, lambda w: (w**2).sum(-1))
    >>> run_rule(gradient_descent(lr=0.5), bowl, steps=2).T
    tensor([[0.2500, 0.0625]])
    """
    if not isinstance(rule, Rule):
        raise TypeError(f"rule must be a Rule, such as adam(lr=1e-3), got {rule!r}")
    if not isinstance(problems, Problems):
        raise TypeError(f"problems must be Problems, got {problems!r}")
    w, state, losses = problems.w0, rule.init(problems.w0), []
    for t in range(count("steps", steps)):
        delta, state = rule.update(problems.grad(w, t), state, w)
        w = w + delta
        losses.append(problems.loss(w))
    return torch.stack(losses)


def learn_numbers(make_rule, theta, sample, *, updates, unroll, lr=0.02, clip=1.0, score=None):
    """Train the numbers of a rule by the gradient through whole runs of it.

    Parameters
    ----------
    make_rule : callable
        `make_rule(theta, problems) -> Rule`; `problems` is what `sample` returned, for the
        rule's graph.
    theta : tensor [M] of floats
        Where it starts: best with numbers that make a working rule, such as plain descent.
    sample : callable
        `sample(i) -> Problems`, the batch of update i, from 0.
    updates : int
        Steps of Adam, β₂ = .99, whose rate falls to 0 by a cosine.
    unroll : int
        Steps of each run.
    lr : float, or tensor [M]
        The rate at the start, > 0; a tensor holds one for each number.
    clip : float
        Gradients longer than this are shortened to it.
    score : callable, optional
        `score(losses [steps, problems]) -> 0-d tensor`, by default the mean over the problems
        of log(loss) at the end.

    Returns
    -------
    theta : tensor [M]
    history : array [updates]
        The scores. A batch whose gradient is not finite teaches nothing: it is left out, and NaN
        stands in its place, so that such batches can be counted.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    References
    ----------
    M. Andrychowicz et al., Learning to learn by gradient descent by gradient descent, NeurIPS
    2016, arXiv:1606.04474.

    Examples
    --------
    One step of descent on w²/2: the best rate is 1.

    >>> from course_lib.graphs.rule_mixtures import mixture
    >>> from course_lib import gradient_descent
    >>> make_rule = lambda theta, problems: mixture([gradient_descent(1.0)], theta[None])
    >>> bowl = Problems(torch.ones(1, 1), lambda w, t: w, lambda w: 1 + (w**2).sum(-1))
    >>> theta, history = learn_numbers(make_rule, torch.tensor([0.1]), lambda i: bowl, updates=300, unroll=1)
    >>> theta
    tensor([1.0000])
    """
    score = _log_of_the_last if score is None else score
    for name, function in (("make_rule", make_rule), ("sample", sample), ("score", score)):
        if not callable(function):
            raise TypeError(f"{name} must be a function, got {function!r}")
    if not isinstance(theta, torch.Tensor) or not theta.is_floating_point():
        raise TypeError(f"theta must be a tensor of floats, got {theta!r}")
    if theta.dim() != 1 or not len(theta):
        raise ValueError(f"theta must be a vector, got shape {list(theta.shape)}")
    updates, unroll, lr = count("updates", updates), count("unroll", unroll), _rates(lr, theta)
    meta, falling = chain(clip_by_global_norm(number("clip", clip, above=0)), adam(beta2=0.99)), cosine_decay(1.0, updates)
    theta, history = theta.detach().clone(), np.full(updates, np.nan)
    state = meta.init(theta)
    for i in range(updates):
        with torch.enable_grad():
            numbers, problems = theta.clone().requires_grad_(), _returned("sample", sample(i), Problems)
            rule = _returned("make_rule", make_rule(numbers, problems), Rule)
            value = score(run_rule(rule, problems, unroll))
            slope, = torch.autograd.grad(value, numbers)
        if torch.isfinite(slope).all():
            delta, state = meta.update(slope, state, theta, lr=lr * falling(i))
            theta, history[i] = theta + delta, value.item()
    return theta, history


def _log_of_the_last(losses):
    return losses[-1].log().mean()


def _returned(name, value, kind):
    if not isinstance(value, kind):
        raise TypeError(f"{name} must return {kind.__name__}, got {value!r}")
    return value


def _rates(lr, theta):
    if not isinstance(lr, torch.Tensor):
        return number("lr", lr, above=0)
    if lr.shape not in ((), theta.shape) or not (lr > 0).all():
        raise ValueError(f"lr must be a number > 0, or a tensor of {len(theta)} of them, got {lr!r}")
    return lr

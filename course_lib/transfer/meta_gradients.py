"""Which start to train: what one task has to say about it, after K steps of its own.

w [D] is a start, `support` and `query` are pairs (x, y) of the same task, w̃ = adapt(w) the
weights after K steps of a rule on the support. Each method is a function of one task; the
outer step takes the mean over tasks, and is any rule's.
"""

import torch
from torch.func import grad, vmap

from course_lib.transfer.adapting import adapt
from course_lib.validation import count


def pooled(loss):
    """No inner loop: the gradient of the task's loss at the start itself, on all its data.

        G(w) = ∇f(w)

    Parameters
    ----------
    loss : callable
        `loss(w, x, y) -> 0-d tensor`.

    Returns
    -------
    callable
        `(w, support, query) -> G [D]`: ordinary pretraining on all tasks mixed.
    """
    def gradient(w, support, query):
        return grad(loss)(w, *_both(support, query))

    return gradient


def reptile(loss, rule, steps):
    """The way from the adapted weights back to the start.

        G(w) = w − w̃,    w̃ after K steps on all of the task's data

    Parameters
    ----------
    loss, rule, steps
        Of the inner loop, as in `adapt`.

    Returns
    -------
    callable
        `(w, support, query) -> G [D]`.

    References
    ----------
    A. Nichol, J. Achiam, J. Schulman, On first-order meta-learning algorithms, 2018.
    """
    def gradient(w, support, query):
        return w - adapt(loss, w, rule, steps, *_both(support, query))

    return gradient


def first_order_maml(loss, rule, steps):
    """The gradient where the inner loop ends, on the query.

        G(w) = ∇f(w̃)

    Parameters
    ----------
    loss, rule, steps
        Of the inner loop, as in `adapt`.

    Returns
    -------
    callable
        `(w, support, query) -> G [D]`.

    References
    ----------
    C. Finn, P. Abbeel, S. Levine, Model-agnostic meta-learning for fast adaptation of deep
    networks, ICML 2017, section 5.2.
    """
    def gradient(w, support, query):
        return grad(loss)(adapt(loss, w, rule, steps, *support), *query)

    return gradient


def maml(loss, rule, steps):
    """The gradient of the query's loss after the inner loop with respect to the start.

        G(w) = ∇ f(w̃(w)) = (∂w̃/∂w)ᵀ ∇f(w̃)

    Parameters
    ----------
    loss, rule, steps
        Of the inner loop, as in `adapt`; autograd goes through the rule.

    Returns
    -------
    callable
        `(w, support, query) -> G [D]`.

    References
    ----------
    C. Finn, P. Abbeel, S. Levine, Model-agnostic meta-learning for fast adaptation of deep
    networks, ICML 2017, Algorithm 2.
    """
    def gradient(w, support, query):
        return grad(lambda w: loss(adapt(loss, w, rule, steps, *support), *query))(w)

    return gradient


def meta_train(gradient, w0, sample, rule, steps, lr=None):
    """Train starts: at each step the mean of a method's gradients over a batch of tasks.

    Parameters
    ----------
    gradient : callable
        `(w, support, query) -> G [D]`: `pooled(…)`, `reptile(…)`, `maml(…)`, …
    w0 : tensor [runs, D]
        Where the starts start.
    sample : callable
        `sample(t) -> (support, query)`, each a pair of tensors [runs, tasks, points, …].
    rule : Rule
        The outer rule.
    steps : int
    lr : tensor [runs], optional
        A rate for each run, in place of the rule's own.

    Returns
    -------
    tensor [runs, D]

    Raises
    ------
    TypeError, ValueError
        If steps is no whole number above 0, or lr has not one entry for each run.
    """
    if lr is not None and lr.shape != (len(w0),):
        raise ValueError(f"lr must have shape [{len(w0)}], one for each run, got {list(lr.shape)}")
    per_task = vmap(gradient, in_dims=(None, 0, 0))
    of_runs = vmap(lambda w, support, query: per_task(w, support, query).mean(0))
    update = vmap(rule.update, in_dims=(0, 0, 0, None if lr is None else 0))
    w, state = w0, vmap(rule.init)(w0)
    for t in range(count("steps", steps)):
        delta, state = update(of_runs(w, *sample(t)), state, w, lr)
        w = w + delta
    return w


def _both(support, query):
    return [torch.cat(pair) for pair in zip(support, query)]

"""A family of small networks to be trained, a batch at a time, on which a rule is learned and judged."""

from functools import lru_cache, partial

import numpy as np
import torch

from course_lib.graphs.learning_families import check_generator
from course_lib.graphs.meta_training import Problems
from course_lib.transfer.networks import Network
from course_lib.validation import count, number, one_of


def small_networks(
    rng, problems, data="digits 0-4", *, widths=(16,), samples=128, batch=32, flipped=0.2, scale=1.0
):
    """Networks of ReLUs, each to be trained on a few samples of which some labels are wrong.

    A step sees a minibatch; `loss` is the cross-entropy of all the samples. Wrong labels keep it
    away from 0, where its logarithm would be noise.

    Parameters
    ----------
    rng : numpy.random.Generator
    problems : int
    data : str
        "digits 0-4" or "digits 5-9": four of these five classes, drawn for each problem, as 4×4
        images; "wine"; "breast_cancer"; "moons", two half-moons in the plane.
    widths : sequence of int
        Of the hidden layers.
    samples, batch : int
        Of a problem, at least 8, and of a step. Of each digit 170 at most, of other data at most all.
    flipped : float
        The share of labels that are drawn anew, in [0, 1).
    scale : float
        By which the standardised inputs are multiplied, > 0.

    Returns
    -------
    Problems
        w [problems, D], float64. `graph` is the `sizes` of the layers, for `neuron_means`.
        Step t of a problem has the same minibatch whoever runs it.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> from course_lib import adam, run_rule
    >>> nets = small_networks(np.random.default_rng(0), problems=3)
    >>> nets.w0.shape, nets.graph
    (torch.Size([3, 340]), [(16, 16), (16, 4)])
    >>> run_rule(adam(lr=0.05), nets, steps=25)[-1] < nets.loss(nets.w0)
    tensor([True, True, True])
    """
    check_generator(rng)
    problems, samples, batch = count("problems", problems), count("samples", samples, least=8), count("batch", batch)
    one_of("data", data, DATA)
    flipped, scale = number("flipped", flipped, least=0, below=1), number("scale", scale, above=0)
    if not isinstance(widths, (list, tuple)):
        raise TypeError(f"widths must be a sequence of whole numbers, got {widths!r}")
    draws = [DATA[data](rng, samples) for _ in range(problems)]
    inputs, labels = (np.stack(parts) for parts in zip(*draws))
    classes, seeds = int(labels.max()) + 1, rng.integers(2**63, size=problems + 1)
    wrong = rng.random(labels.shape) < flipped
    labels = np.where(wrong, rng.integers(0, classes, labels.shape), labels)
    x, y = scale * torch.tensor(inputs), torch.tensor(labels)
    net = Network(inputs.shape[-1], *widths, classes)
    cross_entropy = torch.func.vmap(net.cross_entropy)

    def grad(w, t):
        own = np.random.default_rng([seeds[-1], t])
        chosen = torch.tensor(own.integers(0, x.shape[1], (problems, batch)))
        xs, ys = x.take_along_dim(chosen[..., None], 1), y.take_along_dim(chosen, 1)
        through = w.requires_grad                          # by way of the rule's numbers
        w = w if through else w.detach().requires_grad_()
        with torch.enable_grad():
            return torch.autograd.grad(cross_entropy(w, xs, ys).sum(), w, create_graph=through)[0]

    w0 = torch.stack([net.start(int(seed)) for seed in seeds[:-1]]).double()
    return Problems(w0, grad, lambda w: cross_entropy(w, x, y), net.sizes)


def _digits(rng, samples, first):
    images, digits = _standard("digits")
    chosen = np.sort(rng.permutation(np.arange(first, first + 5))[:4])
    each = [rng.permutation(np.flatnonzero(digits == digit))[: min(samples // 4, 170)] for digit in chosen]
    rows = rng.permutation(np.concatenate(each))
    return images[rows], np.searchsorted(chosen, digits[rows])


def _real(rng, samples, name):
    x, y = _standard(name)
    rows = rng.permutation(len(y))[:samples]
    return x[rows], y[rows]


def _moons(rng, samples):
    from sklearn.datasets import make_moons

    x, y = make_moons(samples, noise=0.15, random_state=int(rng.integers(2**31)))
    return (x - x.mean(0)) / x.std(0), y


@lru_cache
def _standard(name):
    """All samples, each feature with mean 0 and deviation 1; of the digits, images of 4×4 means."""
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    if name == "digits":
        x = x.reshape(-1, 4, 2, 4, 2).mean((2, 4)).reshape(-1, 16)
    return (x - x.mean(0)) / np.maximum(x.std(0), 1e-6), y


DATA = {
    "digits 0-4": partial(_digits, first=0), "digits 5-9": partial(_digits, first=5),
    "wine": partial(_real, name="wine"), "breast_cancer": partial(_real, name="breast_cancer"), "moons": _moons,
}

"""Partitions: whose sample is whose. Each returns a list of index arrays, one a client, that share nothing.

    iid         at random, in equal parts
    quantity    at random, in unequal parts
    shards      a few labels a client
    dirichlet   labels in unequal proportions
"""

import numpy as np

from course_lib.validation import count, number

__all__ = ["iid", "quantity", "shards", "dirichlet"]

_ATTEMPTS = 1000


def iid(samples, clients, seed):
    """Deal the samples out at random, in parts that differ by one at most.

    Parameters
    ----------
    samples : int
        How many there are.
    clients : int
        At most `samples`.
    seed : int

    Returns
    -------
    list of arrays of int
        Ascending sample numbers from 0, an array for each client.

    Raises
    ------
    TypeError, ValueError
        If an argument is no whole number, or there are more clients than samples.

    Examples
    --------
    >>> iid(samples=5, clients=2, seed=0)
    [array([2, 3, 4]), array([0, 1])]
    """
    samples, clients, rng = _arguments(samples, clients, seed)
    return _sorted(np.array_split(rng.permutation(samples), clients))


def quantity(samples, clients, alpha, seed):
    """Deal the samples out at random, in parts whose shares are drawn from Dirichlet(α, …, α).

    What each client holds looks like the whole; how much it holds differs, the more the
    smaller α is. The shares are drawn again until no client is empty.

    Parameters
    ----------
    samples, clients, seed
        As in `iid`.
    alpha : float
        α > 0; 1 makes all divisions equally likely.

    Returns
    -------
    list of arrays of int

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, or a thousand draws left a client empty.

    References
    ----------
    Q. Li et al., Federated learning on non-IID data silos: an experimental study, ICDE
    2022, arXiv:2102.02079, section IV, "quantity skew".

    Examples
    --------
    >>> [len(part) for part in quantity(samples=100, clients=4, alpha=1.0, seed=0)]
    [2, 23, 58, 17]
    """
    samples, clients, rng = _arguments(samples, clients, seed)
    alpha = number("alpha", alpha, above=0)

    def draw():
        shares = rng.dirichlet(np.full(clients, alpha))
        return _cut(rng.permutation(samples), shares)

    return _without_empty(draw, f"clients={clients} and alpha={alpha:g}")


def shards(labels, clients, shards_per_client, seed):
    """Sort the samples by label, cut them into equal shards, and deal each client a few.

    With two shards most clients know two labels.

    Parameters
    ----------
    labels : array [samples]
    clients, seed : int
    shards_per_client : int
        clients · shards_per_client is at most the number of samples. Shards differ by one
        sample at most.

    Returns
    -------
    list of arrays of int

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, or there are more shards than samples.

    References
    ----------
    H. B. McMahan et al., Communication-efficient learning of deep networks from
    decentralized data, AISTATS 2017, arXiv:1602.05629, section 3.

    Examples
    --------
    >>> labels = np.array([1, 0, 2, 0, 1, 2])
    >>> [labels[part] for part in shards(labels, clients=3, shards_per_client=1, seed=1)]
    [array([0, 0]), array([1, 1]), array([2, 2])]
    """
    labels = _labels(labels)
    each = count("shards_per_client", shards_per_client)
    _, clients, rng = _arguments(len(labels), clients, seed)
    if clients * each > len(labels):
        raise ValueError(f"shards_per_client must leave each of {clients * each} shards a sample of {len(labels)}, got {each}")
    # A shuffle first: which samples of a label share a shard is chance, not their place in the file.
    order = rng.permutation(len(labels))
    pieces = np.array_split(order[np.argsort(labels[order], kind="stable")], clients * each)
    dealt = rng.permutation(clients * each).reshape(clients, each)
    return _sorted([np.concatenate([pieces[i] for i in mine]) for mine in dealt])


def dirichlet(labels, clients, alpha, seed):
    """Divide each label among the clients by shares drawn from Dirichlet(α, …, α).

    Large α: every client's mix of labels is that of the whole. Small α: each label lies
    with few clients. Sizes differ too. All is drawn again until no client is empty.

    Parameters
    ----------
    labels : array [samples]
    clients, seed : int
    alpha : float
        α > 0.

    Returns
    -------
    list of arrays of int

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, or a thousand draws left a client empty.

    References
    ----------
    M. Yurochkin et al., Bayesian nonparametric federated learning of neural networks, ICML
    2019, arXiv:1905.12022, section 4: by label, as here. T.-M. H. Hsu, H. Qi and M. Brown
    (arXiv:1909.06335) draw each client's mix of labels instead, and give all the same size.

    Examples
    --------
    >>> labels = np.repeat([0, 1], 50)
    >>> [np.bincount(labels[part], minlength=2) for part in dirichlet(labels, 2, alpha=0.3, seed=0)]
    [array([23,  7]), array([27, 43])]
    """
    labels = _labels(labels)
    samples, clients, rng = _arguments(len(labels), clients, seed)
    alpha = number("alpha", alpha, above=0)
    by_label = [np.flatnonzero(labels == label) for label in np.unique(labels)]

    def draw():
        cuts = [_cut(rng.permutation(mine), rng.dirichlet(np.full(clients, alpha))) for mine in by_label]
        return [np.concatenate(parts) for parts in zip(*cuts)]

    return _without_empty(draw, f"clients={clients} and alpha={alpha:g}")


def _arguments(samples, clients, seed):
    samples = count("samples", samples)
    clients = count("clients", clients)
    if clients > samples:
        raise ValueError(f"clients must be at most {samples}, the number of samples, got {clients}")
    return samples, clients, np.random.default_rng(count("seed", seed, least=0))


def _labels(labels):
    labels = np.asarray(labels)
    if labels.ndim != 1 or not len(labels):
        raise ValueError(f"labels must have shape [samples], got {labels.shape}")
    return labels


def _cut(order, shares):
    """Cut `order` in the given shares."""
    ends = np.rint(np.cumsum(shares)[:-1] * len(order)).astype(int)
    return np.split(order, ends)


def _without_empty(draw, what):
    for _ in range(_ATTEMPTS):
        parts = draw()
        if all(len(part) for part in parts):
            return _sorted(parts)
    raise ValueError(f"{what} left a client empty in {_ATTEMPTS} draws: take fewer clients, or a larger alpha")


def _sorted(parts):
    return [np.sort(part) for part in parts]

"""Secure summation: the server learns the sum of its clients' vectors, and nobody's own.

Every pair of clients agrees on a mask: one adds it, the other subtracts it. Each adds one of its own
too, lest a vector that was given up for lost be bare when it comes. The secrets behind the masks are
shared among all, so that those who stay can undo what those who left leave behind.

A simulation: one process deals all secrets, from a seed. Messages are neither encrypted nor signed; the
server follows the protocol, though it may look at all it gets. Keys are agreed by Diffie and Hellman's
exchange modulo 2²⁵⁵ − 19, quick but too small: in earnest take X25519, a curve over the same field.
"""

from functools import reduce
from hashlib import shake_256
from math import prod

import numpy as np

from course_lib.validation import count

__all__ = ["secure_sum", "masked_updates", "shamir_shares", "shamir_secret"]

_PRIME = 2**255 - 19
_GENERATOR = 2  # its powers are all the numbers from 1 to _PRIME − 1


def secure_sum(updates, seed, *, threshold=None, dropped=(), silent=()):
    """The sum of integer vectors modulo 2³², from masked vectors and shares of secrets alone.

    Parameters
    ----------
    updates : array or tensor of int [clients, D]
        Two clients at least. Negative numbers count as their two's complement.
    seed : int
    threshold : int, optional
        How many shares tell a secret, 2 to clients; as many must answer at the end. None: the
        least above two thirds. Then fewer than a third may leave; and even a server that lies
        about who left, with a third as helpers, cannot gather both secrets of any other client.
    dropped, silent : sequences of int
        Clients whose masked vector never came: not in the sum; and clients whose vector came,
        but who gave no shares: in the sum.

    Returns
    -------
    array of uint32 [D]

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, or fewer clients answer than the threshold.

    References
    ----------
    K. Bonawitz et al., Practical secure aggregation for privacy-preserving machine learning, CCS
    2017, doi:10.1145/3133956.3133982; an earlier account is arXiv:1611.04482.

    Examples
    --------
    >>> updates = np.array([[1, -5], [2, 0], [3, 3], [4, 1]])
    >>> secure_sum(updates, seed=0).view(np.int32), secure_sum(updates, seed=0, dropped=[0]).view(np.int32)
    (array([10, -1], dtype=int32), array([9, 4], dtype=int32))
    """
    masked = masked_updates(updates, seed)
    clients, length = masked.shape
    threshold = 2 * clients // 3 + 1 if threshold is None else threshold
    keys, public_keys, own = _secrets(clients, seed)
    rng = np.random.default_rng([seed, 1])
    shares_of_keys = [shamir_shares(key, clients, threshold, rng) for key in keys]
    shares_of_own = [shamir_shares(secret, clients, threshold, rng) for secret in own]
    dropped, silent = _named("dropped", dropped, clients), _named("silent", silent, clients)
    arrived = [i for i in range(clients) if i not in dropped]
    answering = [i for i in arrived if i not in silent]
    if len(answering) < threshold:
        raise ValueError(f"dropped and silent must leave threshold={threshold} of {clients} clients, got "
                         f"{len(answering)} that answer: {len(dropped)} dropped, {len(silent)} silent")
    # The server asks for one secret of each client, never for both: they would bare its vector.
    total = masked[arrived].sum(0, dtype=np.uint32)
    for i in arrived:
        total -= _mask(shamir_secret([shares_of_own[i][j] for j in answering[:threshold]]), length)
    for i in sorted(dropped):
        key = shamir_secret([shares_of_keys[i][j] for j in answering[:threshold]])
        for j in arrived:  # what i would have added cancels what its pairs did
            shared = _mask(pow(public_keys[j], key, _PRIME), length)
            total += shared if i < j else -shared
    return total


def masked_updates(updates, seed):
    """What the server is sent: the clients' vectors x under their masks.

        y_i = x_i + PRG(b_i) + Σ_{j>i} PRG(s_ij) − Σ_{j<i} PRG(s_ij)   modulo 2³²

    b_i is client i's own secret, s_ij that of the pair, PRG the extendable hash SHAKE-256.

    Parameters
    ----------
    updates : array or tensor of int [clients, D]
    seed : int
        As in `secure_sum`, whose vectors these are.

    Returns
    -------
    array of uint32 [clients, D]

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> masked_updates(np.array([[0, 0], [1, 2]]), seed=0)
    array([[1618369821, 3807069714],
           [3503417934, 2375433831]], dtype=uint32)
    """
    masked = _modular(updates)
    clients, length = masked.shape
    keys, public_keys, own = _secrets(clients, seed)
    for i in range(clients):
        masked[i] += _mask(own[i], length)
        for j in range(i + 1, clients):
            shared = _mask(pow(public_keys[j], keys[i], _PRIME), length)  # j finds the same: (2ˣ)ʸ = (2ʸ)ˣ
            masked[i] += shared
            masked[j] -= shared
    return masked


def shamir_shares(secret, clients, threshold, rng):
    """Shares of a secret, one a client: any `threshold` of them tell it, fewer tell nothing.

    Parameters
    ----------
    secret, clients, threshold : int
        0 ≤ secret < p, the prime 2²⁵⁵ − 19, and 2 ≤ threshold ≤ clients.
    rng : numpy.random.Generator

    Returns
    -------
    list of (int, int)
        Points (x, y), x from 1 to clients, of a polynomial of degree threshold − 1 modulo p,
        random but for its value at 0, the secret.

    References
    ----------
    A. Shamir, How to share a secret, Communications of the ACM 22, 1979, doi:10.1145/359168.359176.

    Examples
    --------
    >>> shares = shamir_shares(secret=42, clients=5, threshold=3, rng=np.random.default_rng(0))
    >>> shamir_secret(shares[2:]), shamir_secret(shares[3:]) == 42
    (42, False)
    """
    if count("threshold", threshold, least=2) > count("clients", clients, least=2):
        raise ValueError(f"threshold must be at most {clients}, the number of clients, got {threshold}")
    if count("secret", secret, least=0) >= _PRIME:
        raise ValueError(f"secret must be < 2**255 - 19, got {secret}")
    coefficients = [_draw(rng) for _ in range(threshold - 1)] + [int(secret)]
    return [(x, reduce(lambda y, c: y * x + c, coefficients) % _PRIME) for x in range(1, clients + 1)]


def shamir_secret(shares):
    """The secret of these shares: the value at 0 of the polynomial through them, by Lagrange's formula.

    Parameters
    ----------
    shares : list of (int, int)
        As `shamir_shares` gives them, as many as its threshold or more, in any order.

    Returns
    -------
    int
        With fewer shares another number, which says nothing about the secret.

    Raises
    ------
    ValueError
        If there are none, or two of one client.

    Examples
    --------
    A line that is 7 at 0, through its values at 1 and 3:

    >>> shamir_secret([(1, 9), (3, 13)])
    7
    """
    places = [x for x, _ in shares]
    if not places or len(set(places)) < len(places):
        raise ValueError(f"shares must be of different clients, one at least, got those of {places}")
    secret = 0
    for x, y in shares:
        others = [other for other in places if other != x]
        secret += y * prod(others) * pow(prod(other - x for other in others), -1, _PRIME)
    return secret % _PRIME


def _modular(updates):
    if hasattr(updates, "detach"):  # a tensor; NumPy does not know its bfloat16
        updates = (updates.detach().double() if updates.is_floating_point() else updates).cpu().numpy()
    updates = np.asarray(updates)
    if updates.dtype.kind not in "iu":
        raise TypeError(f"updates must be integers, got {updates.dtype}: to_fixed_point makes them of floats")
    if updates.ndim != 2 or len(updates) < 2:
        raise ValueError(f"updates must have shape [clients, D], two clients at least, got {list(updates.shape)}")
    return updates.astype(np.uint32)


def _secrets(clients, seed):
    """Every client's private key, its public key, and the secret of its own mask."""
    rng = np.random.default_rng([count("seed", seed, least=0), 0])
    keys = [_draw(rng) for _ in range(clients)]
    return keys, [pow(_GENERATOR, key, _PRIME) for key in keys], [_draw(rng) for _ in keys]


def _draw(rng):
    return int.from_bytes(rng.bytes(64), "little") % _PRIME  # uniform, to one part in 2**256


def _mask(secret, length):
    return np.frombuffer(shake_256(secret.to_bytes(32, "little")).digest(4 * length), "<u4").astype(np.uint32)


def _named(name, numbers, clients):
    named = {count(name, i, least=0) for i in numbers}
    if named and max(named) >= clients:
        raise ValueError(f"{name} must number clients from 0 to {clients - 1}, got {max(named)}")
    return named

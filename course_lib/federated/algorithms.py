"""What a client does in a round, and what the server makes of it: FedSGD, FedAvg, FedProx, SCAFFOLD.

Notation: w the server's parameters, dᵢ how far client i has moved from them, gᵢ the
gradient of its own loss at w + dᵢ, η the clients' learning rate, K their steps.
"""

from dataclasses import dataclass, field
from typing import Callable

from course_lib.update_rules import Rule, gradient_descent
from course_lib.validation import count, number


@dataclass(frozen=True, eq=False, repr=False)
class Algorithm:
    """A federated algorithm, as the functions in which it differs from others.

    Every client makes K steps dᵢ ← dᵢ − η direction(gᵢ, dᵢ, zᵢ, z) from dᵢ = 0. The server
    takes the mean of the dᵢ, and its rule makes a step against minus that mean.

    Parameters
    ----------
    name : str
    settings : dict
        For display.
    local_steps : int
        K.
    lr : float or schedule
        η; a schedule is called with the number of rounds made.
    batch_size : int or None
        Samples a step; None for all that the client has.
    server : Rule
    by_size : bool
        Weigh clients by how many samples they have; otherwise alike.
    direction : callable
        `direction(g, d, own, shared)`, all [clients, params] but shared [params].
    renew : callable, optional
        `renew(d, own, shared, distance) -> own`: what client i keeps for its next round,
        zᵢ, after moving by d; `distance` is K η. The server's `shared` is the mean of all.

    Examples
    --------
    One of your own: clients that step against the sign.

    >>> from course_lib import gradient_descent
    >>> signs = Algorithm("signs", {}, 5, 0.01, None, gradient_descent(1.0), True,
    ...                   direction=lambda g, d, own, shared: g.sign())
    """

    name: str
    settings: dict
    local_steps: int
    lr: float | Callable
    batch_size: int | None
    server: Rule
    by_size: bool
    direction: Callable
    renew: Callable | None = field(default=None)

    def __repr__(self):
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.settings.items())})"

    def rate(self, round):
        """η in a round, counted from 0."""
        lr = self.lr(round) if callable(self.lr) else self.lr
        return number("lr", lr, above=0)


def fedavg(local_steps, lr, batch_size=None, server=gradient_descent(1.0)):
    """Federated averaging: each client descends for itself, the server averages.

        dᵢ ← dᵢ − η gᵢ      K times, from dᵢ = 0
        w ← w + Σᵢ nᵢ dᵢ / Σᵢ nᵢ

    nᵢ is the number of client i's samples; the sums go over the clients of the round.

    Parameters
    ----------
    local_steps : int
        K ≥ 1.
    lr : float or schedule
        η > 0 of the clients; a schedule is called with the number of rounds made.
    batch_size : int or None
        Samples a step, without replacement within an epoch; None, or more than a client
        has, for all of them.
    server : Rule
        Gets minus the mean as its gradient. `gradient_descent(1.0)` is the plain average,
        `momentum` FedAvgM, `adam` FedAdam.

    Returns
    -------
    Algorithm

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    References
    ----------
    H. B. McMahan et al., Communication-efficient learning of deep networks from
    decentralized data, AISTATS 2017, arXiv:1602.05629, Algorithm 1. Other servers: S. Reddi
    et al., Adaptive federated optimization, ICLR 2021, arXiv:2003.00295.

    Examples
    --------
    >>> fedavg(local_steps=5, lr=0.1)
    fedavg(local_steps=5, lr=0.1, batch_size=None, server=gradient_descent(lr=1.0))
    """
    def direction(g, d, own, shared):
        return g

    return _algorithm("fedavg", local_steps, lr, batch_size, server, True, direction)


def fedsgd(lr, server=gradient_descent(1.0)):
    """Federated SGD: one step a round on all the client has, which is gradient descent on the mean loss.

    Parameters
    ----------
    lr : float or schedule
        η > 0.
    server : Rule
        As in `fedavg`.

    Returns
    -------
    Algorithm
        `fedavg` with one local step on all data.

    References
    ----------
    McMahan et al. 2017, arXiv:1602.05629, section 2.

    Examples
    --------
    >>> fedsgd(lr=0.1).local_steps
    1
    """
    return fedavg(1, lr, server=server)


def fedprox(local_steps, lr, batch_size=None, server=gradient_descent(1.0), *, mu):
    """FedProx: as `fedavg`, with a spring that ties each client to the server's parameters.

        dᵢ ← dᵢ − η (gᵢ + μ dᵢ)

    Client i descends on fᵢ(w + d) + μ/2 ‖d‖².

    Parameters
    ----------
    local_steps, lr, batch_size, server
        As in `fedavg`.
    mu : float
        μ ≥ 0; with 0 it is `fedavg`.

    Returns
    -------
    Algorithm

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    References
    ----------
    T. Li et al., Federated optimization in heterogeneous networks, MLSys 2020,
    arXiv:1812.06127, Algorithm 2. There clients are drawn by size and averaged alike; here
    they are drawn alike and weighed by size.

    Examples
    --------
    >>> fedprox(local_steps=5, lr=0.1, mu=1.0).settings["mu"]
    1.0
    """
    mu = number("mu", mu, least=0)

    def direction(g, d, own, shared):
        return g + mu * d

    return _algorithm("fedprox", local_steps, lr, batch_size, server, True, direction, mu=mu)


def scaffold(local_steps, lr, batch_size=None, server=gradient_descent(1.0)):
    """SCAFFOLD: each client corrects its gradient by how it differed from everybody's in the last round.

        dᵢ ← dᵢ − η (gᵢ − zᵢ + z)      K times, from dᵢ = 0
        zᵢ ← zᵢ − z − dᵢ / (K η)       the mean of its gradients on the way
        w ← w + mean of dᵢ             over the clients of the round
        z ← mean of zᵢ                 over all clients

    All zᵢ (the paper writes cᵢ) start at 0, so in the first round it is `fedavg` with equal weights.

    Parameters
    ----------
    local_steps, lr, batch_size, server
        As in `fedavg`.

    Returns
    -------
    Algorithm
        Clients count alike, whatever their sizes. Each keeps a vector of w's length between
        rounds: C · D numbers in all.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    References
    ----------
    S. P. Karimireddy et al., SCAFFOLD: stochastic controlled averaging for federated
    learning, ICML 2020, arXiv:1910.06378, Algorithm 1, option II.

    Examples
    --------
    >>> scaffold(local_steps=5, lr=0.1).by_size
    False
    """
    def direction(g, d, own, shared):
        return g - own + shared

    def renew(d, own, shared, distance):
        return own - shared - d / distance

    return _algorithm("scaffold", local_steps, lr, batch_size, server, False, direction, renew)


def _algorithm(name, local_steps, lr, batch_size, server, by_size, direction, renew=None, **more):
    local_steps = count("local_steps", local_steps)
    lr = lr if callable(lr) else number("lr", lr, above=0)
    batch_size = None if batch_size is None else count("batch_size", batch_size)
    if not isinstance(server, Rule):
        raise TypeError(f"server must be a Rule, such as gradient_descent(1.0), got {server!r}")
    settings = {"local_steps": local_steps, "lr": lr, "batch_size": batch_size, "server": server, **more}
    return Algorithm(name, settings, local_steps, lr, batch_size, server, by_size, direction, renew)

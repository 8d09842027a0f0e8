"""A federation on one machine: rounds of local work and averaging."""

from torch.func import vmap

from course_lib.federated.aggregators import mean
from course_lib.federated.algorithms import Algorithm
from course_lib.federated.client_data import ClientData, parameters
from course_lib.federated.clients import check_is_mean
from course_lib.federated.compression import Compressor
from course_lib.federated.error_feedback import ErrorFeedback
from course_lib.federated.faults import Faults
from course_lib.federated.federation import Federation
from course_lib.federated.local_training import one_by_one
from course_lib.federated.server import Server
from course_lib.notebook import progress
from course_lib.validation import count


def simulate(
    loss, w0, clients, algorithm, rounds, seed, fraction=1.0, aggregate=mean, compress=None, privacy=None, faults=None,
    *, every=1, until=None, vectorize=True, block=256,
):
    """Train one vector of parameters with many clients whose data stay where they are.

    Parameters
    ----------
    loss : callable
        `loss(w, x, y) -> 0-d tensor`: the mean over samples, for w [D]. It is run under
        `torch.func.vmap`, so it must not branch on values. A `ModuleLoss` may have buffers.
    w0 : array or tensor [D]
        The start, left unchanged. Its float dtype and device are kept.
    clients : list of pairs (x, y)
        x [samples, …], y [samples, …], of any sizes.
    algorithm : Algorithm
        `fedsgd`, `fedavg`, `fedprox` or `scaffold`.
    rounds : int
    seed : int
        Decides who takes part and in what order clients visit their samples.
    fraction : float
        The share of clients, 0 < fraction ≤ 1, drawn anew for each round, all alike and at
        least one. Their weights are divided by their sum.
    aggregate : callable
        `aggregate(updates [clients, D]) -> [D]`. `mean` weighs clients as the algorithm
        says, and is summed block by block: no more than a block's updates are ever held.
        Any other function gets all updates of the round at once, and no weights.
    compress : Compressor or ErrorFeedback, optional
        What the clients' messages go through. Buffers and what SCAFFOLD sends besides are
        sent whole.
    privacy : ClientPrivacy, optional
        Clients then take part by a coin each, with the chance `fraction`, and count alike.
    faults : Faults, optional
        What goes wrong. Without them an update that is not finite ends the run; with them
        it is refused, and the run ends if no client of a round made a finite one.
    every : int
        Record every so many rounds; the start and the end are always recorded.
    until : callable, optional
        `until(w) -> bool`, asked after each round: True ends the run.
    vectorize : bool
        Work on a block of clients at once; otherwise on one after the other. The numbers
        agree to rounding.
    block : int
        How many clients at once, at most: memory grows with it, not with the clients.

    Returns
    -------
    FederatedTrace

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong; among others, if a client has no samples or NaN in them, or
        loss is no mean over samples.
    Divergence
        A `FloatingPointError`, if an update, the parameters or a recorded loss are no
        longer finite. It names the round and keeps the trace.

    Examples
    --------
    Two clients with the losses ½ h (w − c)²; the mean of both is least at 10/11.

    >>> import torch
    >>> def parabola(w, h, c):
    ...     return (h * (w - c).square()).mean() / 2
    >>> clients = [(torch.tensor([h]), torch.tensor([c])) for h, c in ((1.0, 0.0), (10.0, 1.0))]
    >>> from course_lib.federated import fedavg, scaffold
    >>> for algorithm in fedavg(1, 0.05), fedavg(100, 0.05), scaffold(100, 0.05):
    ...     trace = simulate(parabola, torch.zeros(1), clients, algorithm, rounds=200, seed=0)
    ...     print(f"{trace.w[-1, 0]:.3f}")
    0.909
    0.501
    0.909
    """
    if compress is not None and not isinstance(compress, (Compressor, ErrorFeedback)):
        raise TypeError(f"compress must be one such as ErrorFeedback(top_k(100)) or None, got {compress!r}")
    if faults is not None and not isinstance(faults, Faults):
        raise TypeError(f"faults must be Faults(...) or None, got {faults!r}")
    if not isinstance(vectorize, bool):
        raise TypeError(f"vectorize must be True or False, got {vectorize!r}")
    w, data = prepared(loss, w0, clients, algorithm, until)
    rounds, every, block = count("rounds", rounds), count("every", every), count("block", block)
    strict = {} if faults is None else {"limit": faults.limit, "quorum": faults.quorum}
    buffers = getattr(loss, "buffers", 0)
    server = Server(
        w, algorithm, data.sizes, seed, fraction=fraction, aggregate=aggregate, buffers=buffers, privacy=privacy, **strict
    )
    batched, block = (vmap, block) if vectorize else (one_by_one, 1)
    run = Federation(loss, data, server, batched, block, compress, faults)
    for r in progress(range(rounds), algorithm.name):
        run.round()
        done = r + 1 == rounds or (until is not None and bool(until(server.w)))
        if done or (r + 1) % every == 0:
            run.record()
        if done:
            break
    return run.trace()


def prepared(loss, w0, clients, algorithm, until):
    """A federation's start, a tensor of its own, and its data, all checked."""
    if not callable(loss):
        raise TypeError(f"loss must be callable, got {loss!r}")
    if not isinstance(algorithm, Algorithm):
        raise TypeError(f"algorithm must be one such as fedavg(5, lr=0.1), got {algorithm!r}")
    if until is not None and not callable(until):
        raise TypeError(f"until must be a function or None, got {until!r}")
    w = parameters("w0", w0).clone()
    data = ClientData(clients, like=w)
    check_is_mean(loss, w, data)
    return w, data

"""Families of problems, a batch at a time, on which a rule is learned and judged; and what is best on them."""

import numpy as np
import torch

from course_lib.graphs.meta_training import Problems
from course_lib.validation import count, number


def graph_quadratics(rng, problems, nodes, *, neighbors=4, shift=0.05):
    """½wᵀHw − bᵀw with H = L + εI, L the Laplacian of a graph of near points in the plane.

    The parameters are the nodes, and the edges are where H has entries: a gradient and a message
    cost one product with a matrix of the same pattern each.

    Parameters
    ----------
    rng : numpy.random.Generator
    problems, nodes, neighbors : int
        Each point is joined to its `neighbors` nearest; an edge counts both ways.
    shift : float
        ε > 0, the smallest curvature.

    Returns
    -------
    Problems
        w [problems, nodes]. `loss` is the share of the excess that is left,
        (f(w) − f*) / (f(0) − f*). `graph` holds `H`, `b`, the `eigenvalues` of H, ascending, and
        `message`, the product with D^(−½) A D^(−½).

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> batch = graph_quadratics(np.random.default_rng(0), problems=2, nodes=20)
    >>> batch.w0.shape, batch.loss(batch.w0).round(decimals=9).tolist()
    (torch.Size([2, 20]), [1.0, 1.0])
    """
    check_generator(rng)
    problems, nodes = count("problems", problems), count("nodes", nodes, least=2)
    neighbors, shift = count("neighbors", neighbors), number("shift", shift, above=0)
    if neighbors >= nodes:
        raise ValueError(f"neighbors must be fewer than the {nodes} nodes, got {neighbors}")
    points = rng.uniform(size=(problems, nodes, 2))
    apart = ((points[:, :, None] - points[:, None]) ** 2).sum(-1) + 10 * np.eye(nodes)
    near = np.argsort(apart, -1, kind="stable")[..., :neighbors]
    A = np.zeros((problems, nodes, nodes))
    np.put_along_axis(A, near, 1.0, -1)
    A = torch.tensor(np.maximum(A, A.swapaxes(1, 2)))
    degree = A.sum(-1)
    H = laplacian(A) + shift * torch.eye(nodes, dtype=A.dtype)
    b = torch.tensor(rng.standard_normal((problems, nodes)))
    best = torch.linalg.solve(H, b)
    P = A / (degree[:, :, None] * degree[:, None]).sqrt()

    def loss(w):
        away = w - best
        return (away * times(H, away)).sum(-1) / (b * best).sum(-1)

    graph = {"H": H, "b": b, "eigenvalues": torch.linalg.eigvalsh(H), "message": lambda x: times(P, x)}
    return Problems(torch.zeros_like(b), lambda w, t: times(H, w) - b, loss, graph)


def task_graphs(rng, problems, *, tasks=24, size=4, features=8, samples=6, noise=0.5, spread=0.3, lies=0.0):
    """Related regressions: tasks in groups, the members of a group joined to each other.

        w*ₜ = √(1 − s²) centre + s own,   y = x · w*ₜ + σ noise

    Every task has fewer samples than it needs. A share of the edges may lie: each of these joins
    two tasks drawn at random.

    Parameters
    ----------
    rng : numpy.random.Generator
    problems, tasks, size, features, samples : int
        `size` tasks make a group.
    noise, spread, lies : float
        σ > 0; s in (0, 1]; a share in [0, 1].

    Returns
    -------
    Problems
        w [problems, tasks, features]. `grad` is that of the samples; `loss` is the excess of the
        test error, |w − w*|² a task. `graph` holds `adjacency`, the tasks' `hessian` and `slope`,
        and `prior`: `penalised(problems, problems.graph["prior"])` is the posterior mean, which
        knows the groups, σ and s. No method does better on average.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> batch = task_graphs(np.random.default_rng(0), problems=4)
    >>> posterior = penalised(batch, batch.graph["prior"])
    >>> (batch.loss(posterior) < 0.2 * batch.loss(batch.w0)).all()
    tensor(True)
    """
    check_generator(rng)
    problems, tasks, size = count("problems", problems), count("tasks", tasks, least=2), count("size", size)
    features, samples = count("features", features), count("samples", samples)
    noise, spread = number("noise", noise, above=0), number("spread", spread, above=0, most=1)
    lies = number("lies", lies, least=0, most=1)
    if tasks % size:
        raise ValueError(f"size must divide the {tasks} tasks, got {size}")
    group = np.arange(tasks) // size
    centre = rng.standard_normal((problems, tasks // size, features))[:, group]
    true = np.sqrt(1 - spread**2) * centre + spread * rng.standard_normal((problems, tasks, features))
    x = rng.standard_normal((problems, tasks, samples, features))
    y = np.einsum("btnd,btd->btn", x, true) + noise * rng.standard_normal((problems, tasks, samples))
    adjacency = np.stack([_group_edges(rng, group, lies) for _ in range(problems)])
    hessian = torch.tensor(np.einsum("btni,btnj->btij", x, x) / samples)
    slope = torch.tensor(np.einsum("btni,btn->bti", x, y) / samples)
    alike = (1 - spread**2) * (group[:, None] == group) + spread**2 * np.eye(tasks)
    true, prior = torch.tensor(true), torch.tensor(np.linalg.inv(alike) * noise**2 / samples)
    graph = {"adjacency": torch.tensor(adjacency), "hessian": hessian, "slope": slope, "prior": prior}
    return Problems(
        torch.zeros_like(slope),
        lambda w, t: times(hessian, w) - slope,
        lambda w: ((w - true) ** 2).sum(-1).mean(-1),
        graph,
    )


def _group_edges(rng, group, lies):
    A = np.zeros((len(group), len(group)))
    for i, j in zip(*np.nonzero(np.triu(group[:, None] == group, 1))):
        if rng.random() < lies:
            i, j = rng.choice(len(group), 2, replace=False)
        A[i, j] = A[j, i] = 1.0
    return A


def penalised(problems, Q):
    """argmin Σₜ (½wₜᵀHₜwₜ − hₜᵀwₜ) + ½ Σₛₜ Qₛₜ wₛ · wₜ over all tasks at once, in closed form.

    Q = λ `laplacian(adjacency)` + ρI is the penalty λ/2 Σ |wₛ − wₜ|² over the edges, with a ridge ρ.

    Parameters
    ----------
    problems : Problems
        Of `task_graphs`.
    Q : tensor [..., tasks, tasks]
        Symmetric and positive definite.

    Returns
    -------
    tensor [problems, tasks, features]

    Examples
    --------
    >>> batch = task_graphs(np.random.default_rng(0), problems=2)
    >>> ridge = penalised(batch, 0.03 * torch.eye(24, dtype=torch.float64))
    >>> stiff = penalised(batch, 1e6 * laplacian(batch.graph["adjacency"]) + 0.03 * torch.eye(24, dtype=torch.float64))
    >>> (ridge[:, 0] - ridge[:, 1]).norm() > 1e3 * (stiff[:, 0] - stiff[:, 1]).norm()
    tensor(True)
    """
    hessian, slope = of_tasks(problems, "hessian", "slope")
    batch, tasks, features = slope.shape
    if tuple(Q.shape[-2:]) != (tasks, tasks):
        raise ValueError(f"Q must have shape [..., {tasks}, {tasks}], got {list(Q.shape)}")
    A = Q[..., :, None, :, None] * torch.eye(features, dtype=slope.dtype)[:, None, :]
    A = A.expand(batch, tasks, features, tasks, features).clone()
    each = torch.arange(tasks)
    A[:, each, :, each, :] += hessian.transpose(0, 1)
    side = tasks * features
    return torch.linalg.solve(A.reshape(batch, side, side), slope.reshape(batch, side)).reshape(slope.shape)


def robust_penalised(problems, pull, ridge, width, rounds=15):
    """The penalty λc² Σ over edges (1 − exp(−|wₛ − wₜ|²/2c²)), by reweighting: an edge too long is let go.

    Every round solves `penalised` with the edges weighted by exp(−|wₛ − wₜ|²/2c²), the first
    weights being those of the ridge alone (Welsch's function; P. W. Holland, R. E. Welsch,
    Communications in Statistics A6 (1977), 813–827).

    Parameters
    ----------
    problems : Problems
        Of `task_graphs`.
    pull, ridge, width : float
        λ, ρ and c, > 0.
    rounds : int

    Returns
    -------
    tensor [problems, tasks, features]

    Examples
    --------
    >>> batch = task_graphs(np.random.default_rng(0), problems=8, lies=0.3)
    >>> eye, L = torch.eye(24, dtype=torch.float64), laplacian(batch.graph["adjacency"])
    >>> robust, plain = robust_penalised(batch, 0.3, 0.03, 1.0), penalised(batch, 0.03 * L + 0.001 * eye)
    >>> batch.loss(robust).mean() < batch.loss(plain).mean()
    tensor(True)
    """
    pull, ridge, width = (number(name, value, above=0) for name, value in
                          (("pull", pull), ("ridge", ridge), ("width", width)))
    adjacency, = of_tasks(problems, "adjacency")
    alone = ridge * torch.eye(adjacency.shape[-1], dtype=adjacency.dtype)
    w = penalised(problems, alone)
    for _ in range(count("rounds", rounds)):
        square = ((w[:, :, None] - w[:, None]) ** 2).sum(-1)
        w = penalised(problems, pull * laplacian(adjacency * (-square / (2 * width**2)).exp()) + alone)
    return w


def laplacian(adjacency):
    """D − A: the quadratic form of Σ (xᵢ − xⱼ)² over the edges.

    Parameters
    ----------
    adjacency : tensor [..., nodes, nodes]
        Symmetric.

    Returns
    -------
    tensor [..., nodes, nodes]
    """
    return torch.diag_embed(adjacency.sum(-1)) - adjacency


def times(M, x):
    """The product of matrices [..., n, n] and vectors [..., n]."""
    return (M @ x[..., None])[..., 0]


def of_tasks(problems, *names):
    """Parts of the graph of tasks, or an error unless there is one."""
    graph = getattr(problems, "graph", None)
    if not isinstance(graph, dict) or not {*names} <= {*graph}:
        raise TypeError(f"problems must be those of task_graphs, got {problems!r}")
    return [graph[name] for name in names]


def check_generator(rng):
    """An error unless it is a generator of random numbers."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, got {rng!r}")

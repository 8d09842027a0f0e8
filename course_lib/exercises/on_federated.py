"""The exercises of the chapter on federated optimization."""

from functools import cache

import numpy as np

from course_lib.exercises import federated_answers as answers
from course_lib.exercises.exercise import Exercise, is_close


def _rest(answer):
    if is_close(answer, 0.875 / 1.4375, 0.01):
        return None
    if is_close(answer, 0.4, 0.01):
        return "That is the minimum of the mean loss; with two steps a round FedAvg ends elsewhere."
    if is_close(answer, 1.0, 0.01):
        return "That is the middle of the two minima, where endless local work would end."
    if is_close(answer, 2 * 0.4375, 0.01):
        return "Divide by the sum of the shares: Σ aᵢcᵢ / Σ aᵢ."
    return "a₁ = 1 − (1 − 0.25)², a₂ = 1 − (1 − 1)², then Σ aᵢcᵢ / Σ aᵢ."


Exercise(
    "federated-1", _rest,
    accepted=(0.875 / 1.4375, 0.6087, [0.609]),
    rejected=((0.4, "mean loss"), (1.0, "middle"), (0.875, "Divide"), (0.5, "then Σ aᵢcᵢ")),
)

_MENDS, _ALL = frozenset("cef"), frozenset("abcdefg")
_WHY = {
    "a": "a multiple of a mean that is zero is zero: the server's rate does not move the rest",
    "b": "Adam gets the same mean, and where that is zero it does not move either",
    "d": "a smaller rate makes the bias smaller, and never zero",
    "g": "a stronger spring makes the bias smaller, and never zero",
}


def _mends(answer):
    if isinstance(answer, str):
        letters = frozenset(answer.lower().replace(",", "").replace(" ", ""))
    else:
        letters = frozenset(str(each).lower() for each in answer)
    if letters - _ALL:
        return "Give the letters that mend it, from a to g, such as \"ab\"."
    if letters == _MENDS:
        return None
    for letter in sorted(letters - _MENDS):
        return f"Not {letter}: {_WHY[letter]}."
    return f"Something is missing: {len(_MENDS - letters)} more of them give the right place exactly."


Exercise(
    "federated-2", _mends,
    accepted=("cef", "F, E, C", ["c", "e", "f"], {"e", "c", "f"}),
    rejected=(("ce", "1 more"), ("acef", "Not a"), ("bcef", "Not b"), ("cdef", "Not d"), ("cefg", "Not g"),
              ("xyz", "letters"), ("", "3 more")),
)


def _fedprox(answer):
    if not callable(answer):
        return "A function is asked for: fedprox_rest(h, c, p, eta, K, mu)."
    for seed, K, mu in ((0, 3, 0.5), (1, 1, 2.0), (2, 20, 0.1)):
        rng = np.random.default_rng(seed)
        h, c, p = rng.uniform(0.5, 8, 4), rng.normal(size=4), rng.dirichlet(np.ones(4))
        found = answer(h.copy(), c.copy(), p.copy(), 0.1, K, mu)
        if is_close(found, answers.fedprox_rest(h, c, p, 0.1, K, mu), 1e-6):
            continue
        if is_close(found, answers.fedprox_rest(h, c, p, 0.1, K, 0.0), 1e-6):
            return "That is FedAvg: the spring adds μ to the curvature, and a client's goal is no longer its own minimum."
        if is_close(found, answers.fedprox_rest(h, c, np.ones(4) / 4, 0.1, K, mu), 1e-6):
            return "Clients count by their weights p."
        a = h / (h + mu)
        if is_close(found, (p * a * c).sum() / (p * a).sum(), 1e-6):
            return "That is for K without end: with K steps a client gets only part of the way."
        a = 1 - (1 - 0.1 * (h + mu)) ** K
        if is_close(found, (p * a * c).sum() / (p * a).sum(), 1e-6):
            return "The goal lies between the server and cᵢ: only the share h/(h + μ) of the way."
        return "Write down one step for d, find where it ends up, and how much of the way K steps go."
    return None


Exercise(
    "federated-3", _fedprox,
    accepted=(answers.fedprox_rest, answers.fedprox_rest_by_steps),
    rejected=(
        (lambda h, c, p, eta, K, mu: answers.fedprox_rest(h, c, p, eta, K, 0.0), "FedAvg"),
        (lambda h, c, p, eta, K, mu: answers.fedprox_rest(h, c, np.ones(4) / 4, eta, K, mu), "weights p"),
        (lambda h, c, p, eta, K, mu: answers.fedprox_rest(h, c, p, eta, 10**6, mu), "without end"),
        (lambda h, c, p, eta, K, mu: (lambda a: (p * a * c).sum() / (p * a).sum())(1 - (1 - eta * (h + mu)) ** K), "share h"),
        (lambda h, c, p, eta, K, mu: 0.0, "one step"), (0.6, "function"),
    ),
)


def _normalised(answer):
    if not callable(answer):
        return "A function is asked for: normalised(d, steps, p)."
    for seed in range(3):
        rng = np.random.default_rng(seed)
        d, steps, p = rng.normal(size=(4, 3)), rng.integers(1, 9, 4), rng.dirichlet(np.ones(4))
        found = np.asarray(answer(d.copy(), steps.copy(), p.copy()), dtype=float)
        if found.shape != (3,):
            return f"One move of 3 numbers is asked for, got shape {found.shape}."
        if np.allclose(found, answers.normalised(d, steps, p)):
            continue
        if np.allclose(found, p @ d):
            return "That is FedAvg: who made more steps counts more."
        if np.allclose(found, (p / steps) @ d):
            return "That is a single step's worth: multiply by the mean number of steps, Σ pᵢKᵢ."
        if np.allclose(found, steps.mean() * ((p / steps) @ d)):
            return "The mean number of steps is weighed by p too."
        return "Divide each move by its number of steps, average with weights p, multiply by Σ pᵢKᵢ."
    return None


Exercise(
    "federated-4", _normalised,
    accepted=(answers.normalised, answers.normalised_one_by_one),
    rejected=(
        (lambda d, steps, p: p @ d, "FedAvg"), (lambda d, steps, p: (p / steps) @ d, "single step"),
        (lambda d, steps, p: steps.mean() * ((p / steps) @ d), "by p too"), (lambda d, steps, p: d.sum(0), "Divide each"),
        (lambda d, steps, p: d, "got shape"), (1.0, "function"),
    ),
)


def _expected(answer):
    if not callable(answer):
        return "A function is asked for: expected_weights(sizes, m)."
    for sizes, m in (([1, 1, 2, 6], 2), ([3, 5, 2], 1), ([4, 1, 1, 7, 2], 3), ([2, 9], 2)):
        found, right = np.asarray(answer(list(sizes), m), dtype=float), answers.expected_weights(sizes, m)
        if found.shape != right.shape:
            return f"{len(sizes)} weights are asked for, one a client, got shape {found.shape}."
        if np.allclose(found, right):
            continue
        if np.allclose(found, np.array(sizes) / np.sum(sizes)):
            return "These are the weights one would wish for; drawing and dividing by the sum of the drawn gives others."
        if np.allclose(found, right * len(sizes) / m):
            return "A client that is not drawn has weight 0 in that round: it counts in the mean as well."
        return "For each set of m clients: sizes over their sum, 0 for the others. Then the mean over all sets."
    return None


Exercise(
    "federated-5", _expected,
    accepted=(answers.expected_weights, answers.expected_weights_by_masks),
    rejected=(
        (lambda sizes, m: np.array(sizes) / np.sum(sizes), "wish for"),
        (lambda sizes, m: answers.expected_weights(sizes, m) * len(sizes) / m, "not drawn"),
        (lambda sizes, m: np.ones(len(sizes)) / len(sizes), "each set"), (lambda sizes, m: 1.0, "weights are asked"),
        ([0.1, 0.9], "function"),
    ),
)


@cache
def _federation():
    """Fifty clients with two shards each that nobody has seen, and the error of FedAvg at a rate tuned beforehand."""
    import torch

    from course_lib import datasets, fedavg
    from course_lib.federated import partition
    from course_lib.training import mlp_task

    data = datasets.load("digits", seed=1, standardize=False)
    x, y = (torch.tensor(np.concatenate([getattr(part, k) for part in (data.train, data.validation)])) for k in "xy")
    clients = [((x[part] / 16).float(), y[part]) for part in partition.shards(y, 50, 2, seed=77)]
    task = mlp_task("digits", hidden=(64,))
    test = (torch.tensor(data.test.x / 16).float(), torch.tensor(data.test.y))
    setting = task.loss, task.metric, task.draw(1).w0.float(), clients, test
    return setting, _error(fedavg(10, 0.5, 10), setting)


def _error(algorithm, setting):
    """The share of errors on test digits, mean over the last ten of forty rounds."""
    import torch

    from course_lib import simulate

    loss, metric, w0, clients, test = setting
    trace = simulate(loss, w0, clients, algorithm, 40, seed=0, fraction=0.2)
    return float(np.mean([float(metric(torch.tensor(w), *test)) for w in trace.w[-10:]]))


def _better(answer):
    from course_lib.federated import Algorithm

    if not isinstance(answer, Algorithm):
        return f"An Algorithm is asked for, such as fedavg(10, 0.5, 10), got {type(answer).__name__}."
    if answer.local_steps > 10 or answer.batch_size is None or answer.batch_size > 10:
        return "At most ten local steps on batches of at most ten."
    setting, best = _federation()
    try:
        found = _error(answer, setting)
    except FloatingPointError:
        return "It diverges: the steps are too large."
    if found <= best - 0.01:
        return None
    lead = 100 * (best - found)
    return (f"{abs(lead):.1f} points {'fewer' if lead > 0 else 'more'} errors than FedAvg at a tuned rate; 1 point fewer is asked for. "
            "Which method of the chapter corrects a client's gradient? At which rate?")


Exercise(
    "federated-6", _better,
    accepted=(answers.corrected(), answers.corrected_slower()),
    rejected=((0.1, "Algorithm is asked"), ("scaffold", "Algorithm is asked")),
)

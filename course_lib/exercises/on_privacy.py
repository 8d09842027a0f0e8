"""The exercises of the chapter on updates: their bytes, their secrets and their lies."""

from functools import cache

import numpy as np

from course_lib.exercises import privacy_answers as answers
from course_lib.exercises.exercise import Exercise, is_close


def _bytes(answer):
    if is_close(answer, 270, 1e-9):
        return None
    if is_close(answer, 192, 1e-9):
        return "Those are the numbers alone; the server must also know where they stand."
    if is_close(answer, 384, 1e-9):
        return "A place needs no four bytes: ⌈log₂ 4810⌉ = 13 bits."
    if is_close(answer, 19_240, 1e-9):
        return "That is the whole update; only 48 numbers and their places are sent."
    return "48 numbers of 4 bytes and 48 places of ⌈log₂ D⌉ bits, together in whole bytes."


Exercise(
    "privacy-1", _bytes,
    accepted=(270, 270.0, np.array([270])),
    rejected=((192, "numbers alone"), (384, "13 bits"), (19_240, "whole update"), (268, "whole bytes")),
)

_KEEPS, _ALL = frozenset("adf"), frozenset("abcdefg")
_WHY = {
    "b": "a client with many samples then moves the sum by more than S",
    "c": "ten runs are ten outputs, and the choice among them looks at the data once more",
    "e": "the median is computed from the updates without any noise, and one client can move it",
    "g": "without lots in every round the accountant's q is 1 for those who are asked",
}


def _keeps(answer):
    if isinstance(answer, str):
        letters = frozenset(answer.lower().replace(",", "").replace(" ", ""))
    else:
        letters = frozenset(str(each).lower() for each in answer)
    if letters - _ALL:
        return "Give the letters that keep the promise, from a to g, such as \"ab\"."
    if letters == _KEEPS:
        return None
    for letter in sorted(letters - _KEEPS):
        return f"Not {letter}: {_WHY[letter]}."
    return f"Something is missing: {len(_KEEPS - letters)} more of them keep it; what is made of the output alone is always safe."


Exercise(
    "privacy-2", _keeps,
    accepted=("adf", "F, D, A", ["a", "d", "f"], {"a", "f", "d"}),
    rejected=(("ad", "1 more"), ("abdf", "Not b"), ("acdf", "Not c"), ("adef", "Not e"), ("adfg", "Not g"), ("xyz", "letters"),
              ("", "3 more")),
)


def _masked(answer):
    if not callable(answer):
        return "A function is asked for: masked(number, i, secrets, modulus)."
    for seed, clients, modulus in ((0, 3, 100), (1, 5, 2**32), (2, 2, 7)):
        rng = np.random.default_rng(seed)
        numbers = [int(n) for n in rng.integers(modulus // clients, size=clients)]
        pairs = [(a, b) for a in range(clients) for b in range(a + 1, clients)]
        secrets = {pair: int(rng.integers(modulus)) for pair in pairs}
        sent = [answer(number, i, dict(secrets), modulus) for i, number in enumerate(numbers)]
        right = [answers.masked(number, i, secrets, modulus) for i, number in enumerate(numbers)]
        if all(int(a) == b for a, b in zip(sent, right)):
            continue
        if all((int(a) - b) % modulus == 0 for a, b in zip(sent, right)):
            return "Take what is sent modulo the modulus: a number outside says something about what it hides."
        if all(int(a) == b for a, b in zip(sent, numbers)):
            return "That is the number itself, without a mask."
        if sum(map(int, sent)) % modulus == sum(numbers) % modulus:
            return "The sum is right, but of a pair (a, b) client a shall add and client b subtract."
        return "The masks do not cancel: of each pair that holds i, add the secret if i is the first, subtract it if it is the second."
    return None


Exercise(
    "privacy-3", _masked,
    accepted=(answers.masked, answers.masked_by_sums),
    rejected=(
        (lambda number, i, secrets, modulus: number, "without a mask"),
        (lambda number, i, secrets, modulus: number + sum(s * ((k[0] == i) - (k[1] == i)) for k, s in secrets.items()), "outside"),
        (lambda number, i, secrets, modulus: answers.masked(number, i, {k: -s for k, s in secrets.items()}, modulus), "client a shall"),
        (lambda number, i, secrets, modulus: (number + sum(s for k, s in secrets.items() if i in k)) % modulus, "do not cancel"),
        (67, "function"),
    ),
)


def _scaled(answer):
    if not callable(answer):
        return "A function is asked for: scaled_qsgd(v, s, rng)."
    for seed, size, s in ((0, 200, 1), (1, 50, 2), (2, 300, 4)):
        rng = np.random.default_rng(seed)
        v = rng.normal(size=size)
        found = np.array([answer(v.copy(), s, np.random.default_rng([seed, i])) for i in range(400)], dtype=float)
        if found.shape != (400, size):
            return f"An array as long as v is asked for, {size} numbers, got shape {found.shape[1:]}."
        omega = answers.relative_variance(v, s)
        error, squares = ((found - v) ** 2).sum(1).mean() / (v @ v), (found.mean(0) @ v) / (v @ v)
        if abs(error / (omega / (1 + omega)) - 1) < 0.1 and abs(squares * (1 + omega) - 1) < 0.1:
            continue
        if abs(squares - 1) < 0.1:
            return "That is right in the mean, so c = 1; a smaller c has a bias, less variance, and a smaller error."
        if error >= 1:
            return "The error is no shorter than v. Write E‖cQ − v‖² as a square in c: E‖Q‖² = (1 + ω)‖v‖², E Q·v = ‖v‖²."
        return "Not the least error: E‖cQ − v‖² = (c²(1 + ω) − 2c + 1) ‖v‖² is least where its slope in c is zero."
    return None


Exercise(
    "privacy-4", _scaled,
    accepted=(answers.scaled_qsgd, answers.scaled_qsgd_by_coins),
    rejected=(
        (answers.quantized, "right in the mean"), (lambda v, s, rng: 2 * answers.quantized(v, s, rng), "no shorter"),
        (lambda v, s, rng: 0.5 * answers.scaled_qsgd(v, s, rng), "slope in c"), (lambda v, s, rng: v[:1], "as long as v"),
        (0.5, "function"),
    ),
)


def _rdp_noise(epsilon, T, delta):
    """What the accountant asks for, with orders of all sizes: T/(2σ²) + √(2 T log(1/δ))/σ = ε."""
    u = np.sqrt(2 * np.log(1 / delta))
    return np.sqrt(T) / (np.sqrt(u**2 + 2 * epsilon) - u)


def _noise(answer):
    if not callable(answer):
        return "A function is asked for: noise(epsilon, T, delta)."
    for epsilon, T, delta in ((1.0, 1, 1e-5), (8.0, 30, 1e-5), (3.0, 100, 1e-3), (0.5, 50, 1e-6)):
        found, right = float(answer(epsilon, T, delta)), answers.noise(epsilon, T, delta)
        if abs(found - right) <= 1e-3 * right:
            continue
        if abs(found / _rdp_noise(epsilon, T, delta) - 1) < 0.01:
            return "That is what the accountant asks for, by Rényi's divergence; exactly, less is enough."
        if abs(found - answers.noise(epsilon, 1, delta)) <= 1e-3 * right:
            return "That is for one round: with T rounds the bells stand √T / σ apart."
        if abs(found - answers.noise(epsilon, 1, delta) * T) <= 1e-3 * found:
            return "The bells stand √T / σ apart, not T / σ: the noise of the rounds adds up as well."
        return "With μ = √T/σ, one world is denser by e^ε where x > ε/μ + μ/2; solve for the μ at which the excess is δ."
    return None


Exercise(
    "privacy-5", _noise,
    accepted=(answers.noise, answers.noise_by_halving),
    rejected=(
        (_rdp_noise, "accountant asks"), (lambda epsilon, T, delta: answers.noise(epsilon, 1, delta), "for one round"),
        (lambda epsilon, T, delta: answers.noise(epsilon, 1, delta) * T, "adds up"),
        (lambda epsilon, T, delta: 1.0, "one world"), (2.5, "function"),
    ),
)

_BAD = (2, 7, 11, 16)


@cache
def _federation():
    """Twenty clients with two shards each that nobody has seen, and the accuracy of their mean."""
    import torch

    from course_lib import datasets
    from course_lib.federated import mean, partition
    from course_lib.training import mlp_task

    data = datasets.load("digits", seed=1, standardize=False)
    x, y = (torch.tensor(np.concatenate([getattr(part, k) for part in (data.train, data.validation)])) for k in "xy")
    clients = [((x[part] / 16).float(), y[part]) for part in partition.shards(y, 20, 2, seed=77)]
    task = mlp_task("digits", hidden=(64,))
    setting = task.loss, task.metric, task.draw(1).w0.float(), clients, (torch.tensor(data.test.x / 16).float(), torch.tensor(data.test.y))
    return setting, _accuracy(mean, setting)


def _accuracy(average, setting, bad=()):
    """On test digits, mean over the last ten of thirty rounds; 0 where it diverges."""
    import torch

    from course_lib import fedavg, simulate
    from course_lib.federated import Faults

    loss, metric, w0, clients, test = setting
    faults = Faults(bad=bad, kinds=[lambda own, everyone: -4 * own], limit=None) if bad else None
    try:
        trace = simulate(loss, w0, clients, fedavg(10, 0.4, 10), 30, seed=0, aggregate=average, faults=faults)
    except FloatingPointError:
        return 0.0
    return float(np.mean([1 - float(metric(torch.tensor(w), *test)) for w in trace.w[-10:]]))


def _average(answer):
    if not callable(answer):
        return "A function is asked for: average(updates)."
    setting, best = _federation()
    honest = _accuracy(answer, setting)
    if honest < best - 0.04:
        return (f"With nobody bad it costs {100 * (best - honest):.1f} points against the mean, four are allowed. "
                "Whom does it leave out who is only different?")
    attacked = _accuracy(answer, setting, _BAD)
    if attacked < 0.8:
        return (f"With four that send minus four times their update {100 * attacked:.1f}% are right, 80% are asked for. "
                "What is unusual about such an update?")
    return None


def _median(updates):
    from course_lib.federated import median

    return median(updates)


Exercise(
    "privacy-6", _average,
    accepted=(answers.usual_lengths, answers.mixed_neighbours),
    rejected=((lambda updates: updates.mean(0), "unusual about"), (_median, "only different"), (0.5, "function")),
)

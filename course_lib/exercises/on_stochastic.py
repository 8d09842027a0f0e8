"""The exercises of the chapter on stochastic gradient descent."""

from fractions import Fraction

import numpy as np

from course_lib.exercises import stochastic_answers as answers
from course_lib.exercises.exercise import Exercise, is_close


def _floor(answer):
    if is_close(answer, 16 / 75, 0.02):
        return None
    if is_close(answer, 0.16, 0.01):
        return "That leaves out ηh: it is 2 − ηh, not 2, that stands below."
    if is_close(answer, 0.5333, 0.005):
        return "That is the floor in the loss, ½h times the variance; the variance of w is asked for."
    if is_close(answer, 0.4619, 0.005):
        return "That is the deviation; the variance is its square."
    if is_close(answer, 16 / 15, 0.005):
        return "The curvature h stands below, too: steep walls hold the walker together."
    if is_close(answer, 4 / 75, 0.005):
        return "It is σ² that counts, the variance of the noise, not σ."
    return "The floor is ησ² / (h(2 − ηh))."


Exercise(
    "stochastic-1",
    _floor,
    accepted=(16 / 75, Fraction(16, 75), 0.213, [0.21], np.float32(0.2133)),
    rejected=(
        (0.16, "leaves out"),
        (8 / 15, "in the loss"),
        (0.462, "deviation"),
        (16 / 15, "curvature"),
        (4 / 75, "variance of the noise"),
        (5, "floor is"),
        ("4/9", "raised"),
    ),
)


def _share_of_variance(answer):
    value = 198 / (263 * 66)
    if is_close(answer, value, 0.002):
        return None
    if is_close(answer, 198 / 264 / 66, 0.001):
        return "The factor is (n − B)/(n − 1), not (n − B)/n: nothing is left to chance when B = n, all is when B = 1."
    if is_close(answer, 1 / 66, 0.005):
        return "That is with replacement. Four such batches read every patient exactly once."
    if is_close(answer, 198 / 263, 0.005):
        return "That is the finite-population factor alone; the B below σ² is missing."
    if is_close(answer, np.sqrt(value), 0.005):
        return "That is for the error itself; its square is asked for."
    if is_close(answer, 1 / 4, 0.01):
        return "That is the batch's share of the patients; what is left to chance is (n − B)/(n − 1), over B."
    return "Put n = 264 and B = 66 into σ²/B · (n − B)/(n − 1)."


Exercise(
    "stochastic-2",
    _share_of_variance,
    accepted=(198 / 263 / 66, Fraction(198, 263 * 66), 0.01141, [0.011407]),
    rejected=(
        (1 / 66, "with replacement"),
        (198 / 263, "missing"),
        (0.1068, "square"),
        (0.25, "left to chance"),
        (4, "Put n"),
    ),
)


def _batches(answer):
    epochs = [[np.asarray(rows) for rows in answer(10, 4, 7, epoch)] for epoch in range(3)]
    if any(rows.ndim != 1 or rows.dtype.kind not in "iu" for rows in epochs[0]):
        return "Return a list of batches, each a list or array of row numbers."
    seen = np.concatenate(epochs[0])
    if len(np.unique(seen)) < len(seen):
        return "A row came twice in one epoch: shuffle all rows, then cut, instead of drawing each anew."
    if len(seen) < 10:
        return f"Of 10 rows one epoch read {len(seen)}: the last batch, of 2, is to be kept."
    if sorted(seen) != list(range(10)) or [len(rows) for rows in epochs[0]] != [4, 4, 2]:
        return "With 10 samples and B = 4 the batches have 4, 4 and 2 rows, numbered from 0 to 9."
    if all(np.array_equal(np.concatenate(rows), np.arange(10)) for rows in epochs):
        return "The rows come in the order in which they were collected: shuffle them."
    if all(np.array_equal(np.concatenate(rows), seen) for rows in epochs):
        return "Every epoch has the same order: the generator starts afresh each time from the same seed."
    if any(np.array_equal(np.roll(seen, k), np.concatenate(rows)) for rows in epochs[1:] for k in range(1, 10)):
        return "An epoch has the order of another, begun at a later row: who follows whom must change, too."
    again = np.concatenate([np.asarray(rows) for rows in answer(10, 4, 7, 0)])
    if not np.array_equal(again, seen):
        return "The same seed and epoch gave another order: nobody could repeat your run."
    other = [np.concatenate([np.asarray(rows) for rows in answer(10, 4, 8, epoch)]) for epoch in range(2)]
    if np.array_equal(other[0], seen):
        return "Another seed must give another order."
    if np.array_equal(other[0], np.concatenate(epochs[1])):
        return "Seed 8 begins with the second epoch of seed 7: do not add them up, pass both, as [seed, epoch]."
    return None


Exercise(
    "stochastic-3",
    _batches,
    accepted=(answers.batches_of_an_epoch, answers.batches_of_an_epoch_as_lists),
    rejected=(
        (answers.batches_with_replacement, "came twice"),
        (answers.batches_without_the_rest, "to be kept"),
        (answers.batches_always_the_same, "same order"),
        (answers.batches_in_order, "were collected"),
        (answers.batches_by_chance, "repeat your run"),
        (answers.batches_rolled, "later row"),
        (lambda n, B, seed, epoch: answers.batches_of_an_epoch(n, B, seed + epoch, 0), "do not add"),
        (lambda n, B, seed, epoch: answers.batches_of_an_epoch(n, B, 0, epoch), "Another seed"),
        (lambda n, B, seed, epoch: answers.batches_of_an_epoch(n, B + 1, seed, epoch), "4, 4 and 2"),
        (lambda n, B, seed, epoch: [0.5, 1.5], "row numbers"),
    ),
)


def _noise_scale(answer):
    for signal, noise, small, big in ((2.0, 30.0, 1, 10), (0.5, 80.0, 8, 32), (3.0, 0.6, 2, 4)):
        means = signal + noise / small, signal + noise / big
        found = answer(*means, small, big)
        if is_close(found, noise / signal, 1e-6):
            continue
        if is_close(found, signal / noise, 1e-6):
            return "Upside down: it is the noise over the signal."
        if is_close(found, noise, 1e-6):
            return "That is σ² alone; divide it by the squared length of the full gradient."
        if is_close(found, noise / means[1], 1e-6):
            return "The big batch is not exact either: take its share of the noise, σ²/B, off its square."
        if is_close(found, -noise / signal, 1e-6):
            return "The sign is wrong: small batches have the longer gradients."
        return "E‖ĝ‖² = ‖g‖² + σ²/B for both sizes: two equations, for ‖g‖² and σ². Solve them."
    return None


Exercise(
    "stochastic-4",
    _noise_scale,
    accepted=(answers.noise_over_signal, answers.noise_over_signal_by_elimination),
    rejected=(
        (lambda *given: 1 / answers.noise_over_signal(*given), "Upside down"),
        (lambda s, b, m, n: (s - b) / (1 / m - 1 / n), "alone"),
        (lambda s, b, m, n: (s - b) / (1 / m - 1 / n) / b, "not exact"),
        (lambda *given: -answers.noise_over_signal(*given), "sign"),
        (lambda s, b, m, n: s / b, "two equations"),
        (3.0, "raised"),
    ),
)


def _best_rates(answer):
    for m, h, sigma in ((4.0, 1.0, 1.0), (9.0, 0.5, 2.0), (0.1, 3.0, 1.5)):
        rates = np.asarray(answer(m, h, sigma, 20), dtype=float)
        if rates.shape != (20,):
            return f"Return one rate for each of the 20 steps, got shape {rates.shape}."
        expected = answers.greedy_rates(m, h, sigma, 20)
        if np.allclose(rates, expected, rtol=1e-6):
            continue
        if np.allclose(rates, 1 / (h * np.arange(1, 21)), rtol=1e-6):
            return "Close: that forgets the start, as if nothing were known there (m infinite)."
        if np.allclose(rates, rates[0]):
            return "A constant rate ends at its floor: what is m after the first step?"
        if is_close(rates[0], expected[0], 1e-6):
            return "The first rate is right. Then m changes: (1 − ηh)²m + η²σ²."
        return f"From m = {m:g} with h = {h:g} and σ = {sigma:g} the first rate is not the best. Set a derivative to 0."
    return None


Exercise(
    "stochastic-5",
    _best_rates,
    accepted=(answers.greedy_rates, answers.greedy_rates_at_once),
    rejected=(
        (lambda m, h, sigma, steps: 1 / (h * np.arange(1, steps + 1)), "forgets the start"),
        (lambda m, h, sigma, steps: np.full(steps, h * m / (h * h * m + sigma**2)), "constant"),
        (lambda m, h, sigma, steps: h * m / (h * h * m + sigma**2) / np.arange(1, steps + 1), "first rate is right"),
        (lambda m, h, sigma, steps: 0.1 / np.arange(1, steps + 1), "derivative"),
        (lambda m, h, sigma, steps: 0.1, "one rate for each"),
    ),
)


class _TooManyCalls(Exception):
    pass


def _below_the_floor(answer):
    n, calls = 400, 16_000
    for seed in range(2):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((n, 5)) * [1.0, 0.3, 0.1, 0.05, 0.025]
        X /= np.linalg.norm(X, axis=1, keepdims=True)
        y = X @ rng.standard_normal(5) + 0.5 * rng.standard_normal(n)
        A = X.T @ X / n
        best, made = np.linalg.solve(A, X.T @ y / n), 0

        def grad(w, i):
            nonlocal made
            made += 1
            if made > calls:
                raise _TooManyCalls
            return X[i] * (X[i] @ w - y[i])

        try:
            w = np.asarray(answer(grad, n, np.zeros(5), calls), dtype=float)
        except _TooManyCalls:
            return f"More than {calls:,} gradients were asked for: each call of grad counts as one."
        if w.shape != (5,) or not np.isfinite(w).all():
            return "Return the final weights, an array of w0's shape, all finite."
        left = (w - best) @ A @ (w - best) / (best @ A @ best)
        if left > 1e-6:
            return (
                f"After {made:,} gradients the excess loss is {left:.1g} of the start's; a millionth "
                "is asked for. Noise that vanishes needs a memory of what each sample said; with one, try "
                "rates between 0.1 and 0.5, and look at the sign of the correction."
            )
    return None


Exercise(
    "stochastic-6",
    _below_the_floor,
    accepted=(answers.saga, answers.svrg),
    rejected=(
        (answers.plain_sgd, "millionth"),
        (answers.decayed_sgd, "millionth"),
        (answers.averaged_sgd, "millionth"),
        (answers.full_descent, "millionth"),
        (answers.full_heavy_ball, "millionth"),
        (lambda grad, n, w, calls: answers.saga(grad, n, w, 2 * calls), "More than"),
        (lambda grad, n, w, calls: 0.0, "final weights"),
    ),
)

"""Answers to the exercises on transfer, right and wrong, that the judges are held to."""

import numpy as np


def weighted_mean(weights, c):
    return float((weights * c).sum() / weights.sum())


def meta_starts(h, c, lr, steps):
    h, c = np.asarray(h, float), np.asarray(c, float)
    left = (1 - lr * h) ** steps
    return [weighted_mean(weights, c) for weights in (h, 1 - left, h * left, h * left**2)]


def meta_starts_by_descent(h, c, lr, steps):
    """The same from the meta-gradients, which are affine in the start."""
    h, c = np.asarray(h, float), np.asarray(c, float)

    def gradients(w):
        end = c + (1 - lr * h) ** steps * (w - c)
        return np.array([each.sum() for each in (h * (w - c), w - end, h * (end - c), h * (1 - lr * h) ** steps * (end - c))])

    at_zero = gradients(0.0)
    return -at_zero / (gradients(1.0) - at_zero)


def unfreeze(layers, step, every):
    return [1.0 if layer >= layers - 1 - step // every else 0.0 for layer in range(layers)]


def unfreeze_from_the_top(layers, step, every):
    free = min(layers, 1 + step // every)
    return np.array([0] * (layers - free) + [1] * free)


def best_guess(X, y, w0, tau, noise):
    spread = np.asarray(tau) ** 2 * X                                 # X Φ, [n, D]
    return w0 + spread.T @ np.linalg.solve(spread @ X.T + noise * np.eye(len(X)), y - X @ w0)


def best_guess_by_weights(X, y, w0, tau, noise):
    """The same as a penalised least-squares problem in D unknowns."""
    penalty = noise / np.asarray(tau) ** 2
    return np.linalg.solve(X.T @ X + np.diag(penalty), X.T @ y + penalty * w0)


def tasks_with_two_blocks():
    """Ten tasks: (X, y, w0, tau, noise), the first half of the weights expected to move less."""
    rng, tasks = np.random.default_rng(3), []
    for noise in (0.05, 0.5):
        for _ in range(5):
            tau = np.repeat([0.1, 1.0], 6)
            w0, X = rng.standard_normal(12), rng.standard_normal((8, 12))
            w = w0 + tau * rng.standard_normal(12)
            tasks.append((X, X @ w + np.sqrt(noise) * rng.standard_normal(8), w0, tau, noise))
    return tasks


STRENGTHS = np.geomspace(1e-3, 1e3, 13)


def pulled(X, y, w0, lam):
    """L2 towards the start in closed form."""
    return w0 + X.T @ np.linalg.solve(X @ X.T + lam * np.eye(len(X)), y - X @ w0)


def choose_strength(X, y, w0):
    """The λ with the least leave-one-out error, by the formula of ridge regression."""
    residual, gram = y - X @ w0, X @ X.T
    errors = []
    for lam in STRENGTHS:
        left = lam * np.linalg.inv(gram + lam * np.eye(len(X)))       # 1 − hat matrix
        errors.append(((left @ residual / np.diag(left)) ** 2).mean())
    return float(STRENGTHS[np.argmin(errors)])


def choose_strength_by_refitting(X, y, w0):
    """The same, each sample left out in turn."""
    def error(lam):
        kept = [np.arange(len(X)) != i for i in range(len(X))]
        return np.mean([(X[~k] @ pulled(X[k], y[k], w0, lam) - y[~k]) ** 2 for k in kept])

    return float(min(STRENGTHS, key=error))


def regret(choose):
    """Mean risk with the chosen strengths over that with the best fixed one of each world, and what was chosen."""
    rng, chosen, ratios = np.random.default_rng(5), [], []
    for move in (0.05, 1.0):
        risks, best = [], []
        for _ in range(30):
            w0, X = rng.standard_normal(20), rng.standard_normal((15, 20))
            w = w0 + move * rng.standard_normal(20)
            y = X @ w + 0.5 * rng.standard_normal(15)
            lam = float(choose(X.copy(), y.copy(), w0.copy()))
            chosen.append(lam)
            risks.append(((pulled(X, y, w0, lam) - w) ** 2).sum())
            best.append([((pulled(X, y, w0, each) - w) ** 2).sum() for each in STRENGTHS])
        ratios.append(np.mean(risks) / np.mean(best, axis=0).min())
    return ratios, np.array(chosen)

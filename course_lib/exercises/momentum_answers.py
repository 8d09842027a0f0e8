"""Answers to the exercises on momentum, right and wrong, that the judges are held to."""

import numpy as np

from course_lib.update_rules import Rule


def critical_by_search(lr, h):
    """The best β of the averaged form, by looking: the larger root of its recursion."""
    betas = np.linspace(0, 1, 200_001)
    b = 1 + betas - lr * (1 - betas) * h
    root = np.sqrt(b * b - 4 * betas + 0j)
    return betas[np.maximum(abs(b + root), abs(b - root)).argmin()]


def by_steps(power):
    """v holds steps, and changes with the rate, times (new rate/old rate) to this power."""
    def path_of(grad, w0, rates, beta):
        w = np.array(w0, dtype=float)
        v, before, path = np.zeros_like(w), rates[0], [w]
        for lr in rates:
            v = beta * v * (lr / before) ** power + lr * grad(w)
            w, before = w - v, lr
            path.append(w)
        return np.array(path)

    return path_of


corrected, uncorrected, upside_down = by_steps(1), by_steps(0), by_steps(-1)


def classical(grad, w0, rates, beta):
    w = np.array(w0, dtype=float)
    v, path = np.zeros_like(w), [w]
    for lr in rates:
        v = beta * v + grad(w)
        w = w - lr * v
        path.append(w)
    return np.array(path)


def averaged(grad, w0, rates, beta):
    return classical(grad, w0, [lr * (1 - beta) for lr in rates], beta)


def in_place(grad, w0, rates, beta):
    path = classical(grad, w0, rates, beta)
    w0[:] = path[-1]
    return path


def restarting(lr):
    """Nesterov's growing β, forgotten whenever the step would lead uphill."""
    def init(w):
        return {"v": 0.0 * w, "age": 0}

    def update(g, state, w, lr):
        age = state["age"] + 1
        v = (age - 1) / (age + 2) * state["v"] + g
        delta = -lr * (g + age / (age + 3) * v)
        if g @ delta > 0:
            age, v, delta = 1, g, -lr * g
        return delta, {"v": v, "age": age}

    return Rule("restarting", {"lr": lr}, init, update)


def growing(lr):
    """Nesterov's growing β, never forgotten."""
    def init(w):
        return {"v": 0.0 * w}

    def update(g, state, w, lr):
        t = float(state["t"])
        v = (t - 1) / (t + 2) * state["v"] + g
        return -lr * (g + t / (t + 3) * v), {"v": v}

    return Rule("growing", {"lr": lr}, init, update)

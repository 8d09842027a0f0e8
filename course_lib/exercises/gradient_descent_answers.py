"""Answers to the exercises on gradient descent, right and wrong, that the judges are held to."""

import numpy as np

from course_lib.update_rules import Rule


def descend(start, lr, steps):
    w, path = start * 1.0, [start * 1.0]
    for _ in range(steps):
        w = w - lr * 2 * (w + 2)
        path.append(w)
    return np.array(path)


def descend_in_place(start, lr, steps):
    path = [start.copy()]
    for _ in range(steps):
        start -= lr * 2 * (start + 2)
        path.append(start.copy())
    return path


def descend_whole_numbers(start, lr, steps):
    w = start.copy()
    path = [w.copy()]
    for _ in range(steps):
        w -= lr * 2 * (w + 2)
        path.append(w.copy())
    return path


def descend_same_array(start, lr, steps):
    w = start.astype(float)
    path = [w]
    for _ in range(steps):
        w -= lr * 2 * (w + 2)
        path.append(w)
    return path


def power_iteration(grad, w, rounds=200):
    v, here = np.ones_like(w), grad(w)
    for _ in range(rounds):
        v = v / np.linalg.norm(v)
        v, last = grad(w + v) - here, v
    return last @ v


def unscaled_iteration(grad, w):
    v = np.ones_like(w)
    for _ in range(3000):
        v, last = grad(w + v) - grad(w), v
    return last @ v / (last @ last)


def rows(grad, w):
    return np.array([grad(w + e) - grad(w) for e in np.eye(len(w))])


def residual_step(g, A):
    Ag = A @ g
    return -(g @ Ag) / (Ag @ Ag) * g if Ag @ Ag > 0 else np.zeros_like(g)


def barzilai_borwein():
    def init(w):
        return {"w": w, "g": w}

    def update(g, state, w, lr):
        s, y = w - state["w"], g - state["g"]
        eta = 1e-6 if state["t"] == 1 or not y @ y else (s @ y) / (y @ y)
        return -eta * g, {"w": w, "g": g}

    return Rule("barzilai_borwein", {}, init, update)


def halved_inverse_curvature():
    def init(w):
        return {"w": w, "g": w, "eta": 1e-6, "growth": np.inf}

    def update(g, state, w, lr):
        eta = state["eta"]
        turned = np.linalg.norm(g - state["g"])
        if state["t"] > 1 and turned > 0:
            seen = np.linalg.norm(w - state["w"]) / (2 * turned)
            eta = min(np.sqrt(1 + state["growth"]) * eta, seen)
        return -eta * g, {"w": w, "g": g, "eta": eta, "growth": eta / state["eta"]}

    return Rule("halved_inverse_curvature", {}, init, update)

"""Answers to the exercises on Adam, right and wrong, that the judges are held to."""

import math

import numpy as np

from course_lib.update_rules import Rule


def by_steps(grad, w, lr, epochs, batches, beta1=0.9, beta2=0.999, eps=1e-8):
    m = v = 0.0
    for t in range(1, epochs * batches + 1):
        g = grad(w, (t - 1) % batches)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        w = w - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
    return w


def by_steps_scaled_rate(grad, w, lr, epochs, batches, beta1=0.9, beta2=0.999, eps=1e-8):
    w = np.array(w, dtype=float)
    m, v, p1, p2 = np.zeros_like(w), np.zeros_like(w), 1.0, 1.0
    for _ in range(epochs):
        for i in range(batches):
            g = grad(w, i)
            m += (1 - beta1) * (g - m)
            v += (1 - beta2) * (g * g - v)
            p1, p2 = p1 * beta1, p2 * beta2
            c = np.sqrt(1 - p2)
            w = w - lr * c / (1 - p1) * m / (np.sqrt(v) + eps * c)
    return w


def faulty(clock=lambda epoch, t: t, eps_at="root", forget=False, in_place=False):
    """The loop with some of its faults left in."""
    def run(grad, w, lr, epochs, batches, beta1=0.9, beta2=0.999, eps=1e-8):
        m = v = t = 0
        for epoch in range(epochs):
            if forget:
                m = v = 0
            for i in range(batches):
                t += 1
                g = grad(w, i)
                m = beta1 * m + (1 - beta1) * g
                v = beta2 * v + (1 - beta2) * g**2
                k = clock(epoch, t)
                m_hat, v_hat = m / (1 - beta1**k), v / (1 - beta2**k)
                if eps_at == "root":
                    delta = -lr * m_hat / (np.sqrt(v_hat) + eps)
                elif eps_at == "nowhere":
                    delta = -lr * m_hat / np.sqrt(v_hat)
                elif eps_at == "inside":
                    delta = -lr * m_hat / np.sqrt(v_hat + eps)
                else:
                    delta = -lr * m_hat * np.sqrt(1 - beta2**k) / (np.sqrt(v) + eps)
                if in_place:
                    w += delta
                else:
                    w = w + delta
        return w

    return run


FAULTS = {
    "Where no gradient has come, √v̂ is 0: add ε to it.": faulty(eps_at="nowhere"),
    "ε is added to the root, outside it.": faulty(eps_at="inside"),
    "ε is added to √v̂, after the correction: that is Keras's order.": faulty(eps_at="keras"),
    "m and v must live through all epochs: make them once, before the loops.": faulty(forget=True),
    "The correction wants the number of the step, from 1: count in the inner loop.":
        faulty(clock=lambda epoch, t: epoch + 1),
    "The clock must start at 1: count before you correct.":
        faulty(clock=lambda epoch, t: t + 1),
}


def longest_closed(beta1, beta2, t):
    q = beta1**2 / beta2
    total = t if abs(q - 1) < 1e-12 else (1 - q**t) / (1 - q)
    return (1 - beta1) / np.sqrt(1 - beta2) * np.sqrt(total * (1 - beta2**t)) / (1 - beta1**t)


def longest_by_running(beta1, beta2, t):
    m = v = 0.0
    for i in range(t):
        g = (beta2 / beta1) ** (i - t)
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
    return m / (1 - beta1**t) / np.sqrt(v / (1 - beta2**t))


def longest_uncorrected(beta1, beta2, t):
    return longest_closed(beta1, beta2, t) * (1 - beta1**t) / np.sqrt(1 - beta2**t)


def longest_in_the_limit(beta1, beta2, t):
    q = min(beta1**2 / beta2, 0.999999)
    return (1 - beta1) / np.sqrt((1 - beta2) * (1 - q))


def longest_in_the_paper(beta1, beta2, t):
    return max(1.0, (1 - beta1) / np.sqrt(1 - beta2))


def longest_dividing_by_zero(beta1, beta2, t):
    q = beta1 * beta1 / beta2
    total = np.nan if abs(q - 1) < 1e-9 else (1 - q**t) / (1 - q)
    return np.sqrt(total * (1 - beta2**t) / (1 - beta2)) * (1 - beta1) / (1 - beta1**t)


def adamax(correct=True, correct_v=False, guard=True, size=abs, sign=-1.0, fades=True):
    """AdaMax, right or with a part left out."""
    def make(lr, beta1=0.9, beta2=0.999):
        def init(w):
            return {"m": 0 * w, "v": 0 * w}

        def update(g, state, w, lr):
            m = beta1 * state["m"] + (1 - beta1) * g
            v = np.maximum((beta2 if fades else 1.0) * state["v"], size(g))
            m_hat = m / (1 - beta1 ** state["t"]) if correct else m
            below = v / (1 - beta2 ** state["t"]) if correct_v else v
            if guard:
                below = np.where(below > 0, below, 1)
            with np.errstate(invalid="ignore", divide="ignore"):
                delta = sign * lr * m_hat / below
            return delta, {**state, "m": m, "v": v}

        return Rule("adamax", {"lr": lr}, init, update)

    return make


ADAMAX_FAULTS = {
    "The correction 1/(1 − β₁ᵗ) of m is missing.": adamax(correct=False),
    "v needs no correction: it is at its full height at once.": adamax(correct_v=True),
    "v keeps the largest |g|; a negative gradient counts as much.": adamax(size=lambda g: g),
    "Uphill: δ points along the gradient.": adamax(sign=1.0),
    "Let the old maximum fade: it is β₂v that is compared with |g|.": adamax(fades=False),
}


def adamax_with_powers(lr, beta1=0.9, beta2=0.999):
    def init(w):
        return {"m": np.zeros_like(w), "u": np.zeros_like(w), "power": 1.0}

    def update(g, state, w, lr):
        power = state["power"] * beta1
        m = state["m"] + (1 - beta1) * (g - state["m"])
        u = np.maximum(state["u"] * beta2, np.abs(g))
        delta = np.divide(-lr / (1 - power) * m, u, out=np.zeros_like(m), where=u > 0)
        return delta, {"m": m, "u": u, "power": power}

    return Rule("my_adamax", {"lr": lr}, init, update)


def rare(period, large, small=-1.0):
    slopes = np.full(period, small)
    slopes[0] = large
    return slopes


def walk(slopes, periods):
    """Where Adam with β = (.9, .999) and the rate .5/√t ends, from 0, within [−1, 1]."""
    m = v = w = 0.0
    power1 = power2 = 1.0
    t = 0
    for _ in range(periods):
        for g in slopes:
            t += 1
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            power1, power2 = 0.9 * power1, 0.999 * power2
            step = m / (1 - power1) / (math.sqrt(v / (1 - power2)) + 1e-8)
            w = min(max(w - 0.5 / math.sqrt(t) * step, -1.0), 1.0)
    return w

"""The exercises of the chapter on transfer."""

import numpy as np

from course_lib.exercises import transfer_answers as answers
from course_lib.exercises.exercise import Exercise, is_close


def _labels_it_is_worth(answer):
    if is_close(answer, 84, 1e-6):
        return None
    if is_close(answer, 64, 1e-6):
        return "That is how many more labels are needed; how many in all?"
    if is_close(answer, 80, 1e-6):
        return "The start multiplies what is left unseen, D − n, not D."
    if is_close(answer, 100, 1e-6):
        return "With a hundred labels nothing would be left; the pretrained run still has an error."
    if is_close(answer, 36, 1e-6):
        return "The share 0.2 is the one that remains, not the one that is gone."
    return "Set (1 − n'/D)‖w⋆‖² equal to (1 − n/D)‖w⋆ − w₀‖² and solve for n'."


Exercise(
    "transfer-1",
    _labels_it_is_worth,
    accepted=(84, 84.0, [84]),
    rejected=((64, "in all?"), (80, "left unseen"), (100, "nothing would be left"), (36, "remains"), (20, "solve for")),
)


def _factor_for_the_head(answer):
    right = (4 - 1.9**2) / 1.9**4
    if is_close(answer, right, 0.01):
        return None
    if is_close(answer, 1 / right, 0.01):
        return "That is the head's rate over the body's."
    if is_close(answer, (4 - 1.9**2) / 1.9**2, 0.01):
        return "The factor stands before v⁴, not before v²."
    if is_close(answer, 0.1 / 1.9**4, 0.01) or is_close(answer, (2 - 1.9) / 1.9, 0.01):
        return "The equation is about squares: φv⁴ + v² = 4."
    return "Put v = 1.9 into φv⁴ + v² = 4 and solve for φ."


Exercise(
    "transfer-2",
    _factor_for_the_head,
    accepted=((4 - 1.9**2) / 1.9**4, 0.03, 0.0299, [0.0299]),
    rejected=((33.4, "head's rate over"), (0.108, "before v⁴"), (0.1 / 1.9, "squares"), (0.5, "Put v")),
)


def _starts(answer):
    if not callable(answer):
        return "A function is asked for: meta_starts(h, c, lr, steps)."
    cases = [([1.0, 10.0], [0.0, 1.0], 0.05, 10), ([2.0, 3.0, 0.5], [1.0, -2.0, 4.0], 0.1, 3), ([1.0, 4.0], [0.0, 1.0], 0.2, 1)]
    for h, c, lr, steps in cases:
        found = np.asarray(answer(np.array(h), np.array(c), lr, steps), dtype=float)
        if found.shape != (4,):
            return f"Four numbers are asked for, got an array of shape {found.shape}."
        wrong = ~np.isclose(found, answers.meta_starts(h, c, lr, steps), rtol=1e-6, atol=1e-12)
        if wrong.any():
            return _START_HINTS[int(wrong.argmax())]
    return None


_START_HINTS = (
    "Pooled: set Σ hᵢ(w − cᵢ) to zero; the mean of the cᵢ is weighted by the curvatures.",
    "Reptile: task i pulls with w − w′ = (1 − (1 − ηhᵢ)^K)(w − cᵢ).",
    "First-order MAML: the gradient at w′ is hᵢ(1 − ηhᵢ)^K (w − cᵢ).",
    "MAML: the loss after K steps is ½hᵢ(1 − ηhᵢ)^(2K) (w − cᵢ)²: the factor comes twice.",
)


def _wrong_starts(which):
    def starts(h, c, lr, steps):
        found = np.array(answers.meta_starts(h, c, lr, steps))
        found[which] = np.mean(c)
        return found

    return starts


Exercise(
    "transfer-3",
    _starts,
    accepted=(answers.meta_starts, answers.meta_starts_by_descent, lambda *task: tuple(answers.meta_starts(*task))),
    rejected=(
        (_wrong_starts(0), "Pooled"), (_wrong_starts(1), "Reptile"), (_wrong_starts(2), "First-order"),
        (_wrong_starts(3), "twice"), (lambda h, c, lr, steps: 0.5, "Four numbers"), (0.909, "function"),
    ),
)


def _unfreezing(answer):
    if not callable(answer):
        return "A function is asked for: unfreeze(layers, step, every)."
    for layers, every in ((3, 10), (4, 1), (1, 5)):
        for step in range(0, every * (layers + 2), max(1, every // 2)):
            found = np.asarray(answer(layers, step, every), dtype=float)
            if found.shape != (layers,):
                return f"One factor for each of {layers} layers is asked for, got shape {found.shape}."
            right = np.array(answers.unfreeze(layers, step, every))
            if not np.array_equal(found, right):
                case = f"{layers} layers, {every} steps a stage, {step} steps made: "
                if np.array_equal(found, right[::-1]):
                    return case + "the last layer comes first; the list begins at the input."
                if found.sum() == right.sum() - 1:
                    return case + "the head is free from the start, and one more layer after each stage."
                return case + f"{right.astype(int).tolist()} is expected."
    return None


Exercise(
    "transfer-4",
    _unfreezing,
    accepted=(answers.unfreeze, answers.unfreeze_from_the_top),
    rejected=(
        (lambda layers, step, every: answers.unfreeze(layers, step, every)[::-1], "comes first"),
        (lambda layers, step, every: answers.unfreeze(layers, step - every, every), "free from the start"),
        (lambda layers, step, every: [1.0] * layers, "is expected"), (lambda layers, step, every: 1.0, "One factor"),
        ([0, 0, 1], "function"),
    ),
)


def _guess(answer):
    if not callable(answer):
        return "A function is asked for: best_guess(X, y, w0, tau, noise)."
    for X, y, w0, tau, noise in answers.tasks_with_two_blocks():
        found = np.asarray(answer(X.copy(), y.copy(), w0.copy(), tau.copy(), noise), dtype=float)
        if found.shape != w0.shape:
            return f"Weights of shape {w0.shape} are asked for, got {found.shape}."

        def is_answer(w):
            return np.allclose(found, w, rtol=1e-6, atol=1e-9)

        if is_answer(answers.best_guess(X, y, w0, tau, noise)):
            continue
        if is_answer(answers.best_guess(X, y, w0, tau, 0.0)):
            return "That passes through every label; they are noisy."
        if is_answer(answers.best_guess(X, y, w0, np.sqrt(tau), noise)):
            return "The rates go with the expected square of the move: tau²."
        if is_answer(answers.best_guess(X, y, 0 * w0, tau, noise)):
            return "The guess before any label is w0, not 0."
        if is_answer(answers.best_guess(X, y, w0, np.ones_like(tau), noise)):
            return "All weights are pulled alike there; those with a small tau should be pulled more."
        return "Minimise Σ(Xw − y)²/noise + Σ(w − w₀)²/tau², the sums over labels and over weights."
    return None


def _without(**changes):
    def guess(X, y, w0, tau, noise):
        task = {"X": X, "y": y, "w0": w0, "tau": tau, "noise": noise}
        return answers.best_guess(**{**task, **{key: change(task[key]) for key, change in changes.items()}})

    return guess


Exercise(
    "transfer-5",
    _guess,
    accepted=(answers.best_guess, answers.best_guess_by_weights),
    rejected=(
        (_without(noise=lambda noise: 0.0), "noisy"), (_without(tau=np.sqrt), "tau²"), (_without(w0=np.zeros_like), "not 0"),
        (_without(tau=np.ones_like), "pulled alike"), (lambda X, y, w0, tau, noise: w0, "Minimise"),
        (lambda X, y, w0, tau, noise: y, "Weights of shape"), (np.ones(12), "function"),
    ),
)


def _strength(answer):
    if not callable(answer):
        return "A function is asked for: choose_strength(X, y, w0)."
    (near, far), chosen = answers.regret(answer)
    if not np.isfinite(chosen).all() or (chosen <= 0).any():
        return "The strength must be a finite number above 0."
    if np.ptp(chosen) == 0:
        return "One strength for every task: the labels say how far the start is off, so look at them."
    if near > 5 * far:
        return "Far too weak where the start is nearly right: what it fits best is no guide. Leave a sample out."
    if near > 3.4 or far > 1.25:
        return f"The risk is {near:.2f} and {far:.2f} times that of the best fixed strength; 3.4 and 1.25 are allowed."
    return None


Exercise(
    "transfer-6",
    _strength,
    accepted=(answers.choose_strength, answers.choose_strength_by_refitting),
    rejected=(
        (lambda X, y, w0: 5.0, "One strength"), (lambda X, y, w0: 1e-3 + 1e-9 * abs(y[0]), "Leave a sample out"),
        (lambda X, y, w0: 1e3 + abs(y[0]), "allowed"), (lambda X, y, w0: -1.0, "above 0"), (5.0, "function"),
    ),
)

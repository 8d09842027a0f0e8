"""The exercises of the chapter on evolution, races and hypergradients."""

import numpy as np

from course_lib.exercises import evolution_answers as answers
from course_lib.exercises.exercise import Exercise, is_close


def _evaluations(answer):
    right = 20 * np.log(1e6) / 0.2025
    if is_close(answer, right, 0.01):
        return None
    if is_close(answer, 20 * 6 / 0.2025, 0.01):
        return "The gain is one of the natural logarithm; that is with the decimal one."
    if is_close(answer, right / 2, 0.01) or is_close(answer, 2 * right, 0.01):
        return "It is the distance that shrinks by a million, not its square."
    if is_close(answer, np.log(1e6) / 0.2025, 0.01):
        return "That is for one dimension; the gain of an evaluation is 0.2025 / D."
    return "An evaluation lowers the logarithm of the distance by 0.2025 / D. By how much must it fall?"


Exercise(
    "evolution-1",
    _evaluations,
    accepted=(1364.5, 1365, [1364]),
    rejected=((592.6, "natural"), (682, "square"), (2729, "square"), (68.2, "one dimension"), (1e6, "lowers the logarithm")),
)


def _units(answer):
    if is_close(answer, 423, 1e-6):
        return None
    if is_close(answer, 405, 1e-6):
        return "With 9 settings in the second bracket, as a table would have it; the formula gives ⌈4/3 · 9⌉ = 12."
    if is_close(answer, 357, 1e-6):
        return "That is where training goes on from the last rung; here every rung trains from the start."
    if is_close(answer, 49, 1e-6):
        return "Those are the settings that begin; their budgets are asked for."
    if is_close(answer, 108, 1e-6):
        return "That is the first bracket alone; there are four."
    return "Brackets s = 3, 2, 1, 0 begin with 27, 12, 6, 4 settings at budgets 1, 3, 9, 27. Sum settings times budget over all rungs."


Exercise(
    "evolution-2",
    _units,
    accepted=(423, 423.0, [423]),
    rejected=((405, "formula gives"), (357, "goes on"), (49, "begin"), (108, "alone"), (81, "Brackets")),
)


def _promotable(answer):
    if not callable(answer):
        return "A function is asked for: promotable(told, gone, eta)."
    for told, gone, eta in answers.rungs():
        found, right = answer(dict(told), set(gone), eta), answers.promotable(told, gone, eta)
        if not isinstance(found, (list, tuple, np.ndarray)):
            return "A list of settings is asked for, the best first."
        if list(found) == right:
            continue
        if any(np.isnan(told[x]) for x in found if x in told):
            return "A setting that failed never goes on."
        if set(found) & gone:
            return "Somebody in your list has gone on already."
        if list(found) == [x for x in answers.promotable({x: told[x] for x in told if x not in gone}, set(), eta)]:
            return "The best 1/eta are those of all that were told, those who have gone on included."
        if set(found) == set(right):
            return "Those are the right ones; the best comes first."
        return "Of all that were told, failed ones counted, the best ⌊told/eta⌋ may go on; leave out those who have."
    return None


Exercise(
    "evolution-3",
    _promotable,
    accepted=(answers.promotable, lambda told, gone, eta: np.array(answers.promotable(told, gone, eta))),
    rejected=(
        (lambda told, gone, eta: sorted(told, key=lambda x: np.nan_to_num(told[x], nan=-1))[: len(told) // eta],
         "failed never"),
        (lambda told, gone, eta: answers.promotable(told, set(), eta), "gone on already"),
        (lambda told, gone, eta: answers.promotable({x: told[x] for x in told if x not in gone}, set(), eta), "included"),
        (lambda told, gone, eta: answers.promotable(told, gone, eta)[::-1], "comes first"),
        (lambda told, gone, eta: answers.promotable(told, gone, 1)[: max(0, len(told) // eta - len(gone))],
         "included"),
        (lambda told, gone, eta: [], "failed ones counted"), (lambda told, gone, eta: 3, "A list"), (3, "function"),
    ),
)


def _greedy(answer):
    if not callable(answer):
        return "A function is asked for: greedy_rate(h, m, noise)."
    for seed in range(4):
        h, m, noise = answers.axes(seed)
        found, right = answer(h.copy(), m.copy(), noise.copy()), answers.greedy_rate(h, m, noise)
        if found is None or np.size(found) != 1:
            return "One number is asked for, a rate for all axes."
        if is_close(found, right, 1e-6):
            continue
        if is_close(found, (h**2 * m).sum() / (h**3 * m + h**2).sum(), 1e-6):
            return "That is for noise of variance h; here it has a variance of its own on each axis."
        if is_close(found, (h * m).sum() / (h**2 * m + noise).sum(), 1e-6):
            return "The loss weighs the mean square of each axis by its curvature; that minimises their plain sum."
        return "Write the loss after one step, ½ Σ h ((1 − ηh)² m + η² noise), and set its derivative in η to zero."
    return None


Exercise(
    "evolution-4",
    _greedy,
    accepted=(answers.greedy_rate, lambda h, m, noise: np.array([answers.greedy_rate(h, m, noise)])),
    rejected=(
        (lambda h, m, noise: (h**2 * m).sum() / (h**3 * m + h**2).sum(), "of its own"),
        (lambda h, m, noise: (h * m).sum() / (h**2 * m + noise).sum(), "plain sum"),
        (lambda h, m, noise: 1 / h.max(), "derivative"), (lambda h, m, noise: h, "One number"), (lambda h, m, noise: None, "One number"), (0.3, "function"),
    ),
)


def _one_fifth(answer):
    if not callable(answer):
        return "A function is asked for: one_fifth(f, w0, sigma, calls, seed)."
    reached = []
    for seed, (f, middle) in enumerate(answers.bowls()):
        for sigma in (0.01, 1.0, 100.0):
            try:
                w = np.asarray(answer(answers.Counted(f, 4000), np.full(10, 3.0), sigma, 4000, seed), dtype=float)
            except ValueError as error:
                return " ".join(str(error).split()) + "."
            if w.shape != (10,):
                return "The best vector that was found is asked for."
            reached.append(np.linalg.norm(w - middle))
    if max(reached) <= 1e-6:
        if answers.growth(answer, 0.3) > 1 and answers.growth(answer, 0.12) < -1:
            return None
        return "It arrives; but where three children in ten survive, steps must grow, and where one in eight does, shrink."
    return (f"A bowl was left at a distance of {max(reached):.1e}; 1e-6 is asked for. "
            "Longer steps after a success, shorter after a failure, so that at one success in five they stay.")


Exercise(
    "evolution-5",
    _one_fifth,
    accepted=(answers.one_fifth, lambda f, w0, sigma, calls, seed: answers.one_fifth(f, w0, sigma, calls, seed, up=1.5),
              answers.windowed),
    rejected=(
        (answers.one_third, "three children in ten"),
        (answers.fixed_step, "one success in five"), (lambda f, w0, sigma, calls, seed: f(w0), "best vector"),
        (lambda f, w0, sigma, calls, seed: answers.one_fifth(f, w0, sigma, 2 * calls, seed), "more often"), (1.0, "function"),
    ),
)


def _restarted(answer):
    if not callable(answer):
        return "A function is asked for: search(f, D, calls, seed)."
    values = []
    for seed in range(5):
        f = answers.rippled(seed)
        try:
            w = np.asarray(answer(answers.Counted(f, 20_000), 4, 20_000, seed), dtype=float)
        except ValueError as error:
            return " ".join(str(error).split()) + "."
        if w.shape != (4,):
            return "A vector of D numbers is asked for, the best that was found."
        values.append(f(w))
    right = int(np.sum(np.array(values) < 1e-6))
    if right >= 3:
        return None
    return (f"Of five landscapes {right} ended in their lowest minimum; three are asked for. "
            "What does a larger population do to the ripples, and what can be done when a search has ended early?")


Exercise(
    "evolution-6",
    _restarted,
    accepted=(answers.restarted, answers.large_populations),
    rejected=(
        (answers.started_once, "larger population"), (answers.at_random, "larger population"),
        (lambda f, D, calls, seed: answers.at_random(f, D, calls + 1, seed), "more often"),
        (lambda f, D, calls, seed: [0.0], "vector"), (0, "function"),
    ),
)

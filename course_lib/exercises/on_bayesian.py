"""The exercises of the chapter on Bayesian tuning."""

import numpy as np

from course_lib.exercises import bayesian_answers as answers
from course_lib.exercises.exercise import Exercise, is_close


def _trials(answer):
    if is_close(answer, 114, 1e-6):
        return None
    if is_close(answer, 113, 1e-6) or is_close(answer, np.log(0.1) / np.log(0.98), 1e-3):
        return "Only whole trials can be made, and 113 are not quite enough."
    if is_close(answer, 149, 0.01):
        return "That is for 95%; 90% are asked for."
    if is_close(answer, 45, 0.01):
        return "That is for the best 5%; the best 2% are asked for."
    if is_close(answer, 50, 1e-6):
        return "Fifty trials have one in the best 2% on average, but 36% of all searches have none."
    return "All n miss with probability 0.98ⁿ. When is that at most a tenth?"


Exercise(
    "bayesian-1",
    _trials,
    accepted=(114, 114.0, [114]),
    rejected=((113, "whole trials"), (113.97, "whole trials"), (149, "for 95%"), (45, "best 5%"), (50, "on average"), (7, "All n miss")),
)


def _distance(answer):
    rho = 2 / np.sqrt(5)
    if is_close(answer, 0.2 * np.sqrt(-2 * np.log(rho)), 0.005):
        return None
    if is_close(answer, np.sqrt(-2 * np.log(rho)), 0.005):
        return "That is r, the distance in lengthscales."
    if is_close(answer, rho, 0.005):
        return "That is the correlation ρ; at what distance is exp(−r²/2) as large?"
    if is_close(answer, 0.2 * np.sqrt(-2 * np.log(1 / np.sqrt(5))), 0.005):
        return "ρ is |y₁| over the root, not κ over the root."
    return "ρ = |y₁|/√(y₁² + κ²), and ρ = exp(−r²/2) with r the distance over ℓ."


Exercise(
    "bayesian-2",
    _distance,
    accepted=(0.2 * np.sqrt(np.log(5 / 4)), 0.0945, [0.09447]),
    rejected=((0.472, "in lengthscales"), (0.894, "correlation"), (0.2537, "not κ"), (0.2, "over ℓ")),
)


def _left_out(answer):
    if not callable(answer):
        return "A function is asked for: leave_one_out(K, y)."
    for seed in range(3):
        K, y = answers.covariances(seed)
        found = answer(K.copy(), y.copy())
        if not isinstance(found, (tuple, list)) or len(found) != 2 or np.shape(found[0]) != (7,) or np.shape(found[1]) != (7,):
            return "Two arrays are asked for, the means [n] and the deviations [n]."
        mean, std = answers.leave_one_out(K, y)
        if not np.allclose(found[0], mean, atol=1e-6):
            if np.allclose(found[0], y - mean, atol=1e-6):
                return "Those are the errors; the means are asked for."
            return "The mean of value i given the others is yᵢ − (K⁻¹y)ᵢ/(K⁻¹)ᵢᵢ."
        if not np.allclose(found[1], std, atol=1e-6):
            return "The means are right. The variance of value i given the others is 1/(K⁻¹)ᵢᵢ; a deviation is its root."
    return None


Exercise(
    "bayesian-3",
    _left_out,
    accepted=(answers.leave_one_out, answers.leave_one_out_by_leaving),
    rejected=(
        (lambda K, y: (y - answers.leave_one_out(K, y)[0], answers.leave_one_out(K, y)[1]), "errors"),
        (lambda K, y: (answers.leave_one_out(K, y)[0], 1 / np.diag(np.linalg.inv(K))), "root"),
        (lambda K, y: (y, np.zeros(7)), "given the others"), (lambda K, y: y, "Two arrays"), (0.5, "function"),
    ),
)


def _optimism(answer):
    right = 0.07 * np.sqrt(0.2 / np.pi)
    if is_close(answer, right, 0.005):
        return None
    if is_close(answer, 0.07 / np.sqrt(np.pi), 0.005):
        return "That is for independent scores; these move together."
    if is_close(answer, 2 * right, 0.005):   # also with the correlation in place of 1 − r
        return "The larger of two is their mean plus half of their distance, whose variance has the factor 1 − 0.8."
    if is_close(answer, np.sqrt(2) * right, 0.005):
        return "The difference of two scores has the variance 2σ²(1 − 0.8); then take half."
    return "max(a, b) = (a + b)/2 + |a − b|/2, and a − b has variance 2σ²(1 − r). The mean of |u| is √(2/π) deviations."


Exercise(
    "bayesian-4",
    _optimism,
    accepted=(0.07 * np.sqrt(0.2 / np.pi), 0.01766, [0.0177]),
    rejected=((0.0395, "independent"), (0.0353, "half of"), (0.02498, "take half"), (0.07, "max(a, b)")),
)


def _for_each_second(answer):
    if not callable(answer):
        return "A function is asked for: next_trial(mean, std, best, seconds)."
    for seed in range(6):
        mean, std, best, seconds = answers.candidates(seed)
        found = answer(mean.copy(), std.copy(), best, seconds.copy())
        if np.shape(found) != () or found not in range(len(mean)):
            return "The number of one place is asked for."
        if found != answers.next_trial(mean, std, best, seconds):
            return "Divide the expected improvement by what the trial costs, and take the largest."
    return None


Exercise(
    "bayesian-5",
    _for_each_second,
    accepted=(answers.next_trial, lambda *belief: np.int64(answers.next_trial(*belief))),
    rejected=(
        (lambda mean, std, best, seconds: answers.next_trial(mean, std, best, 1.0), "Divide"),
        (lambda mean, std, best, seconds: int(np.argmin(seconds)), "Divide"),
        (lambda mean, std, best, seconds: mean, "one place"), (3, "function"),
    ),
)


def _search(answer):
    if not callable(answer):
        return "A function is asked for: tune(f, space, calls, seed)."
    try:
        found = answers.excess(answer)
    except (TypeError, ValueError) as error:
        return " ".join(str(error).split()) + "."
    reached, lucky = np.median(found), np.median(answers.excess(answers.at_random))
    if reached <= 0.4 * lucky:
        return None
    return (f"The median excess is {reached:.2f}, that of random search {lucky:.2f}; 0.4 times as much is asked for. "
            "What do the first trials say about where the others should go?")


Exercise(
    "bayesian-6",
    _search,
    accepted=(answers.tune, answers.tune_by_hand),
    rejected=(
        (answers.at_random, "random search"), (lambda f, space, calls, seed: answers.at_random(f, space, 100, seed), "100 times"),
        (lambda f, space, calls, seed: {"lr": 5.0, "decay": 1e-3, "layers": 2}, "lr must"), (0.1, "function"),
    ),
)

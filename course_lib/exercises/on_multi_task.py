"""The exercises of the chapter on several tasks."""

import numpy as np

from course_lib.exercises import multi_task_answers as answers
from course_lib.exercises.exercise import Exercise, is_close


def _weight_of_the_long_gradient(answer):
    if is_close(answer, 0.1, 1e-3):
        return None
    if is_close(answer, 0.9, 1e-3):
        return "That is the weight of g₂. The longer gradient gets the smaller one."
    if is_close(answer, 0.25, 1e-3):
        return "Weights that go with one over the length are those of the bisector; here it is the square."
    if is_close(answer, 0.75, 1e-3) or is_close(answer, 0.5, 1e-3):
        return "The shortest vector of the hull lies near the shorter gradient."
    return "γ = (g₂ − g₁)·g₂ / ‖g₁ − g₂‖²; here g₁·g₂ = 0."


Exercise(
    "multi-task-1",
    _weight_of_the_long_gradient,
    accepted=(0.1, 1 / 10, np.float32(0.1), [0.1]),
    rejected=((0.9, "weight of g₂"), (0.25, "bisector"), (0.5, "shorter gradient"), (0.3, "g₁·g₂ = 0")),
)


def _ratio_of_weights(answer):
    if is_close(answer, 16, 1e-3):
        return None
    if is_close(answer, 1 / 16, 1e-3):
        return "The other way round: the smaller loss gets the larger weight."
    if is_close(answer, 4, 1e-3):
        return "σ² is the loss, and the weight is 1/(2σ²): no root is taken."
    if is_close(answer, 256, 1e-3):
        return "σ² is the loss, not σ."
    if is_close(answer, 1, 1e-3):
        return "The weighted losses become equal; the weights do not."
    return "At rest σ² = f, and the weight of f is 1/(2σ²)."


Exercise(
    "multi-task-2",
    _ratio_of_weights,
    accepted=(16, 16.0, 8 / 0.5, np.array(16)),
    rejected=((1 / 16, "other way round"), (4, "no root"), (256, "not σ"), (1, "become equal"), (8, "At rest")),
)


def _landing(answer):
    if is_close(answer, 1 / 3, 0.01):
        return None
    if np.asarray(answer, dtype=float).size == 1 and abs(float(np.asarray(answer, dtype=float).item())) < 1e-9:
        return "The midpoint is where the sum goes. Inside the disc PCGrad bends away."
    if is_close(answer, 1.0, 0.01):
        return "That is the end of the segment, nearest to the start: MGDA's."
    if is_close(answer, 0.186, 0.01):
        return "The ratio of the distances is kept inside the disc only: take it where the path enters."
    if is_close(answer, 0.579, 0.01):
        return "That is Nash's hyperbola, which keeps the difference of the distances."
    if is_close(answer, 0.6, 0.01):
        return "That is where the path enters the disc; it goes on from there."
    if is_close(answer, 0.6667, 0.01):
        return "That is the distance to b; the first coordinate is asked for."
    return "Straight to the midpoint as far as the disc; from there on r₁/r₂ stays as it is. Then r₁ + r₂ = 2."


Exercise(
    "multi-task-3",
    _landing,
    accepted=(1 / 3, 0.333, np.float32(1 / 3), [1 / 3]),
    rejected=(
        (0, "midpoint"), (1, "MGDA"), (0.186, "where the path enters"), (0.579, "hyperbola"), (0.6, "goes on"),
        (2 / 3, "distance to b"), (0.45, "r₁ + r₂ = 2"),
    ),
)


def _front(answer):
    if not callable(answer):
        return "A function is asked for: front(A, B, a, b, lam)."
    rng = np.random.default_rng(0)
    cases = []
    for lam in (0.0, 0.2, 0.5, 0.9, 1.0):
        roots = rng.standard_normal((2, 3, 3))
        cases.append((*(roots @ roots.mT + np.eye(3)), *rng.standard_normal((2, 3)), lam))
    found = [np.asarray(answer(*case), dtype=float) for case in cases]
    if any(w.shape != (3,) for w in found):
        return f"A vector like a and b is asked for, [3], got shape {found[0].shape}."

    def are(formula):
        return all(np.allclose(w, formula(*case), rtol=1e-6, atol=1e-9) for w, case in zip(found, cases))

    if are(answers.front):
        return None
    if are(answers.front_swapped):
        return "λ is the weight of the first loss: with λ = 1 the answer is a."
    if are(answers.front_of_points):
        return "That is right where A = B. In general each point counts with its matrix."
    if are(answers.front_without_matrices):
        return "On the right-hand side, too, each point stands behind its matrix: λAa + (1 − λ)Bb."
    return "Set λA(w − a) + (1 − λ)B(w − b) to zero and solve for w; A and B may be any positive definite matrices."


Exercise(
    "multi-task-4",
    _front,
    accepted=(answers.front, answers.front_by_inverse),
    rejected=(
        (answers.front_swapped, "first loss"), (answers.front_of_points, "A = B"),
        (answers.front_without_matrices, "right-hand side"), (lambda A, B, a, b, lam: a, "Set λA"),
        (lambda A, B, a, b, lam: 1.0, "vector"), (0.5, "function"),
    ),
)


def _impartial(answer):
    if not callable(answer):
        return "A function is asked for: impartial(G)."
    rng = np.random.default_rng(1)
    cases = [rng.standard_normal((T, 6)) * rng.uniform(0.5, 4, (T, 1)) for T in (2, 2, 3, 4)]
    found = [np.asarray(answer(G.copy()), dtype=float) for G in cases]
    if any(d.shape != (6,) for d in found):
        return f"A direction [D] is asked for, got shape {found[0].shape} for a G of shape {cases[0].shape}."

    def are(formula, count=4):
        return all(np.allclose(d, formula(G), rtol=1e-6, atol=1e-9) for d, G in list(zip(found, cases))[:count])

    if are(answers.impartial):
        return None
    if are(answers.impartial_of_the_gradients):
        return "Those are equal products with the gradients; equal products with the *unit* gradients are asked for."
    if are(answers.impartial_of_any_length):
        return "The direction is right, but the weights must have the sum 1."
    if are(answers.bisector, 2):
        return "For two tasks the direction is right, but the weights must have the sum 1; and try three tasks."
    if are(answers.bisector_of_sum_one, 2):
        return "Right for two tasks, where it is the bisector. With three, inverse lengths are not enough."
    return "T − 1 conditions (u₁ − uᵢ)·Gᵀα = 0 and Σα = 1: T linear equations for α, then d = Gᵀα."


Exercise(
    "multi-task-5",
    _impartial,
    accepted=(answers.impartial, answers.impartial_by_cosines),
    rejected=(
        (answers.impartial_of_the_gradients, "unit"), (answers.impartial_of_any_length, "sum 1"),
        (answers.bisector, "try three"), (answers.bisector_of_sum_one, "not enough"),
        (lambda G: G.mean(0), "linear equations"), (lambda G: G, "direction [D]"), (1.0, "function"),
    ),
)


def _victim(answer):
    G = np.asarray(answer, dtype=float)
    if G.ndim != 2 or len(G) != 3 or not 3 <= G.shape[1] <= 10 or not np.isfinite(G).all():
        return "Three gradients are asked for, as the rows of a matrix of 3 to 10 columns."
    norms = np.linalg.norm(G, axis=1)
    if norms.min() < 0.01 or norms.max() > 100:
        return "Each gradient must have a length between 0.01 and 100."
    if answers.independence(G) < 0.2:
        return (
            "The gradients nearly depend on one another: the least singular value of the unit gradients is "
            f"{answers.independence(G):.2f}, and must be at least 0.2, so that a direction is good for all."
        )
    worst = answers.worst_gain(G)
    if worst <= -0.15:
        return None
    if worst < -1e-9:
        return f"Someone is hurt, whatever the order, but too little: in the kindest order a cosine of {worst:.2f}."
    return "There is an order in which nobody is hurt. Look for three that all conflict with one another, two of them strongly."


Exercise(
    "multi-task-6",
    _victim,
    accepted=(answers.VICTIM, np.array(answers.VICTIM), answers.LONGER_VICTIM),
    rejected=(
        (((1.0, 0.0, 0.0), (-0.5, 1.0, 0.0), (0.0, 1.0, 1.0)), "nobody is hurt"),
        (answers.HURT_A_LITTLE, "too little"), (answers.DEPENDENT, "depend on one another"),
        (((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), "between 0.01"),
        (((1.0, 0.0), (-0.5, 1.0), (0.0, 1.0)), "3 to 10 columns"), (((1.0, 0.0), (0.0, 1.0)), "Three gradients"),
    ),
)

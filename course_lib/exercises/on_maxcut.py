"""The exercises of the chapter on Max-Cut."""

import numpy as np

from course_lib.exercises import maxcut_answers as answers
from course_lib.exercises.exercise import Exercise, is_close


def _ring(answer):
    if is_close(answer, 6, 1e-6):
        return None
    if is_close(answer, 7, 1e-6):
        return "All seven edges would need rooms that alternate, and seven is odd: the last sits beside the first."
    if is_close(answer, 3.5, 1e-6):
        return "That is what coin tosses cut on average; asked is the largest cut."
    return "Go around the ring and change rooms as often as you can; you must come back to where you began."


Exercise(
    "maxcut-1", _ring,
    accepted=(6, 6.0, [6]),
    rejected=((7, "seven is odd"), (3.5, "coin tosses"), (4, "come back")),
)


def _share(answer):
    if is_close(answer, 3 / 5, 1e-6):
        return None
    if is_close(answer, 1 / 2, 1e-6):
        return "Half is right for any graph; with five neighbours, an odd number, it is more."
    if is_close(answer, 3, 1e-6):
        return "That many of its five edges: give the share."
    if is_close(answer, 2 / 5, 1e-6):
        return "That is the share of edges that are not cut."
    return "No flip helps: of the five edges of a node at least as many are cut as are not."


Exercise(
    "maxcut-2", _share,
    accepted=(0.6, 3 / 5, [0.6]),
    rejected=((0.5, "odd number"), (3, "give the share"), (0.4, "not cut"), (0.9, "as many are cut")),
)


def _steps(answer):
    if not callable(answer):
        return "A function is asked for: steps_until(start, alpha, lr)."
    for start, alpha, lr in ((1e-12, -2.8, 4 / 3), (1e-6, -2.0, 1.0), (1e-3, -0.5, 0.5), (0.4, -3.0, 2.0)):
        found, right = answer(start, alpha, lr), answers.steps_until(start, alpha, lr)
        if np.size(found) != 1 or not np.isfinite(np.asarray(found, dtype=float)).all():
            return f"One number of steps is asked for, got shape {np.shape(found)}."
        if found == right:
            continue
        if abs(float(found) - np.log(1 / start) / np.log(1 - lr * alpha / 8)) < 1e-6:
            return "Steps are whole numbers: round up, since it must have reached 1."
        if found == right - 1:
            return "One step more: after that many it is still below 1."
        if abs(float(found) - np.log(1 / start) / np.log(1 - lr * alpha)) < 1.01:
            return "The factor is 1 − lr · alpha/8: two halves from p = ½ + x/4 and the slope ¼ again."
        if float(found) < 0:
            return "The number is negative: alpha < 0, so the factor 1 − lr · alpha/8 is above 1, and 1/start too."
        return "A step multiplies by 1 − lr · alpha/8: how often until start has grown to 1?"
    return None


Exercise(
    "maxcut-3", _steps,
    accepted=(answers.steps_until, answers.steps_by_loop, lambda *a: float(answers.steps_until(*a))),
    rejected=(
        (lambda s, a, lr: np.log(1 / s) / np.log(1 - lr * a / 8), "round up"),
        (lambda s, a, lr: answers.steps_until(s, a, lr) - 1, "still below"),
        (lambda s, a, lr: np.ceil(np.log(1 / s) / np.log(1 - lr * a)), "two halves"),
        (lambda s, a, lr: np.ceil(np.log(s) / np.log(1 - lr * a / 8)), "negative"),
        (lambda s, a, lr: 7, "multiplies by"), (lambda s, a, lr: [1, 2], "One number"), (72, "function"),
    ),
)


def _pairs(pairs):
    pairs = np.array(pairs)
    return np.concatenate([pairs, pairs[:, ::-1]]).T


def _expected(edge_index, p):
    source, target = edge_index
    return float((p[source] * (1 - p[target])).sum())


def _random_graph(seed, nodes=12):
    rng = np.random.default_rng(seed)
    return _pairs([(i, j) for i in range(nodes) for j in range(i) if rng.random() < 0.4]), nodes


def _rounded(answer):
    if not callable(answer):
        return "A function is asked for: round_cut(edge_index, p)."
    for seed in range(30):
        edge_index, nodes = _random_graph(seed)
        rng = np.random.default_rng(seed)
        p = rng.random(nodes) if seed % 3 else np.full(nodes, (0.5, 0.3, 0.9)[seed // 3 % 3])
        side = np.asarray(answer(edge_index.copy(), p.copy()))
        if side.dtype != bool or side.shape != (nodes,):
            return f"Booleans are asked for, one for each of {nodes} nodes, got {side.dtype} of shape {side.shape}."
        if _expected(edge_index, side.astype(float)) < _expected(edge_index, p) - 1e-9:
            if np.array_equal(side, p > 0.5) or np.array_equal(side, p >= 0.5):
                return "Rounding each to the nearer end can cut less than F(p): with all p = 0.9 it cuts nothing."
            return "The cut is below F(p): F is linear in each pᵢ, so choose for one node after the other the better end."
    return None


Exercise(
    "maxcut-4", _rounded,
    accepted=(answers.round_cut, answers.round_by_tossing),
    rejected=(
        (lambda e, p: p > 0.5, "nearer end"), (lambda e, p: p >= 0.5, "nearer end"), (lambda e, p: p, "Booleans"),
        (lambda e, p: answers.round_cut(e, p)[:3], "one for each"), (lambda e, p: np.arange(len(p)) < 2, "one node after"),
        (True, "function"),
    ),
)


def _bounded(answer):
    if not callable(answer):
        return "A function is asked for: bound(A)."
    for seed in range(4):
        edge_index, nodes = _random_graph(seed)
        A = np.zeros((nodes, nodes))
        A[edge_index[0], edge_index[1]] = 1
        found, right = np.asarray(answer(A.copy()), dtype=float), answers.bound(A)
        if found.size != 1:
            return f"One number is asked for, got shape {found.shape}."
        found, values = float(found.reshape(())), np.linalg.eigvalsh(A)
        if np.isclose(found, right):
            continue
        if np.isclose(found, 4 * right / nodes):
            return "That is the eigenvalue; the bound is n/4 times as large."
        if np.isclose(found, nodes / 4 * values[-1]):
            return "That is the largest eigenvalue of A; take D − A, with the degrees on the diagonal."
        if np.isclose(found, nodes * right) or np.isclose(found, 4 * right):
            return "Mind the quarter: sᵀ(D − A)s is four times the cut, since (sᵢ − sⱼ)² = 4."
        return "Take the largest eigenvalue of the Laplacian D − A, times n/4."
    return None


Exercise(
    "maxcut-5", _bounded,
    accepted=(answers.bound, answers.bound_by_singular_values),
    rejected=(
        (lambda A: 4 / len(A) * answers.bound(A), "n/4 times"), (lambda A: len(A) / 4 * np.linalg.eigvalsh(A)[-1], "take D"),
        (lambda A: 4 * answers.bound(A), "quarter"), (lambda A: A.sum(), "Laplacian"), (lambda A: A, "One number"), (3.0, "function"),
    ),
)


BEST = (("the club", 61, 0), ("the novel", 169, 2), ("the first random graph", 273, 2), ("the second", 272, 2))


def _graphs():
    """The club, the novel and two random graphs, whose largest cuts a mixed-integer solver has proved."""
    import networkx

    novel = networkx.convert_node_labels_to_integers(networkx.les_miserables_graph())
    random = [networkx.random_regular_graph(3, 200, seed=seed) for seed in range(2)]
    return [_pairs(sorted(graph.edges)) for graph in (networkx.karate_club_graph(), novel, *random)]


def _cut(answer):
    if not callable(answer):
        return "A function is asked for: cut(edge_index, nodes, seed)."
    for (name, best, short), edge_index in zip(BEST, _graphs()):
        nodes = int(edge_index.max()) + 1
        side = np.asarray(answer(edge_index.copy(), nodes, 0))
        if side.dtype != bool or side.shape != (nodes,):
            return f"Booleans are asked for, one for each of {nodes} nodes, got {side.dtype} of shape {side.shape}."
        found = round(_expected(edge_index, side.astype(float)))
        if found < best - short:
            return (f"On {name} it cuts {found} edges, the largest cut has {best}. Keep the best that you meet, make moves "
                    "at a loss too, and do not undo a move at once.")
    return None


Exercise(
    "maxcut-6", _cut,
    accepted=(answers.cut_by_tabu, lambda e, n, seed: answers.cut_by_tabu(e, n, seed, steps=40_000)),
    rejected=(
        (lambda e, n, seed: np.arange(n) % 2 == 0, "largest cut"), (lambda e, n, seed: np.zeros(n), "Booleans"),
        (lambda e, n, seed: answers.cut_by_tabu(e, n, seed, steps=3), "Keep the best"), (61, "function"),
    ),
)

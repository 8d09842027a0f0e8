"""The exercises of the chapter on graph convolution."""

import numpy as np

from course_lib.exercises import gcn_answers as answers
from course_lib.exercises.exercise import Exercise, is_close


def _leaf(answer):
    if is_close(answer, 1 / np.sqrt(18), 0.01):
        return None
    if is_close(answer, 1 / np.sqrt(8), 0.01):
        return "That leaves out the loops: they count in both degrees."
    if is_close(answer, 1 / 18, 0.01):
        return "The product of the degrees stands under a root."
    if is_close(answer, 1 / 2, 0.01) or is_close(answer, 1 / 9, 0.01):
        return "That divides by one degree, as a mean does; here both ends count, each with its root."
    return "Count each degree with its loop, and put both into 1/√(dᵢ dⱼ)."


Exercise(
    "gcn-1", _leaf,
    accepted=(1 / np.sqrt(18), 0.2357, [0.236]),
    rejected=((1 / np.sqrt(8), "loops"), (1 / 18, "under a root"), (0.5, "one degree"), (1 / 9, "one degree"), (0.9, "with its loop")),
)


def _neighbours_needed(answer):
    if is_close(answer, 10, 1e-6):
        return None
    if is_close(answer, 9, 1e-6):
        return "With 9 the gain is exactly 1: edges neither help nor hurt."
    if is_close(answer, 8, 1e-6):
        return "A majority is not enough: noise is divided by 4, so the signal must keep more than a quarter."
    if is_close(answer, 4, 1e-6):
        return "That many or fewer help as well, from the other side; asked is for the more than half."
    return "Set |1 + 2s − d| above √(d + 1) with d = 15."


Exercise(
    "gcn-2", _neighbours_needed,
    accepted=(10, 10.0, [10]),
    rejected=((9, "exactly 1"), (8, "majority"), (4, "other side"), (12, "d = 15")),
)


def _small_graph(seed, nodes=9, directed=False):
    rng = np.random.default_rng(seed)
    A = (rng.random((nodes, nodes)) < 0.35).astype(float)
    if not directed:
        A = np.triu(A, 1) + np.triu(A, 1).T
    A += np.eye(nodes)
    root = np.sqrt(A.sum(1))
    return A / root[:, None] / root


def _gain(answer):
    if not callable(answer):
        return "A function is asked for: gain(P, y)."
    for seed in range(4):
        P = _small_graph(seed, directed=seed > 1)
        y = np.where(np.random.default_rng(seed).random(len(P)) < 0.5, -1.0, 1.0)
        found = np.asarray(answer(P.copy(), y.copy()), dtype=float)
        if found.shape != y.shape:
            return f"One number a node is asked for, {len(y)} of them, got shape {found.shape}."
        signal, noise = P @ y, np.sqrt((P**2).sum(1))
        if np.allclose(found, signal * y / noise):
            continue
        if np.allclose(found, signal / noise):
            return "Multiply by the node's own label: the signal should point to its side."
        if np.allclose(found, signal * y):
            return "That is the signal alone; divide it by the deviation of the noise."
        if np.allclose(found, signal * y / noise**2):
            return "Divide by the deviation of the noise, not by its variance."
        if np.allclose(found, P.T @ y * y / np.sqrt((P**2).sum(0))):
            return "A node hears with its row of P, not with its column."
        return "Row i of P sums yⱼ with weights Pᵢⱼ; independent noises add as squares, Σⱼ Pᵢⱼ²."
    return None


Exercise(
    "gcn-3", _gain,
    accepted=(answers.gain, answers.gain_by_loops),
    rejected=(
        (lambda P, y: (P @ y) / np.sqrt((P**2).sum(1)), "own label"), (lambda P, y: (P @ y) * y, "alone"),
        (lambda P, y: (P @ y) * y / (P**2).sum(1), "variance"), (lambda P, y: answers.gain(P.T, y), "column"),
        (lambda P, y: y, "squares"), (lambda P, y: 1.0, "One number"), (1.5, "function"),
    ),
)


def _propagated(answer):
    if not callable(answer):
        return "A function is asked for: propagate(x, pairs)."
    for seed, nodes, pairs in ((0, 6, [(0, 1), (1, 2), (3, 1), (4, 3)]), (1, 4, [(0, 1), (0, 1), (1, 2)]), (2, 3, [])):
        x = np.random.default_rng(seed).standard_normal((nodes, 2))
        pairs = np.array(pairs, int).reshape(-1, 2)
        found = np.asarray(answer(x.copy(), pairs.copy()), dtype=float)
        if found.shape != x.shape:
            return f"Shape {x.shape} is asked for, that of x, got {found.shape}."
        if not np.isfinite(found).all():
            return "A node without neighbours must still hear itself: your result is not finite."
        if np.allclose(found, answers.propagate(x, pairs)):
            continue
        if np.allclose(found, _propagated_with(x, pairs, loops=False)):
            return "The loops are missing: add 1 on the diagonal before the degrees are taken."
        if any(np.allclose(found, _propagated_with(x, each, both=False)) for each in (pairs, pairs[:, ::-1])):
            return "Each pair is an edge in both directions."
        if np.allclose(found, _overwritten(x, pairs)):
            return "Adding to out[index] adds only once where an index repeats: np.add.at adds every time."
        if np.allclose(found, _propagated_with(x, pairs, mean=True)):
            return "That is the mean over the neighbourhood; divide by the roots of both degrees."
        if nodes == 4:
            return "A pair that stands twice counts twice."
        return "Â = A + I; its row sums are the degrees; divide entry (t, s) by √(d_t d_s)."
    return None


def _propagated_with(x, pairs, loops=True, both=True, mean=False):
    A = np.eye(len(x)) * loops
    for a, b in pairs:
        A[b, a] += 1
        A[a, b] += both
    degree = np.maximum(A.sum(1), 1e-300)
    return A @ x / degree[:, None] if mean else A / np.sqrt(degree)[:, None] / np.sqrt(degree) @ x


def _overwritten(x, pairs):
    """What out[first] += … makes of nodes with several neighbours."""
    root = np.sqrt(1 + np.bincount(pairs.ravel(), minlength=len(x)))[:, None]
    out = x / root
    sent = out.copy()
    out[pairs[:, 0]] += sent[pairs[:, 1]]
    out[pairs[:, 1]] += sent[pairs[:, 0]]
    return out / root


def _once(x, pairs):
    return answers.propagate(x, np.unique(np.sort(np.asarray(pairs).reshape(-1, 2), 1), axis=0))


Exercise(
    "gcn-4", _propagated,
    accepted=(answers.propagate, answers.propagate_by_edges),
    rejected=(
        (lambda x, pairs: _propagated_with(x, pairs, loops=False), "loops are missing"),
        (lambda x, pairs: _propagated_with(x, pairs, both=False), "both directions"),
        (lambda x, pairs: _propagated_with(x, pairs[:, ::-1], both=False), "both directions"),
        (_overwritten, "adds only once"),
        (lambda x, pairs: _propagated_with(x, pairs, mean=True), "mean over"),
        (lambda x, pairs: answers.propagate(x, pairs) + (0 if len(pairs) else np.nan), "not finite"),
        (_once, "counts twice"), (lambda x, pairs: x, "row sums"), (lambda x, pairs: x[0], "Shape"), (0.5, "function"),
    ),
)


def _two_sides(half):
    """Everybody a friend of everybody on the other side, and of nobody on the own."""
    A = np.eye(2 * half)
    A[:half, half:] = A[half:, :half] = 1
    return A / (half + 1)


def _until(answer):
    if not callable(answer):
        return "A function is asked for: products_until(P, share)."
    for P, share in ((_small_graph(0), 0.01), (_small_graph(7), 1e-4), (_two_sides(5), 0.01)):
        right = answers.products_until(P, share)
        found = np.asarray(answer(P.copy(), share), dtype=float)
        if found.size != 1:
            return f"One whole number is asked for, got shape {found.shape}."
        found = found.item()
        if found == right:
            continue
        if abs(found - right) < 1:
            return f"Round up: after {right - 1} products more than that share is left."
        if found < right and (np.linalg.eigvalsh(P)[0] < -0.5):
            return "Here a negative eigenvalue is the second largest in size; that part turns its sign and fades no faster."
        return "The slowest part falls by |λ|, the second largest size of an eigenvalue, with every product."
    return None


Exercise(
    "gcn-5", _until,
    accepted=(answers.products_until, answers.products_until_by_counting),
    rejected=(
        (lambda P, share: np.log(share) / np.log(np.sort(np.abs(np.linalg.eigvalsh(P)))[-2]), "Round up"),
        (lambda P, share: np.ceil(np.log(share) / np.log(np.linalg.eigvalsh(P)[-2])), "negative"),
        (lambda P, share: 10, "second largest"), (lambda P, share: [1, 2], "One whole"), (12, "function"),
    ),
)


def _labels(answer):
    if not callable(answer):
        return "A function is asked for: label(edge_index, known, classes)."
    for number, graph in enumerate(answers.hidden_graphs()):
        wrong = answers.share_wrong(answer, graph)
        if wrong is None:
            return f"A label for each of the {len(graph[1])} nodes is asked for."
        if wrong > graph[3]:
            name = ("digits", "two moons", "three groups")[number]
            far = "Does a label get too far, into the other groups?" if number == 2 else "How far does a label get?"
            return f"On {name} {100 * wrong:.0f} of a hundred are wrong; {100 * graph[3]:.0f} are allowed. {far}"
    return None


Exercise(
    "gcn-6", _labels,
    accepted=(answers.spread_labels, answers.harmonic_labels, lambda *graph: answers.spread_labels(*graph, share=0.2)),
    rejected=(
        (lambda *graph: answers.spread_labels(*graph, products=2, share=0.0), "How far"),
        (lambda *graph: answers.spread_labels(*graph, products=4, share=0.0), "How far"),
        (lambda *graph: answers.spread_labels(*graph, products=200, share=0.01), "too far"),
        (lambda edge_index, known, classes: known, "allowed"), (lambda edge_index, known, classes: 0, "for each"), ([0, 1], "function"),
    ),
)

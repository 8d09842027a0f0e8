"""Max-Cut and maximum independent set: a graph network, the same descent without it, and classical heuristics.

Random graphs in which every node has the same number of neighbours. A cut is given as P = (cut/n − d/4)/√(d/4), an
independent set as its share of the nodes; every answer is recomputed, and none may exceed the bound of the semidefinite
program, or the optimum where it is known.

"certified": ten graphs of 200 nodes with three neighbours, whose largest cut a mixed-integer solver has proved.
"five hundred": twenty graphs of 500 nodes with three neighbours, and with five; a start for each. "gnn, no self-loops" is the
network of its authors' example, without its dropout; "gnn, tuned" has the best rate and vectors of "tuning"; "polished" adds every flip that
gains; "constructed" places one node after the other; "best of k" takes as many starts.
"tuning": the network's settings on eight other graphs of 500 nodes, one changed at a time, and descent without a network, by
gradient descent and by Adam at the best of three rates, from several sizes of start; "lowest eigenvector" has no descent at all.
"independent sets": twenty graphs of 500 nodes with three neighbours, and with five; ten of 200 with three, with the optimum.
"growth": one graph each of a hundred to ten thousand nodes with three neighbours: seconds (two cores, each solver alone, the
median of three runs where one takes under two seconds), P, and the bound's P. "growth of sets": the same for independent sets.
"""

import time

import numpy as np

from benchmarks.run import fingerprint, pin
from benchmarks.timing import rounded, two_cores

VERSIONS = ("numpy", "scipy", "torch", "networkx")
GROWTH = (100, 300, 1000, 3000, 10_000)
SEEDS, CERTIFIED, TUNING = 20, 10, range(1000, 1008)
RATES, WIDTHS, EPOCHS = (0.001, 0.003, 0.01, 0.03), (6, 11, 23, 46, 92), (500, 2000, 8000)
SCALES, VECTORS = (1.0, 1e-2, 1e-4, 1e-8, 1e-12, 1e-25, 1e-50, 1e-100), (0.03, 0.1, 0.3, 1.0)


def subjects():
    """What is measured, with a hash of the code that decides it."""
    graphs = ("edges", "normalization", "propagation", "convolution", "cuts", "local_cuts", "extremal_cuts", "random_graphs",
              "semidefinite_cuts", "relaxed_cuts", "exact_solutions", "independent_sets", "relaxed_sets")
    files = [f"course_lib/graphs/{name}.py" for name in graphs]
    mark = fingerprint(__file__, files, pin("torch"), pin("scipy"), pin("networkx"))
    return dict.fromkeys(("certified", "tuning", "five hundred", "independent sets", "growth", "growth of sets"), mark)


def measure(subject):
    """Measure one of them."""
    return {"certified": certified, "tuning": tuning, "five hundred": five_hundred,
            "independent sets": independent_sets, "growth": growth, "growth of sets": growth_of_sets}[subject]()


def solvers():
    """Name -> a solver of Max-Cut."""
    from course_lib import graphs

    return {
        "greedy": graphs.greedy_cut,
        "gnn": graphs.gnn_cut,
        "descent": graphs.descent_cut,
        "one rounding": lambda *graph: graphs.goemans_williamson_cut(*graph, rounds=1),
        "goemans–williamson": graphs.goemans_williamson_cut,
        "annealing": graphs.annealed_cut,
        "annealing, 10,000 sweeps": lambda *graph: graphs.annealed_cut(*graph, sweeps=10_000),
        "extremal": graphs.extremal_cut,
    }


def plain_cut(edge_index, side):
    """The cut counted edge by edge, without the library."""
    return sum(side[a] != side[b] for a, b in edge_index.T.tolist() if a < b)


def scored(edge_index, nodes, solver, seed, bound):
    """P of a solver's cut, recomputed and held against the bound; and the seconds."""
    begin = time.perf_counter()
    side = solver(edge_index, nodes, seed)
    seconds = time.perf_counter() - begin
    cut, quarter = plain_cut(edge_index, side.tolist()), edge_index.shape[1] / nodes / 4
    assert cut <= bound + 1e-6, f"a cut of {cut} exceeds the bound {bound}"
    return (cut / nodes - quarter) / quarter**0.5, seconds


def lowest_eigenvector(edge_index, nodes, seed):
    """The signs of the eigenvector of the least eigenvalue: no descent at all."""
    from course_lib.graphs.cuts import adjacency

    return np.linalg.eigh(adjacency(edge_index, nodes).toarray().astype(float))[1][:, 0] > 0


def polished(solver):
    """A solver, and then every flip that gains."""
    from course_lib.graphs import greedy_cut

    return lambda edge_index, nodes, seed: greedy_cut(edge_index, nodes, seed, start=solver(edge_index, nodes, seed))


def constructed(edge_index, nodes, seed):
    """Put one node after the other opposite to most of its neighbours; next comes one whose neighbours disagree with most."""
    from course_lib.graphs.cuts import adjacency
    from course_lib.graphs.extremal_cuts import Bins
    from course_lib.graphs.local_cuts import neighbours

    A, rng = adjacency(edge_index, nodes), np.random.default_rng(seed)
    friends, most = neighbours(A), int(A.sum(1).max())
    bins, pull, spins = Bins([0] * nodes, most + 1), [0] * nodes, [0] * nodes
    for chance, coin in rng.random((nodes, 2)).tolist():
        node = bins.ranked(0, chance)
        spins[node] = (-1 if pull[node] > 0 else 1) if pull[node] else (1 if coin < 0.5 else -1)
        bins.move(node, -most - 1)                      # the last bin: placed
        for friend, times in friends[node]:
            pull[friend] += times * spins[node]
            if not spins[friend]:
                bins.move(friend, abs(pull[friend]))
    return np.array(spins) > 0


def graphs_of(nodes, degree, seeds):
    """(seed, graph, bound) for each seed."""
    from course_lib.graphs import cut_bound, random_regular

    for seed in seeds:
        edge_index = random_regular(nodes, degree, seed)
        yield seed, edge_index, cut_bound(edge_index, nodes)


def certified(nodes=200):
    """Ten graphs: how many edges each solver is below the proved optimum."""
    from course_lib.graphs import optimal_cut

    short, optimum = {name: [] for name in solvers()}, []
    for seed, edge_index, bound in graphs_of(nodes, 3, range(CERTIFIED)):
        best = plain_cut(edge_index, optimal_cut(edge_index, nodes, seconds=300).tolist())
        assert best <= bound + 1e-6
        optimum.append(best)
        for name, solver in solvers().items():
            cut = plain_cut(edge_index, solver(edge_index, nodes, seed).tolist())
            assert cut <= best, f"{name} cuts {cut}, more than the optimum {best}"
            short[name].append(best - cut)
    return {"nodes": nodes, "optimum": optimum, "short": short}


def tuning(nodes=500):
    """P by setting, the mean of the tuning graphs."""
    from course_lib import adam
    from course_lib.graphs import descent_cut, gnn_cut

    drawn = list(graphs_of(nodes, 3, TUNING))

    def mean(solver):
        return rounded(np.mean([scored(graph, nodes, solver, seed, bound)[0] for seed, graph, bound in drawn]))

    def network(**options):
        return mean(lambda *graph: gnn_cut(*graph, **options))

    return {
        "rate": {str(lr): network(lr=lr) for lr in RATES},
        "embedding": {str(width): network(embedding=width) for width in WIDTHS},
        "epochs": {str(epochs): network(epochs=epochs) for epochs in EPOCHS},
        "vectors' size, rate .003": {str(scale): network(lr=0.003, scale=scale) for scale in VECTORS},
        "descent from": {str(scale): mean(lambda *graph: descent_cut(*graph, scale=scale)) for scale in SCALES},
        "adam from": {str(scale): max(mean(lambda *graph: descent_cut(*graph, rule=adam(lr), scale=scale))
                                      for lr in (0.001, 0.01, 0.1)) for scale in SCALES},
        "adam, eps 0.1, from": {str(scale): mean(lambda *graph: descent_cut(*graph, rule=adam(0.1, eps=0.1), scale=scale))
                                for scale in SCALES},
        "lowest eigenvector": mean(lowest_eigenvector),
    }


def five_hundred(nodes=500):
    """P of twenty graphs each, three neighbours and five; and the bound's."""
    from course_lib.graphs import gnn_cut, goemans_williamson_cut, greedy_cut

    def best_of(solver, k):
        def solve(edge_index, nodes, seed):
            sides = [solver(edge_index, nodes, 1000 * seed + each) for each in range(k)]
            return max(sides, key=lambda side: plain_cut(edge_index, side.tolist()))
        return solve

    extra = {
        "gnn, no self-loops": lambda *graph: gnn_cut(*graph, self_loops=False),
        "gnn, tuned": lambda *graph: gnn_cut(*graph, lr=0.003, scale=0.1),
        "lowest eigenvector": lowest_eigenvector,
        "lowest eigenvector, polished": polished(lowest_eigenvector),
        "planes, polished": polished(lambda *graph: goemans_williamson_cut(*graph)),
        "gnn, tuned, polished": polished(lambda *graph: gnn_cut(*graph, lr=0.003, scale=0.1)),
        "constructed": constructed,
        "constructed, best of 50": best_of(constructed, 50),
        "greedy, best of 300": best_of(greedy_cut, 300),
    }
    found = {}
    for degree in (3, 5):
        each = {name: [] for name in ("bound", *solvers(), *extra)}
        for seed, edge_index, bound in graphs_of(nodes, degree, range(SEEDS)):
            each["bound"].append((bound / nodes - degree / 4) / (degree / 4) ** 0.5)
            for name, solver in {**solvers(), **extra}.items():
                each[name].append(scored(edge_index, nodes, solver, seed, bound)[0])
        found[str(degree)] = {name: [rounded(value, 4) for value in values] for name, values in each.items()}
    return {"nodes": nodes, "P": found}


def set_solvers():
    """Name -> a solver of maximum independent set."""
    from course_lib import graphs

    return {
        "greedy": graphs.greedy_independent_set,
        "gnn": graphs.gnn_independent_set,
        "descent": graphs.descent_independent_set,
        "annealing": graphs.annealed_independent_set,
        "annealing, 10,000 sweeps": lambda *graph: graphs.annealed_independent_set(*graph, sweeps=10_000),
    }


def independent_sets():
    """The shares of the nodes that are in the sets, and the proved optimum for 200 nodes."""
    from course_lib import graphs

    ways, found = set_solvers(), {}
    for nodes, degree, seeds in ((200, 3, CERTIFIED), (500, 3, SEEDS), (500, 5, SEEDS)):
        each = {name: [] for name in ways}
        for seed in range(seeds):
            edge_index = graphs.random_regular(nodes, degree, seed)
            best = nodes
            if nodes == 200:
                best = int(graphs.optimal_independent_set(edge_index, nodes, seconds=300).sum())
                each.setdefault("optimum", []).append(best / nodes)
            for name, solver in ways.items():
                inside = solver(edge_index, nodes, seed)
                assert not any(inside[a] and inside[b] for a, b in edge_index.T.tolist()) and inside.sum() <= best
                each[name].append(rounded(inside.mean(), 4))
        found[f"{nodes} nodes, {degree} neighbours"] = each
    return {"shares": found}


def growth():
    """Seconds and P by size."""
    from course_lib.graphs import cut_bound, random_regular

    seconds, P = {name: {} for name in ("bound", *solvers())}, {name: {} for name in ("bound", *solvers())}
    with two_cores():
        for nodes in GROWTH:
            edge_index = random_regular(nodes, 3, 0)
            begin = time.perf_counter()
            bound = cut_bound(edge_index, nodes)
            seconds["bound"][str(nodes)] = rounded(time.perf_counter() - begin)
            P["bound"][str(nodes)] = rounded((bound / nodes - 0.75) / 0.75**0.5, 4)
            for name, solver in solvers().items():
                score, first = scored(edge_index, nodes, solver, 0, bound)
                times = [first] if first > 2 else [scored(edge_index, nodes, solver, 0, bound)[1] for _ in range(3)]
                P[name][str(nodes)], seconds[name][str(nodes)] = rounded(score, 4), rounded(np.median(times))
    return {"seconds": seconds, "P": P}


def growth_of_sets():
    """Seconds and shares by size."""
    from course_lib.graphs import random_regular

    seconds, shares = {name: {} for name in set_solvers()}, {name: {} for name in set_solvers()}
    with two_cores():
        for nodes in GROWTH:
            edge_index = random_regular(nodes, 3, 0)
            for name, solver in set_solvers().items():
                times = []
                while len(times) < (1 if times and times[0] > 2 else 3):
                    begin = time.perf_counter()
                    inside = solver(edge_index, nodes, 0)
                    times.append(time.perf_counter() - begin)
                assert not any(inside[a] and inside[b] for a, b in edge_index.T.tolist())
                seconds[name][str(nodes)], shares[name][str(nodes)] = rounded(np.median(times)), rounded(inside.mean(), 4)
    return {"seconds": seconds, "shares": shares}


def table(rows):
    """The page: optimum, twenty graphs, sets, settings, growth."""
    from benchmarks.pages import grid

    by, parts = {row["subject"]: row for row in rows}, []
    if row := by.get("certified"):
        lines = [[name, rounded(np.mean(each)), sum(value == 0 for value in each)] for name, each in row["short"].items()]
        parts.append(grid(["solver", "edges below the optimum, mean", "optima of ten"], lines))
    if row := by.get("five hundred"):
        three, five = row["P"]["3"], row["P"]["5"]
        lines = [[name, f"{np.mean(three[name]):.3f}", f"{np.mean(five[name]):.3f}"] for name in three]
        parts.append(grid(["solver", "P, three neighbours", "P, five"], lines))
    if row := by.get("independent sets"):
        kinds = row["shares"]
        names = list(next(iter(kinds.values())))
        lines = [[name, *(f"{np.mean(kinds[kind][name]):.4f}" if name in kinds[kind] else None for kind in kinds)]
                 for name in names]
        parts.append(grid(["solver", *kinds], lines))
    if row := by.get("tuning"):
        lines = [[f"{kind} {value}", P] for kind, each in row.items() if isinstance(each, dict) and kind != "versions"
                 for value, P in each.items()]
        parts.append(grid(["setting", "P"], [*lines, ["lowest eigenvector", row["lowest eigenvector"]]]))
    for row in (by[name] for name in ("growth", "growth of sets") if name in by):
        sizes = [str(nodes) for nodes in GROWTH]
        for kind in ("seconds", "P" if "P" in row else "shares"):
            lines = [[name, *(each[size] for size in sizes)] for name, each in row[kind].items()]
            parts.append(grid([f"{kind} by nodes", *sizes], lines))
    return "\n\n".join(parts)

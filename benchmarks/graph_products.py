"""One graph convolution, forward and backward: our sparse product beside PyTorch Geometric's paths, and its growth.

A random graph, every edge in both directions, 64 features in and out, float32, gradients for the features and the weights;
normalisation and sorting are done before. In one process on two cores, in turn, each round in another order. "ours" is
GCNConv on a Propagation, "ours, edges" the same on an edge_index that it has seen before. "PyG cached" is their GCNConv with
cached=True on the edge_index, "PyG EdgeIndex" on their sorted EdgeIndex (which this layer of theirs does not fuse), "PyG CSR"
on a sparse CSR tensor of PyTorch, their fastest path without further packages; "gather–scatter" is the definition edge by edge, and "compiled" that by torch.compile. A ratio is a median
over the rounds, time over ours.

"peak" is the memory that a first pass, forward and backward, adds to a process of its own, with what it prepares for later
ones ("PyG CSR" has been prepared before); once with ten million edges and a million nodes. "growth" takes ours from ten thousand edges to ten million, once
with ten edges a node, once with the same hundred thousand nodes; "prepare" is what normalising, sorting and transposing
take, which is done once for a graph.
"""

import subprocess
import sys
import time

import numpy as np

from benchmarks.pages import grid, spread
from benchmarks.run import ROOT, fingerprint, pin
from benchmarks.timing import interleaved, quartiles, ratio, rounded, two_cores

VERSIONS = ("numpy", "torch", "torch-geometric")
NODES, EDGES, WIDTH = 100_000, 1_000_000, 64
GROWTH = (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
PEAKS = {"ours, edges": 1, "PyG cached": 1, "PyG CSR": 1, "ours, ten million": 10}   # how many million edges


def subjects():
    """What is measured, with a hash of the code that decides it."""
    files = [f"course_lib/graphs/{name}.py" for name in ("edges", "normalization", "plain_products", "propagation", "convolution")]
    rivals = fingerprint(__file__, [*files, "benchmarks/timing.py"], pin("torch"), pin("torch_geometric"))
    ours = fingerprint(__file__, [*files, "benchmarks/timing.py"], pin("torch"))
    return {"a million edges": rivals, "peak": rivals, "growth": ours}


def measure(subject):
    """Measure one of them."""
    return {"a million edges": million, "peak": peaks, "growth": growth}[subject]()


def drawn(nodes, edges, width=WIDTH):
    """A random graph, features and the gradient of the output."""
    import torch

    generator = torch.Generator().manual_seed(0)
    half = torch.randint(nodes, (2, edges // 2), generator=generator)
    x, g = (torch.randn(nodes, width, generator=generator) for _ in range(2))
    return torch.cat([half, half.flip(0)], 1), x.requires_grad_(), g


def passes(layer, x, g, *graph):
    """A contender: so many passes forward and backward through a layer."""
    def run(steps):
        for _ in range(steps):
            x.grad = None
            layer.zero_grad()
            layer(x, *graph).backward(g)
    run.x = x
    return run


def contenders(nodes, edges, names=None):
    """Name -> a run; each gives the same output."""
    import warnings

    import torch
    from torch_geometric import EdgeIndex
    from torch_geometric.nn import GCNConv as Theirs

    from course_lib.graphs import GCNConv, Propagation, gather_scatter, gcn_norm

    edge_index, x, g = drawn(nodes, edges)

    class ByEdges(GCNConv):
        def __init__(self, *widths, product):
            super().__init__(*widths)
            self.product = product

        def forward(self, x, *graph):
            return self.product(self.lin(x), *graph) + self.bias

    def layer(kind, **options):
        torch.manual_seed(0)
        return kind(WIDTH, WIDTH, **options)

    def sorted_edges():
        pairs, order = EdgeIndex(gcn_norm(edge_index, nodes)[0], sparse_size=(nodes, nodes)).sort_by("col")
        pairs.fill_cache_()
        return pairs, gcn_norm(edge_index, nodes)[1][order]

    def csr():
        P = Propagation.normalized(edge_index, nodes)
        warnings.simplefilter("ignore")   # PyTorch: in beta; PyG: a conversion in the backward pass
        return torch.sparse_csr_tensor(P.layout.starts, P.layout.columns, P.values, P.shape)

    made = {
        "ours": lambda: (layer(GCNConv), Propagation.normalized(edge_index, nodes)),
        "ours, edges": lambda: (layer(GCNConv), edge_index),
        "PyG cached": lambda: (layer(Theirs, cached=True), edge_index),
        "PyG EdgeIndex": lambda: (layer(Theirs, normalize=False), *sorted_edges()),
        "PyG CSR": lambda: (layer(Theirs, normalize=False), csr()),
        "gather–scatter": lambda: (layer(ByEdges, product=gather_scatter), *gcn_norm(edge_index, nodes)),
        "compiled": lambda: (layer(ByEdges, product=torch.compile(gather_scatter)), *gcn_norm(edge_index, nodes)),
    }
    runs = {}
    for name in names or made:
        module, *graph = made[name]()
        runs[name] = passes(module, x, g, *graph)
    return runs


def million(nodes=NODES, edges=EDGES, seconds=40, rounds=(7, 25)):
    """Milliseconds of every contender, and their ratios to ours."""
    with two_cores():
        times = interleaved(contenders(nodes, edges), seconds, rounds)
    return {"nodes": nodes, "edges": edges, "width": WIDTH,
            "milliseconds": {name: quartiles(each, 1e3) for name, each in times.items()},
            "ratios": {name: ratio(times, name, "ours") for name in times if name != "ours"}}


def peaks():
    """Mebibytes that a pass adds to the peak of a process."""
    program = (
        "import sys; from benchmarks import graph_products as here\n"
        "name, times = sys.argv[1], int(sys.argv[2])\n"
        "run = here.contenders(times * here.NODES, times * here.EDGES, [name])[name]\n"
        "open('/proc/self/clear_refs', 'w').write('5')\n"   # the peak is counted from here
        "before = here.kibibytes('VmRSS'); run(1); print(here.kibibytes('VmHWM') - before)"
    )
    found = {}
    for name, times in PEAKS.items():
        arguments = [sys.executable, "-c", program, name.replace("ten million", "edges"), str(times)]
        out = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True)
        found[name] = round(int(out.stdout) / 1024)
    return {"nodes": NODES, "edges": EDGES, "features_mib": rounded(NODES * WIDTH * 4 / 2**20), "mib": found}


def kibibytes(name):
    """What Linux says about the memory of this process."""
    with open("/proc/self/status", encoding="utf-8") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name))


def available():
    """Linux alone can start counting a peak anew."""
    return sys.platform == "linux"


def growth():
    """Milliseconds of ours by the number of edges: of a pass, and of preparing the graph."""
    from course_lib.graphs import GCNConv, Propagation

    found = {"ten edges a node": {}, "the same nodes": {}, "prepare": {}}
    with two_cores():
        for edges in GROWTH:
            for kind, nodes in (("ten edges a node", edges // 10), ("the same nodes", NODES)):
                edge_index, x, g = drawn(nodes, edges)
                seconds = []
                for _ in range(3):
                    start = time.perf_counter()
                    P = Propagation.normalized(edge_index, nodes)
                    P.T
                    seconds.append(time.perf_counter() - start)
                run = passes(GCNConv(WIDTH, WIDTH), x, g, P)
                times = interleaved({"ours": run}, 2, (3, 20))["ours"]
                found[kind][str(edges)] = rounded(1e3 * np.median(times))
                if kind == "ten edges a node":
                    found["prepare"][str(edges)] = rounded(1e3 * np.median(seconds))
    return {"width": WIDTH, "milliseconds": found}


def table(rows):
    """The page: the race, the memory, the growth."""
    by = {row["subject"]: row for row in rows}
    parts = []
    if race := by.get("a million edges"):
        lines = [[name, spread(each), race["ratios"].get(name)] for name, each in race["milliseconds"].items()]
        parts.append(grid(["way", "milliseconds (quartiles)", "times ours"], lines))
    if peak := by.get("peak"):
        parts.append(grid(["way", "MiB added by a pass"], list(peak["mib"].items())))
    if grown := by.get("growth"):
        kinds = grown["milliseconds"]
        lines = [[int(edges), *(kinds[kind][edges] for kind in kinds)] for edges in kinds["prepare"]]
        parts.append(grid(["edges", *(f"{kind}, ms" for kind in kinds)], lines))
    return "\n\n".join(parts)

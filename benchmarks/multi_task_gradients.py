"""Gradients of 10 losses of one network as a matrix, and a direction made of them: the time of 10 backward passes, and less.

A network of linear layers and ReLUs with a million parameters that ten heads share, each head with a loss of its own;
float32, two cores, one process, in turn, each round in another order. Every contender goes back through the same graph,
which stays.

"separate" is ten times `loss.backward()`, each overwriting the gradients of the last; "kept" also copies them into the
rows of a matrix [10, parameters], as a combiner needs them. "batched" is `task_gradients(losses, trunk)`, which returns
such a matrix; "reused" writes it into that of the last step, `out=`, and so do "features", with `features=` too, and "in
turn", with `batched=False`: what is done where a batched pass is not possible. "torchjd" is `torchjd.autojac.jac`, which
returns the pieces of the matrix. Then the combiners, from the matrix to the direction, ours and TorchJD's: their time
does not depend on the batch, that of a backward pass does.

Ratios are times over those of "separate", medians over the rounds; milliseconds are the first quartile, the median and
the third. "apart" is how far the matrices are from that of "kept", in units of the largest entry.
"""

from benchmarks.pages import grid, spread
from benchmarks.run import ROOT, fingerprint, pin
from benchmarks.timing import interleaved, quartiles, ratio, rounded, two_cores

VERSIONS = ("torch", "torchjd", "numpy")
WIDTHS, TASKS, SECONDS = [256, 512, 1024, 336], 10, 12
BATCHES = {"batches of 64": 64, "batches of 256": 256, "batches of 512": 512}
COMBINERS = ("mgda", "pcgrad", "cagrad", "nash", "upgrad")


def subjects():
    """The sizes of a batch, with a hash of all that the times depend on."""
    files = [file.relative_to(ROOT).as_posix() for file in (ROOT / "course_lib" / "multi_task").glob("*.py")]
    return dict.fromkeys(BATCHES, fingerprint(__file__, [*files, "benchmarks/timing.py"], pin("torch"), pin("torchjd")))


def losses_of(batch, widths=WIDTHS):
    """Make the shared layers, the features they hand on, and ten losses."""
    import torch

    torch.manual_seed(0)
    layers = []
    for inputs, outputs in zip(widths, widths[1:]):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
        torch.nn.init.kaiming_normal_(layers[-2].weight, nonlinearity="relu")
    trunk = torch.nn.Sequential(*layers)
    heads = [torch.nn.Linear(widths[-1], 1) for _ in range(TASKS)]
    features = trunk(torch.randn(batch, widths[0]))
    return trunk, features, [(head(features)[:, 0] - torch.randn(batch)).square().mean() for head in heads]


def contenders(trunk, features, losses):
    """Return name -> a function that makes the gradients, once."""
    import torch

    from course_lib.multi_task import task_gradients

    params = list(trunk.parameters())
    out = torch.empty(TASKS, sum(w.numel() for w in params))

    def separate(keep=None):
        for i, loss in enumerate(losses):
            trunk.zero_grad()
            loss.backward(retain_graph=True)
            if keep is not None:
                torch.cat([w.grad.flatten() for w in params], out=keep[i])
        return keep

    found = {
        "separate": separate,
        "kept": lambda: separate(torch.empty_like(out)),
        "batched": lambda: task_gradients(losses, trunk),
        "reused": lambda: task_gradients(losses, trunk, out=out),
        "features": lambda: task_gradients(losses, trunk, features=features, out=out),
        "in turn": lambda: task_gradients(losses, trunk, out=out, batched=False),
    }
    try:
        from torchjd.autojac import jac
    except ImportError:     # it is no library that the tests need
        return found
    return {**found, "torchjd": lambda: jac(losses, params, retain_graph=True)}


def combiners():
    """Return name -> a function of the matrix, ours and, where it is installed, TorchJD's."""
    import numpy as np

    from course_lib import multi_task

    rng = np.random.default_rng(0)
    found = {name: getattr(multi_task, name) for name in COMBINERS}
    found["pcgrad"] = lambda G: multi_task.pcgrad(G, rng)
    try:
        from torchjd import aggregation
    except ImportError:
        return found
    return {**found, "torchjd mgda": aggregation.MGDA(), "torchjd pcgrad": aggregation.PCGrad()}


def measure(subject):
    """Time one size of batch."""
    return race(*losses_of(BATCHES[subject]), SECONDS)


def race(trunk, features, losses, seconds, rounds=(7, 60)):
    """Time the gradients and the combiners; return the numbers of a row."""
    import torch

    made = contenders(trunk, features, losses)
    G = made["kept"]()
    apart = {name: _matrix(run()).sub(G).abs().max() / G.abs().max() for name, run in made.items() if name != "separate"}
    G = made["batched"]()
    runs = {name: _repeated(run) for name, run in made.items()}
    runs |= {name: _repeated(lambda combine=combine: combine(G)) for name, combine in combiners().items()}
    with two_cores(), torch.random.fork_rng():
        times = interleaved(runs, seconds, rounds)
    return {
        "parameters": G.shape[1], "tasks": len(G), "rounds": len(times["separate"]),
        "milliseconds": {name: quartiles(each, 1e3) for name, each in times.items()},
        "ratios": {name: ratio(times, name, "separate") for name in times},
        "apart": {name: rounded(each) for name, each in apart.items()},
    }


def _matrix(gradients):
    import torch

    return gradients if isinstance(gradients, torch.Tensor) else torch.cat([g.flatten(1) for g in gradients], 1)


def _repeated(run):
    def repeat(steps):
        for _ in range(steps):
            run()

    return repeat


def table(rows):
    """Lay the rows out: a table for each size of batch."""
    parts = []
    for row in rows:
        parts.append(f"## {row['subject'].capitalize()}: {row['tasks']} tasks, {row['parameters']:,} shared parameters")
        names = row["milliseconds"]
        parts.append(grid(
            ["", "milliseconds", "of ten separate passes"],
            [[name, spread(row["milliseconds"][name]), row["ratios"][name]] for name in names]))
    return "\n\n".join(parts)

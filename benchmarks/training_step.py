"""A whole training step with Adam: zero_grad, forward, backward, step; the rule compiled against torch.optim.Adam.

TorchOptimizer(compiled=True) keeps small parameters and their gradients in flat buffers. Its step is timed alone in
`optimizer_step`; part of what it costs to bring gradients into a buffer is paid in backward, so only a whole step is a
fair comparison. Three networks of linear layers and ReLUs, a batch of 32 samples that stays the same, cross-entropy,
two cores, one process, in turn, each round in another order.

"plain" is the rule as it is written, "compiled" with compiled=True, neither looking for NaN, as torch does not; "loop"
(what torch takes on a CPU unless told), "foreach" and "fused" are torch's; "none" leaves the optimizer out. The share
is what the optimizer adds to a step, 1 − none/step; ratios are times over the compiled rule's. Both are medians over
the rounds; milliseconds are the first quartile, the median and the third. The bytes held are those of all tensors that
are alive after three steps, weights, gradients and states, each storage counted once; what a step needs only while it
runs is not among them.
"""

import gc

from benchmarks import contenders
from benchmarks.contenders import PATHS, RATE
from benchmarks.pages import grid, spread
from benchmarks.run import fingerprint
from benchmarks.timing import interleaved, quartiles, ratio, rounded, two_cores

VERSIONS = ("torch", "numpy")
BATCH, SECONDS = 32, 25
NETWORKS = {
    "12 layers of 1000": [1000] * 13,
    "MLP 64–128–10": [64, 128, 10],
    "100 layers of 64": [64] * 101,
}
OPTIMIZERS = ("compiled", "plain", *PATHS, "none")


def subjects():
    """The networks, with a hash of all that the times depend on."""
    files, pins = contenders.depends_on()
    return dict.fromkeys(NETWORKS, fingerprint(__file__, files, pins[0]))


def network(widths):
    """Make linear layers with ReLUs between; drawn so that gradients keep their size through any number of layers."""
    from torch import manual_seed, nn

    manual_seed(0)
    layers = []
    for inputs, outputs in zip(widths, widths[1:]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        nn.init.kaiming_normal_(layers[-2].weight, nonlinearity="relu")
    return nn.Sequential(*layers[:-1])


def trainer(name, widths, x, y):
    """Make one contender: a function that makes a number of training steps, and its network."""
    import torch

    from course_lib import TorchOptimizer, adam

    model = network(widths)
    if name in PATHS:
        optimizer = torch.optim.Adam(model.parameters(), RATE, **PATHS[name])
    elif name != "none":
        optimizer = TorchOptimizer(model.parameters(), adam(RATE), compiled=name == "compiled", check_finite=False)
    else:
        optimizer = None

    def run(steps):
        for _ in range(steps):
            (optimizer or model).zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            if optimizer:
                optimizer.step()

    return run, model


def held():
    """Return the bytes of all ordinary tensors that are alive, each storage counted once."""
    import torch

    gc.collect()
    alive = [each for each in gc.get_objects() if type(each) in (torch.Tensor, torch.nn.Parameter)]
    alive += [each.grad for each in alive if each.is_leaf and each.grad is not None]
    return sum({each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in alive}.values())


def measure(subject):
    """Train one network with every optimizer in turn."""
    return race(NETWORKS[subject], SECONDS)


def race(widths, seconds, rounds=(7, 60)):
    """Time the training steps of a network with these widths; return the numbers of a row."""
    import torch

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(BATCH, widths[0], generator=generator)
    y = torch.randint(widths[-1], (BATCH,), generator=generator)
    runs, memory = {}, {}
    with two_cores():
        for name in OPTIMIZERS:
            before = held()
            runs[name], model = trainer(name, widths, x, y)
            runs[name](3)
            size = sum(each.numel() for each in model.parameters())
            memory[name] = rounded((held() - before) / size, 4)
        times = interleaved(runs, seconds, rounds)
    torch.compiler.reset()
    return {"parameters": size, "tensors": 2 * len(widths) - 2, "batch_size": BATCH, **numbers(times),
            "bytes_per_parameter": memory}


def numbers(times):
    """Return what follows from the times of the rounds: name -> seconds [rounds]."""
    return {
        "milliseconds": {name: quartiles(each, 1e3) for name, each in times.items()},
        "rounds": len(times["none"]),
        "ratios": {name: ratio(times, name, "compiled") for name in times if name not in ("none", "compiled")},
        "optimizer_share": {name: rounded(1 - ratio(times, "none", name), 2) for name in times if name != "none"},
    }


def table(rows):
    """Lay the rows out: a table for each network, a line for each optimizer."""
    parts = []
    for row in rows:
        parts.append(f"## {row['subject']}: {row['parameters']:,} parameters in {row['tensors']} tensors")
        keys = ("ratios", "optimizer_share", "bytes_per_parameter")
        parts.append(grid(
            ["optimizer", "milliseconds a step", "× compiled", "share of the optimizer", "bytes held a parameter"],
            [[name, spread(row["milliseconds"][name]), *(row[key].get(name) for key in keys)] for name in OPTIMIZERS]))
    return "\n\n".join(parts)

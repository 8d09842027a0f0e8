"""One step of every rule: the rule as it is written, the same compiled, torch.optim's three ways, Keras, and optax.

Three models in float32: "12 M", twelve 1000 × 1000 matrices and twelve vectors of 1000, whose 12,012,000 parameters do
not fit into a cache; "MLP", the layers 64–128–10, 9,610 parameters in four tensors, where a step is mostly calls; and
"200 tensors" of 64 × 64. Only the step is timed: gradients are given and stay. All run in one process on two cores, in
turn, each round in another order; milliseconds are the first quartile, the median and the third over the rounds, and
a ratio is the median of the rounds' ratios, time over the compiled rule's: above 1, compiled is faster.

"plain" is TorchOptimizer, "compiled" the same with compiled=True, "checked" with check_finite=True besides; none of the
others looks at its gradients. "loop", "foreach" and "fused" are torch.optim's; "keras" runs in a graph, without XLA, as
`fit` does on a CPU; "optax" is jitted by XLA, its buffers donated. The bytes are those that a step has to read and
write: w and the state twice, g once. "copy" is tensor.copy_, its bytes counted as read and written; the memory also
fetches the lines that a copy overwrites, so a step can reach more than its bandwidth. In the small models both run in
the caches. Compiling is timed with an empty cache on disk, the compiler itself loaded; it has paid after the steps in
which the time that it saves adds up to it, or never.
"""

import gc
import math
import time
from contextlib import contextmanager

import numpy as np

from benchmarks import contenders
from benchmarks.contenders import TORCH, TWINS
from benchmarks.pages import grid, spread
from benchmarks.run import fingerprint
from benchmarks.timing import interleaved, quartiles, ratio, rounded, two_cores

VERSIONS = ("torch", "numpy", "keras", "tensorflow", "jax", "optax")
# Of each model: the shapes of its tensors, and the seconds to spend on the rounds of one rule.
CASES = {
    "12 M": ([(1000, 1000)] * 12 + [(1000,)] * 12, 25),
    "MLP": ([(128, 64), (128,), (10, 128), (10,)], 4),
    "200 tensors": ([(64, 64)] * 200, 4),
}


def subjects():
    """Every rule on every model, with a hash of all that the times depend on."""
    files, pins = contenders.depends_on()
    return {f"{rule}, {case}": fingerprint(__file__, files, *pins) for case in CASES for rule in TWINS}


def measure(subject):
    """Time one rule on one model."""
    rule, case = subject.split(", ")
    shapes, seconds = CASES[case]
    return {"rule": rule, "case": case, **race(rule, shapes, seconds)}


def race(name, shapes, seconds, rounds=(7, 60)):
    """Let all who offer a rule make its step in turn; return the numbers of a row."""
    with two_cores(), empty_cache():
        runs, compile_seconds = entrants(name, shapes)
        times = interleaved(runs, seconds, rounds)
    runs.clear()
    release()
    size = sum(int(np.prod(shape)) for shape in shapes)
    moved = contenders.bytes_moved(contenders.rule_of(name))
    return {"tensors": len(shapes), **numbers(times, size, moved, compile_seconds)}


def entrants(name, shapes):
    """Make the contenders; return them by name, and the seconds that the first step of the compiled one took."""
    weights, gradients = contenders.draw(shapes)
    rule = contenders.rule_of(name)
    runs = {"compiled": contenders.ours(rule, weights, gradients, compiled=True)}
    start = time.perf_counter()
    runs["compiled"](1)
    compile_seconds = time.perf_counter() - start
    runs["checked"] = contenders.ours(rule, weights, gradients, compiled=True, check_finite=True)
    runs["plain"] = contenders.ours(rule, weights, gradients)
    for path in TORCH:
        runs[path] = contenders.torchs(name, path, weights, gradients)
    runs["keras"] = contenders.kerass(name, weights, gradients)
    runs["optax"] = contenders.optaxs(name, weights, gradients)
    runs["copy"] = contenders.copy(sum(each.size for each in weights))
    return {entrant: run for entrant, run in runs.items() if run is not None}, compile_seconds


def numbers(times, size, moved, compile_seconds):
    """Return what follows from the times of the rounds: name -> seconds [rounds]."""
    median = {name: float(np.median(each)) for name, each in times.items()}
    fastest = min((path for path in TORCH if path in times), key=median.get, default=None)
    compiled = median["compiled"]

    def pays(rival):
        saved = median[rival] - compiled if rival else 0
        return math.ceil(rounded(compile_seconds / saved)) if saved > 0 else None

    return {
        "parameters": size,
        "milliseconds": {name: quartiles(each, 1e3) for name, each in times.items()},
        "rounds": len(times["compiled"]),
        "ratios": {name: ratio(times, name, "compiled") for name in times if name not in ("compiled", "copy")},
        "fastest_torch": fastest,
        "bytes": moved, "gb_s": rounded(moved * size / compiled / 1e9),
        "copy_gb_s": rounded(8 * size / median["copy"] / 1e9),
        "share_of_copy": rounded(np.median(times["copy"] / times["compiled"]) * moved / 8),
        "compile_seconds": rounded(compile_seconds),
        "pays_after": {"fastest_torch": pays(fastest), "plain": pays("plain")},
    }


@contextmanager
def empty_cache():
    """Within the block the compiler finds nothing that it has compiled before, but is loaded.

    It must be loaded before TensorFlow is: with these pins Triton, which it imports, crashes when it comes after.
    """
    import torch
    from torch._inductor.utils import fresh_cache

    torch.compile(lambda x: x + 1)(torch.ones(2))
    torch.compiler.reset()
    with fresh_cache():
        yield
    torch.compiler.reset()


def release():
    """Give back what the frameworks keep: the next subject starts as the first did."""
    import jax
    import keras

    keras.backend.clear_session()
    jax.clear_caches()
    gc.collect()


def table(rows):
    """Lay the rows out: of each model the times, the ratios, and what it costs and brings to compile."""
    others = ("checked", "plain", *TORCH, "keras", "optax")
    parts = []
    for case in CASES:
        of_case = [row for row in rows if row["case"] == case]
        if not of_case:
            continue
        parts.append(f"## {case}: {of_case[0]['parameters']:,} parameters in {of_case[0]['tensors']} tensors")
        names = ("compiled", *others, "copy")
        parts.append("Milliseconds a step: the median (quartiles).")
        parts.append(grid(
            ["rule", *names],
            [[row["rule"], *(spread(row["milliseconds"].get(name)) for name in names)] for row in of_case]))
        parts.append("Times as long as compiled. **Bold**: the fastest of torch's own.")
        parts.append(grid(
            ["rule", *others], [[row["rule"], *(bold(row, name) for name in others)] for row in of_case]))
        parts.append("What the compiled step moves; what compiling costs, and after how many steps it has paid.")
        parts.append(grid(
            ["rule", "bytes a parameter", "GB/s", "copy, GB/s", "share of copy", "seconds to compile",
             "paid against torch's fastest", "against plain"],
            [[row["rule"], row["bytes"], row["gb_s"], row["copy_gb_s"], row["share_of_copy"], row["compile_seconds"],
              "" if row["fastest_torch"] is None else row["pays_after"]["fastest_torch"] or "never",
              row["pays_after"]["plain"] or "never"] for row in of_case]))
    return "\n\n".join(parts)


def bold(row, name):
    """Write a ratio, that of torch's fastest path in bold."""
    value = row["ratios"].get(name)
    return f"**{value}**" if name == row["fastest_torch"] else value

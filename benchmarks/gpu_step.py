"""AdamW on a GPU, from a million to a billion float32 parameters in one tensor: how near each step comes to a copy.

"fused" is torch.optim.AdamW(fused=True), "compiled" the rule by compile_step, "triton" the kernel of triton_adamw; all
with the same settings; none looks for NaN. A step reads and writes 28 bytes a parameter (w, m, v twice, g once), a copy
8. Times are taken with events of CUDA around as many steps as last 40 ms, in turn, each round in another order:
quartiles of milliseconds, medians of GB/s and of the share of the copy in the same round. Where the data fit into the
cache of the GPU both are faster than its memory, and the smallest sizes show what a call from Python costs.
"""

import gc

import numpy as np

from benchmarks.contenders import RATE, bytes_moved, depends_on, rule_of
from benchmarks.pages import grid, spread
from benchmarks.run import fingerprint, pin, result
from benchmarks.timing import interleaved, quartiles, rounded

VERSIONS = ("torch", "numpy")
SIZES = {f"{millions} M": millions * 10**6 for millions in (1, 4, 16, 64, 250, 1000)}
SECONDS = 5


def memory():
    """Return the bytes of the GPU's memory, 0 without one."""
    import torch

    return torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else 0


def available():
    """Say whether there is a GPU."""
    return memory() > 0


def fits(size):
    """Say whether all contenders fit into the GPU at once: three times w, g, m, v, and two buffers to copy."""
    return (3 * 16 + 8) * size < 0.9 * memory()


def subjects():
    """The sizes; of those that this machine cannot measure, the ones that are committed, as they are."""
    files = [file for file in depends_on()[0] if "frameworks" not in file]
    mark = fingerprint(__file__, files, pin("torch"))
    committed = {row["subject"]: row["fingerprint"] for row in result("gpu_step")["rows"]}
    marks = {name: mark if fits(size) else committed.get(name) for name, size in SIZES.items()}
    return {name: mark for name, mark in marks.items() if mark}


def measure(subject):
    """Time one size."""
    import torch

    return {"card": torch.cuda.get_device_name(0), **race(SIZES[subject], SECONDS)}


def events(run, steps):
    """Return the seconds that the GPU takes for `run(steps)`."""
    import torch

    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    run(steps)
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3


def copy(size, device):
    """Copy one buffer into another."""
    import torch

    source, target = torch.ones(size, device=device), torch.zeros(size, device=device)
    return lambda: target.copy_(source)


def fused(size, device):
    """torch's own fused step of one tensor."""
    import torch

    w = torch.nn.Parameter(torch.randn(size, device=device))
    w.grad = torch.randn(size, device=device)
    return torch.optim.AdamW([w], RATE, fused=True).step


def compiled(size, device):
    """The rule, compiled."""
    from course_lib.kernels import compile_step

    return in_place(compile_step(rule_of("adamw")), size, device)


def triton(size, device):
    """The kernel that is written by hand."""
    from course_lib.kernels import triton_adamw

    return in_place(triton_adamw(rule_of("adamw")), size, device)


def in_place(step, size, device):
    """Call a step of flat tensors again and again."""
    import torch

    w, g = (torch.randn(size, device=device) for _ in range(2))
    state = rule_of("adamw").init(w)
    return lambda: step(w, g, state)


def repeated(step):
    """Turn a step into a contender."""
    def run(steps):
        for _ in range(steps):
            step()

    return run


def race(size, seconds, device="cuda", entrants=(copy, fused, compiled, triton), clock=events, rounds=(9, 60)):
    """Let the contenders step in turn; return the numbers of a row."""
    runs = {make.__name__: repeated(make(size, device)) for make in entrants}
    times = interleaved(runs, seconds, rounds, clock)
    runs.clear()
    gc.collect()
    if device == "cuda":
        import torch

        torch.cuda.empty_cache()
    return {"parameters": size, **numbers(times, size)}


def numbers(times, size):
    """Return what follows from the times of the rounds: name -> seconds [rounds]."""
    moved = bytes_moved(rule_of("adamw"))
    speeds = {name: (8 if name == "copy" else moved) * size / each / 1e9 for name, each in times.items()}
    return {
        "milliseconds": {name: quartiles(each, 1e3) for name, each in times.items()},
        "rounds": len(times["copy"]),
        "gb_s": {name: rounded(np.median(speed)) for name, speed in speeds.items()},
        "share_of_copy": {name: rounded(np.median(speed / speeds["copy"])) for name, speed in speeds.items()},
    }


def table(rows):
    """Lay the rows out: a line for each size."""
    names = list(rows[0]["gb_s"])
    shares = [name for name in names if name != "copy"]
    header = [*(f"{name}, ms" for name in names), *(f"{name}, GB/s" for name in names)]
    return grid(
        ["parameters", *header, *(f"{name}, share of the copy" for name in shares)],
        [[row["subject"], *(spread(row["milliseconds"][name]) for name in names),
          *(row["gb_s"][name] for name in names), *(row["share_of_copy"][name] for name in shares)] for row in rows])

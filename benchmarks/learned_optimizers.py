"""Learned optimizers beside the best classical ones: step sizes, quadratics, graphs of tasks, small networks.

Everything learned is trained from three seeds and judged on problems that nothing was tuned on. Baselines are tuned
on other problems of the same kind, for the same number of steps. "±" is half of a 95% interval over the test problems
(of what is learned: of each problem's mean over the seeds); "pairs" holds the differences of two methods on the same
problems, in the same way. A run has diverged where its loss is above that of the start. "theta" holds the learned
numbers, which are rounded before they are judged.

"step sizes": what the worst of some curvatures keeps of its distance: learned, Chebyshev's, the best polynomial (a
linear program), the best fixed step; and training that starts with equal steps.
"quadratics": graphs of near points, 64 nodes; log₁₀ of the excess that is left after 24, 96 and 240 products with a
matrix of the graph's pattern. K messages a step cost K products more. Learned, for 24 products: mixtures of descent
and of momentum with β = .9 and .6, or a rate for every step.
"tasks": related regressions with fewer samples than unknowns; excess of the test error after 25 steps, and after 50
and 150 with the same numbers. Six numbers (descent, momentum, decay; of itself and of its neighbours) imply a ridge
for a group's mean and one for the deviations from it.
"lying edges": the same with 30% of the edges moved, and further away. There is no gate, or it is linear, or it has 8
tanh; each task's rate is 4 over its largest curvature. Penalties are tuned for each case (that of 96 tasks: for the
family).
"networks": log of the loss of networks 16–16–4 on digits 0–4 with 20% of the labels drawn anew, after 25 minibatches
of 32, and further away. Two numbers mix Adams of β₁ .9 and .5; a network of 8 tanh sees each weight alone (34
numbers) or its neurons too (67). "× m" is the same rule whose one multiplier was tuned for the case, as Adam's rate
is.
"""

from itertools import product

import numpy as np

from benchmarks.run import fingerprint, pin

VERSIONS = ("numpy", "scipy", "torch", "scikit-learn")
SEEDS, LIMIT = 3, 1e30
PRODUCTS, STEPS = (24, 96, 240), 25
RATES, BETAS = (0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3), (0.5, 0.7, 0.9)
MULTIPLIERS = (0.125, 0.25, 0.5, 1.0, 2.0)
LIES = {   # case: (of the family, test problems)
    "family": ({}, 256), "clean": ({"lies": 0.0}, 128), "60% lie": ({"lies": 0.6}, 128),
    "all lie": ({"lies": 1.0}, 128), "noise 1.5": ({"noise": 1.5}, 128), "4 samples": ({"samples": 4}, 128),
    "12 samples": ({"samples": 12}, 128), "96 tasks": ({"tasks": 96}, 16), "inputs × 2": ({}, 128),
}
NETWORKS = {   # case: (of the family, steps)
    "family": ({}, 25), "digits 5–9": ({"data": "digits 5-9"}, 25),
    "digits 5–9, 10 × longer": ({"data": "digits 5-9"}, 250), "width 64": ({"widths": (64,)}, 25),
    "width 256": ({"widths": (256,)}, 25), "3 layers": ({"widths": (16,) * 3}, 25),
    "6 layers": ({"widths": (16,) * 6}, 25), "wine": ({"data": "wine"}, 25),
    "breast cancer": ({"data": "breast_cancer"}, 25), "moons": ({"data": "moons"}, 25),
    "inputs × 10": ({"scale": 10.0}, 25),
}
RULES = {"two numbers": (False, 0), "alone": (False, 8), "neurons": (True, 8)}   # messages, width of the network


def subjects():
    """What is measured, with a hash of the code that decides it."""
    files = [f"course_lib/graphs/{name}.py" for name in (
        "learned_steps", "rule_mixtures", "gated_mixtures", "network_rules", "meta_training", "learning_families",
        "network_families")]
    rules = ("rule", "descent", "heavy_ball", "moments", "transforms")
    files += [f"course_lib/update_rules/{name}.py" for name in rules]
    files += ["course_lib/tuning/hypergradients.py", "course_lib/transfer/networks.py"]
    mark = fingerprint(__file__, files, pin("torch"), pin("scikit-learn"))
    return dict.fromkeys(("step sizes", "quadratics", "tasks", "lying edges", "networks"), mark)


def measure(subject):
    """Measure one of them."""
    import torch

    torch.set_num_threads(1)
    return {"step sizes": step_sizes, "quadratics": quadratics, "tasks": tasks, "lying edges": lying_edges,
            "networks": networks}[subject]()


# ---- what all have in common

def rng(*keys):
    """A generator for this use alone."""
    return np.random.default_rng(keys)


def interval(values):
    """Mean, and half of a 95% interval."""
    values = np.asarray(values, float)
    return [round(float(values.mean()), 4), round(float(1.96 * values.std(ddof=1) / np.sqrt(len(values))), 4)]


def losses(rule, problems, steps):
    """The losses [steps, problems] of a run; what is no number counts as very large."""
    import torch

    from course_lib import run_rule

    with torch.no_grad():
        return np.nan_to_num(run_rule(rule, problems, steps).numpy(), nan=LIMIT, posinf=LIMIT)


def tuned(rules, problems, steps, scale=np.log):
    """The best of some rules by name, by the mean on these problems at the last step."""
    scores = {name: scale(losses(rule, problems, steps)[-1]).mean() for name, rule in rules.items()}
    best = min(scores, key=scores.get)
    return best, rules[best]


def judged(found, start, scale=np.log):
    """Of losses by method, [problems] or [seeds, problems]: means, divergences, and differences in pairs."""
    values = {name: scale(np.atleast_2d(each)) for name, each in found.items()}
    methods = {name: {
        "mean": interval(each.mean(0)),
        "seeds": [round(float(one.mean()), 4) for one in each] if len(each) > 1 else None,
        "diverged": int((np.atleast_2d(found[name]) > start).sum()), "worst": float(f"{np.max(found[name]):.4g}"),
    } for name, each in values.items()}
    pairs = {a: {b: interval(values[a].mean(0) - values[b].mean(0)) for b in values if b != a}
             for a in values if len(values[a]) > 1}
    return {"methods": methods, "pairs": pairs}


def trained(make_rule, theta, sample, **options):
    """Numbers learned from every seed, rounded, by `theta(seed)` and `sample(rng)`; how many batches were left out."""
    import torch

    from course_lib import learn_numbers

    found, lost = [], []
    for seed in range(SEEDS):
        numbers, history = learn_numbers(make_rule, theta(seed), lambda i, seed=seed: sample(rng(0, seed, i)), **options)
        found.append(torch.tensor([float(f"{number:.6g}") for number in numbers.tolist()], dtype=torch.float64))
        lost.append(int(np.isnan(history).sum()))
    return found, lost


def of_seeds(make_rule, theta, problems, steps):
    """The losses [steps, seeds, problems] of learned numbers."""
    return np.stack([losses(make_rule(each, problems), problems, steps) for each in theta], 1)


def zeros(size, **entries):
    """A vector of zeros but for some entries, by "at3"."""
    import torch

    theta = torch.zeros(size, dtype=torch.float64)
    for place, value in entries.items():
        theta[int(place.removeprefix("at"))] = value
    return theta


# ---- step sizes

def step_sizes():
    """Learned step sizes, and what they leave."""
    from scipy.optimize import linprog

    from course_lib import chebyshev_steps, learn_step_sizes, worst_remainder

    integers, cases = np.arange(1.0, 21.0), {}
    for name, values, steps in (
        *((f"1 … 20, {steps} steps", integers, steps) for steps in (1, 3, 5, 8)),
        ("200 from 1 to 20, 5 steps", np.linspace(1, 20, 200), 5),
        ("200 from 1 to 100, 10 steps", np.linspace(1, 100, 200), 10),
    ):
        low, high = values.min(), values.max()
        powers, ones = (values[:, None] / high) ** np.arange(1, steps + 1), np.ones((len(values), 1))
        A, b = np.block([[powers, -ones], [-powers, -ones]]), np.concatenate([-ones, ones]).ravel()
        bounds = [(None, None)] * steps + [(0, None)]
        rates, known = learn_step_sizes(values, steps), chebyshev_steps(low, high, steps)
        left = {"learned": worst_remainder(values, rates), "Chebyshev": worst_remainder(values, known),
                "best": linprog(np.eye(steps + 1)[-1], A_ub=A, b_ub=b, bounds=bounds).fun,
                "fixed": ((high - low) / (high + low)) ** steps}
        left = {way: round(float(value), 5) for way, value in left.items()}
        cases[name] = {"left": left, "theta": np.round(rates, 5).tolist()}
        print(f"  {name}: {left}", flush=True)
    equal = {}
    for updates in (150, 500, 2000):
        rates = learn_step_sizes(integers, 5, start=np.full(5, 0.05), updates=updates)
        equal[updates] = {"left": round(worst_remainder(integers, rates), 4), "theta": np.round(rates, 5).tolist()}
    return {"cases": cases, "equal start": equal}


# ---- quadratics

def conjugate_gradients(problems, steps, scaled=False):
    """Their losses [steps, problems]; with the diagonal as a preconditioner, where `scaled`."""
    import torch

    H, b = problems.graph["H"], problems.graph["b"]
    inverse = 1 / H.diagonal(dim1=1, dim2=2) if scaled else torch.ones_like(b)
    w, r = torch.zeros_like(b), b
    z = d = inverse * r
    found = []
    for _ in range(steps):
        Hd = (H @ d[..., None])[..., 0]
        along = (r * z).sum(-1, keepdim=True)
        step = along / (d * Hd).sum(-1, keepdim=True).clamp(min=1e-300)
        w, r = w + step * d, r - step * Hd
        z = inverse * r
        d = z + (r * z).sum(-1, keepdim=True) / along.clamp(min=1e-300) * d
        found.append(problems.loss(w))
    return torch.stack(found).numpy()


def quadratic_rules(K):
    """The mixture of K messages a step, from its numbers."""
    from course_lib import gradient_descent, mixture, momentum

    rules = [gradient_descent(1.0), momentum(1.0, 0.9, dampening=0.9), momentum(1.0, 0.6, dampening=0.6)]
    return lambda theta, problems: mixture(rules, theta.view(K + 1, 3), problems.graph["message"])


def rates_of_steps(theta, problems):
    """Descent with a learned rate for every step, and 0 after the last."""
    import torch

    from course_lib import gradient_descent

    rates = torch.cat([theta.exp(), 0 * theta[:1]])
    return gradient_descent(lambda t: rates[min(int(t), len(theta))])


def quadratics():
    """Classical and learned rules on graphs of near points."""
    import torch

    from course_lib import adam, chebyshev_steps, gradient_descent, graph_quadratics, momentum

    tune, sets = graph_quadratics(rng(2, 0), 32, 64), {
        "64 nodes": graph_quadratics(rng(1, 0), 64, 64), "256 nodes": graph_quadratics(rng(1, 1), 32, 256)}
    grids = {
        "descent": {f"{lr}": gradient_descent(lr) for lr in (0.1, 0.12, 0.14, 0.16, 0.18, 0.2, 0.22, 0.24)},
        "heavy ball": {f"{lr}, {beta}": momentum(lr, beta) for lr, beta in product(
            (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4), (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9))},
        "Nesterov": {f"{lr}, {beta}": momentum(lr, beta, nesterov=True) for lr, beta in product(
            (0.06, 0.08, 0.1, 0.12, 0.15), (0.6, 0.7, 0.8, 0.85, 0.9, 0.95))},
        "Adam": {f"{lr}, {beta}": adam(lr, beta) for lr, beta in product((0.1, 0.2, 0.3, 0.5, 1.0), (0.5, 0.7, 0.9))},
    }
    chosen = {name: tuned(rules, tune, PRODUCTS[0]) for name, rules in grids.items()}
    theta, lost = {}, {}
    for K in (0, 1, 2):
        name = f"{K} messages"
        theta[name], lost[name] = trained(
            quadratic_rules(K), lambda seed: zeros(3 * K + 3, at0=0.1), lambda rng: graph_quadratics(rng, 16, 64),
            updates=300, unroll=24 // (K + 1), lr=0.03)
        print(f"  {name}: {theta[name][0].tolist()}", flush=True)
    theta["a rate a step"], lost["a rate a step"] = trained(
        rates_of_steps, lambda seed: torch.tensor(np.log(np.geomspace(0.1, 20, 26)[1:-1])),
        lambda rng: graph_quadratics(rng, 16, 64), updates=300, unroll=24, lr=0.05)
    cases = {}
    for case, problems in sets.items():
        values = problems.graph["eigenvalues"]
        low, high = values[:, :1], values[:, -1:]
        kappa = (high / low).sqrt()
        best = momentum(4 / (high.sqrt() + low.sqrt()) ** 2, ((kappa - 1) / (kappa + 1)) ** 2)
        runs = {name: losses(rule, problems, PRODUCTS[-1]) for name, (_, rule) in chosen.items()}
        runs["heavy ball, each problem's best"] = losses(best, problems, PRODUCTS[-1])
        runs["conjugate gradients"] = conjugate_gradients(problems, PRODUCTS[-1])
        runs["conjugate gradients, diagonal"] = conjugate_gradients(problems, PRODUCTS[-1], scaled=True)
        own = torch.tensor(np.stack([chebyshev_steps(float(a), float(b), 24) for a, b in zip(low, high)], 1))[..., None]
        runs["Chebyshev, each problem's 24"] = losses(gradient_descent(lambda t: own[int(t)]), problems, 24)
        for K in (0, 1, 2):
            name = f"{K} messages"
            runs[name] = of_seeds(quadratic_rules(K), theta[name], problems, PRODUCTS[-1] // (K + 1))
        runs["a rate a step"] = of_seeds(rates_of_steps, theta["a rate a step"], problems, 24)
        cost = {name: 1 for name in runs} | {f"{K} messages": K + 1 for K in (0, 1, 2)}
        for products in PRODUCTS:
            steps = {name: products // cost[name] for name in runs}
            at = {name: run[steps[name] - 1] for name, run in runs.items() if steps[name] <= len(run)}
            cases[f"{case}, {products} products"] = judged(at, 1.0, lambda x: np.log10(x + 1e-30))
        at = {f"{K} messages": runs[f"{K} messages"][23] for K in (0, 1, 2)}
        cases[f"{case}, 24 steps"] = judged(at, 1.0, lambda x: np.log10(x + 1e-30))
    return {"cases": cases, "chosen": {name: setting for name, (setting, _) in chosen.items()},
            "theta": {name: [each.tolist() for each in found] for name, found in theta.items()}, "left out": lost}


# ---- graphs of tasks

def task_rules(messages):
    """The mixture of descent, momentum and decay, from three or six numbers."""
    from course_lib import decay_to_zero, gradient_descent, mixture, momentum

    rules = [gradient_descent(1.0), momentum(1.0, 0.9, dampening=0.9), decay_to_zero()]

    def make_rule(theta, problems):
        A = problems.graph["adjacency"]
        mean = A / A.sum(-1, keepdim=True).clamp(min=1)
        return mixture(rules, theta.view(messages + 1, 3), mean.__matmul__)

    return make_rule


def implied_ridges(theta):
    """At rest g + Q w = 0: the ridges on a clique of four's mean, where P = 1, and on deviations, where P = −1/3."""
    (a, m, r), (a1, m1, r1) = theta.view(2, 3).tolist()
    return [round((r + share * r1) / (a + m + share * (a1 + m1)), 5) for share in (1, -1 / 3)]


def ridge(problems, pull, ridge):
    """The closed form of the quadratic penalty."""
    import torch

    from course_lib import laplacian, penalised

    A = problems.graph["adjacency"]
    return penalised(problems, pull * laplacian(A) + ridge * torch.eye(A.shape[-1], dtype=A.dtype))


def with_penalty(problems, pull, ridge):
    """The same problems, the penalty's gradient added."""
    from course_lib import Problems, laplacian

    L = laplacian(problems.graph["adjacency"])

    def grad(w, t):
        return problems.grad(w, t) + pull * (L @ w) + ridge * w

    return Problems(problems.w0, grad, problems.loss, problems.graph)


def closed(solve, grid, tune):
    """The best setting of a closed form on these problems."""
    return min(grid, key=lambda setting: float(tune.loss(solve(tune, *setting)).mean()))


def tasks():
    """Classical and learned rules on a clean graph of tasks."""
    import torch

    from course_lib import adam, momentum, penalised, task_graphs

    tune, test = task_graphs(rng(2, 0), 64), task_graphs(rng(1, 0), 128)
    H, h = test.graph["hessian"], test.graph["slope"]
    shared = torch.linalg.solve(H.mean(1), h.mean(1))[:, None].expand_as(h)
    alone = closed(ridge, [(0.0, r) for r in (0.01, 0.03, 0.1, 0.3, 1.0)], tune)
    both = closed(ridge, list(product((0.01, 0.03, 0.06, 0.1, 0.2, 0.3, 1.0), (0.001, 0.003, 0.01, 0.03, 0.1))), tune)
    found = {"start": test.loss(test.w0), "one w for all": test.loss(shared), "ridge": test.loss(ridge(test, *alone)),
             "penalty": test.loss(ridge(test, *both)), "posterior": test.loss(penalised(test, test.graph["prior"]))}
    found = {name: each.numpy() for name, each in found.items()}
    chosen = {"ridge": alone, "penalty": both}
    rates, penalties = (0.1, 0.2, 0.3, 0.5, 0.8, 1.2), list(product((0.03, 0.06, 0.1, 0.2), (0.003, 0.01, 0.03)))
    grids = {   # name: (rule, its settings, penalties)
        "Adam alone": (adam, list(product((0.03, 0.05, *rates), BETAS)), [(0.0, 0.0)]),
        "Adam (β₁ = .9) on the penalty": (adam, [(lr, 0.9) for lr in rates], [both]),
        "Adam on a penalty": (lambda lr, beta: adam(lr, beta, 0.99), list(product(rates, BETAS)), penalties),
        "heavy ball on a penalty": (momentum, list(product((0.2, 0.3, 0.4, 0.5, 0.6), (*BETAS, 0.8))), penalties),
    }
    runs = {}
    for name, (make, settings, penalties) in grids.items():
        tried = {}
        for penalty in penalties:
            problems = with_penalty(tune, *penalty)
            tried |= {(setting, penalty): losses(make(*setting), problems, STEPS)[-1].mean() for setting in settings}
        setting, penalty = chosen[name] = min(tried, key=tried.get)
        runs[name] = losses(make(*setting), with_penalty(test, *penalty), 150)
        print(f"  {name}: {chosen[name]}", flush=True)
    theta, lost = {}, {}
    for messages, name in ((0, "three numbers"), (1, "six numbers")):
        theta[name], lost[name] = trained(task_rules(messages), lambda seed: zeros(3 * messages + 3, at0=0.1),
                                          lambda rng: task_graphs(rng, 8), updates=300, unroll=STEPS)
        runs[name] = of_seeds(task_rules(messages), theta[name], test, 150)
    start, same = found["start"], lambda x: x
    cases = {f"{steps} steps": judged({**found, **{name: run[steps - 1] for name, run in runs.items()}}, start, same)
             for steps in (STEPS, 50, 150)}
    prior = [0.5**2 / 6 / variance for variance in (4 * (1 - 0.3**2) + 0.3**2, 0.3**2)]
    ridges = {"posterior": np.round(prior, 5).tolist(), "six numbers": [*map(implied_ridges, theta["six numbers"])]}
    return {"cases": cases, "chosen": chosen, "ridges": ridges,
            "theta": {name: [each.tolist() for each in found] for name, found in theta.items()}, "left out": lost}


def gated_rules(hidden):
    """The gated mixture with rates that are bounded by curvature, from its numbers; hidden None: every edge is open."""
    from course_lib import decay_to_zero, edge_gate, gated_mixture, gradient_descent, largest_curvatures, momentum

    rules = [momentum(1.0, 0.9, dampening=0.9), gradient_descent(1.0), decay_to_zero()]

    def make_rule(theta, problems):
        gate = None if hidden is None else edge_gate(theta[6:], hidden)
        rates = 4 / largest_curvatures(problems.graph["hessian"])
        return gated_mixture(rules, theta[:6].view(2, 3), gate, problems.graph["adjacency"], rates)

    return make_rule


def gated_start(hidden, seed):
    """Plain descent, edges half open; the tanh of the gate drawn from the seed."""
    import torch

    size = 6 + (0 if hidden is None else 1 + (6 * hidden or 4))
    theta = zeros(size, at1=0.1)
    if hidden:
        drawn = torch.tensor(rng(3, seed).standard_normal(5 * hidden) / 2)
        theta[7 : 7 + 4 * hidden], theta[-hidden:] = drawn[: 4 * hidden], drawn[4 * hidden :]
    return theta


def larger_inputs(problems):
    """Inputs and labels twice as large: gradients four times, the weights that are sought the same."""
    from course_lib import Problems

    graph = {**problems.graph, **{name: 4 * problems.graph[name] for name in ("hessian", "slope", "prior")}}
    return Problems(problems.w0, lambda w, t: 4 * problems.grad(w, t), problems.loss, graph)


def lying_edges():
    """Gates beside penalties, where some of the edges join tasks that have nothing in common."""
    from course_lib import penalised, robust_penalised, task_graphs

    gates, theta, lost = {"no gate": None, "linear gate": 0, "tanh gate": 8}, {}, {}
    for name, hidden in gates.items():
        theta[name], lost[name] = trained(gated_rules(hidden), lambda seed: gated_start(hidden, seed),
                                          lambda rng: task_graphs(rng, 8, lies=0.3), updates=300, unroll=STEPS)
        print(f"  {name}: left out {lost[name]}", flush=True)
    cases, chosen = {}, {}
    forms = {"ridge": (ridge, [(0.0, r) for r in (0.01, 0.03, 0.1, 0.3, 1.0)]),
             "penalty": (ridge, list(product((0.01, 0.03, 0.1, 0.3, 1.0), (0.001, 0.01, 0.03, 0.1, 0.3)))),
             "robust penalty": (robust_penalised, list(product(
                 (0.1, 0.3, 1.0), (0.01, 0.03, 0.1), (0.7, 1.0, 1.5, 2.5))))}
    for number, (case, (options, many)) in enumerate(LIES.items()):
        draw = {"lies": 0.3, **options}
        test, tune = task_graphs(rng(1, number), many, **draw), task_graphs(rng(2, number), 24, **{**draw, "tasks": 24})
        if case == "inputs × 2":
            test, tune = larger_inputs(test), larger_inputs(tune)
        chosen[case] = chosen["family"] if case == "96 tasks" else {
            name: closed(*form, tune) for name, form in forms.items()}
        found = {name: test.loss(solve(test, *chosen[case][name])).numpy() for name, (solve, _) in forms.items()}
        for name in ("penalty", "robust penalty"):
            found[f"{name}, family's"] = test.loss(forms[name][0](test, *chosen["family"][name])).numpy()
        found["posterior"] = test.loss(penalised(test, test.graph["prior"])).numpy()
        for name, hidden in gates.items():
            found[name] = of_seeds(gated_rules(hidden), theta[name], test, STEPS)[-1]
        cases[case] = judged(found, test.loss(test.w0).numpy(), lambda x: x)
        print(f"  {case}: {({name: each['mean'] for name, each in cases[case]['methods'].items()})}", flush=True)
    test = task_graphs(rng(1, 0), 64, lies=0.3)
    found = {name: of_seeds(gated_rules(hidden), theta[name], test, 500)[-1] for name, hidden in gates.items()}
    cases["family, 500 steps"] = judged(found, test.loss(test.w0).numpy(), lambda x: x)
    return {"cases": cases, "chosen": chosen,
            "theta": {name: [each.tolist() for each in found] for name, found in theta.items()}, "left out": lost}


# ---- networks

def network_rules(way, lr=1.0):
    """The learned rule of one way, from its numbers."""
    from course_lib import network_rule, neuron_means

    messages, hidden = RULES[way]

    def make_rule(theta, problems):
        return network_rule(theta, neuron_means(problems.graph) if messages else None, hidden=hidden, lr=lr)

    return make_rule


def over_the_run(losses):
    """Half the mean of the logs at every fifth step, half that of the last."""
    logs = (losses + 1e-6).log()
    return (logs[4::5].mean() + logs[-1].mean()) / 2


def ladder(steps):
    """Baselines, each tuned over more than the one before."""
    from course_lib import adam, nadam
    from course_lib.schedules import cosine_decay

    long = steps > STEPS
    rates, betas, more = (RATES[1::2], (0.5, 0.9), (0.5, 0.9)) if long else (RATES, BETAS, (0.0, *BETAS))
    return {
        "Adam": {f"{lr}": adam(lr) for lr in rates},
        "Adam, β₁": {f"{lr}, {beta}": adam(lr, beta, 0.99) for lr, beta in product(rates, betas)},
        "NAdam, β₁": {f"{lr}, {beta}": nadam(lr, beta, 0.99) for lr, beta in product(rates, betas)},
        "Adam, cosine, β₁": {
            f"{lr}, {beta}": adam(cosine_decay(lr, steps), beta, 0.99) for lr, beta in product(rates, more)},
    }


def networks():
    """Rules learned on small networks, there and elsewhere."""
    import torch

    from course_lib import network_start, neuron_means, small_networks

    theta, lost, cases, chosen = {}, {}, {}, {}
    for way, (messages, hidden) in RULES.items():
        means = neuron_means([(16, 16), (16, 4)]) if messages else None
        rates = torch.full_like(network_start(0, means, hidden=hidden), 0.02)
        rates[: 2 + messages] /= 10
        theta[way], lost[way] = trained(
            network_rules(way), lambda seed: network_start(seed, means, hidden=hidden),
            lambda rng: small_networks(rng, 8), updates=150, unroll=STEPS, lr=rates, score=over_the_run)
        print(f"  {way}: {[each[: 2 + messages].tolist() for each in theta[way]]}, left out {lost[way]}", flush=True)
    log = lambda x: np.log(x + 1e-6)   # noqa: E731
    for number, (case, (options, steps)) in enumerate(NETWORKS.items()):
        test, tune = small_networks(rng(1, number), 48, **options), small_networks(rng(2, number), 24, **options)
        picked = {name: tuned(rules, tune, steps, log) for name, rules in ladder(steps).items()}
        if case == "family":
            family = {f"{name}, family's": rule for name, (_, rule) in picked.items() if "cosine" not in name}
        chosen[case] = {name: setting for name, (setting, _) in picked.items()}
        found = {name: losses(rule, test, steps)[-1] for name, (_, rule) in picked.items()}
        found |= {name: losses(rule, test, steps)[-1] for name, rule in family.items() if case != "family"}
        for way, each in theta.items():
            found[way] = of_seeds(network_rules(way), each, test, steps)[-1]
            runs, multipliers = [], []
            for numbers in each:
                rules = {m: network_rules(way, m)(numbers, tune) for m in MULTIPLIERS}
                m, _ = tuned(rules, tune, steps, log)
                multipliers.append(m)
                runs.append(losses(network_rules(way, m)(numbers, test), test, steps)[-1])
            found[f"{way} × m"], chosen[case][f"{way} × m"] = np.stack(runs), multipliers
        cases[case] = judged(found, test.loss(test.w0).numpy(), log)
        print(f"  {case}: {({name: each['mean'] for name, each in cases[case]['methods'].items()})}", flush=True)
    return {"cases": cases, "chosen": chosen,
            "theta": {name: [each.tolist() for each in found] for name, found in theta.items()}, "left out": lost}


def table(rows):
    """The page: every method in every case."""
    from benchmarks.pages import grid

    pages = []
    for row in rows:
        if row["subject"] == "step sizes":
            body = grid(["curvatures", "learned", "Chebyshev", "best", "fixed"],
                        [[case, *each["left"].values()] for case, each in row["cases"].items()])
        else:
            lines = [[case, name, each["mean"][0], f"± {each['mean'][1]}", each["diverged"] or None, each["worst"]]
                     for case, found in row["cases"].items() for name, each in found["methods"].items()]
            body = grid(["case", "method", "mean", "", "diverged", "worst loss"], lines)
        pages.append(f"## {row['subject'].capitalize()}\n\n{body}")
    return "\n\n".join(pages)

"""What the playground offers: surfaces, rules and schedules of `course_lib`, with the ranges of their sliders.

The formulas, the defaults and the sentences about them come from the library; only what a reader may turn, and how
far, stands here.
"""

import inspect
from dataclasses import dataclass, field, replace

import numpy as np

from course_lib import objectives, schedules, update_rules

MOST_STEPS = 1000


@dataclass(frozen=True)
class Range:
    """How a setting is turned: the ends of its slider, and how the slider runs between them.

    Parameters
    ----------
    label, symbol, unit : str
    least, most : float
        The ends of the slider.
    scale : str
        "linear", "log", or "memory": even in −log(1 − β), so that 0, .9, .99, .999 are equally far apart.
    limits : pair of floats, optional
        What may be typed, where that is more than the slider shows.
    initial : float, optional
        Where the library has no default, or one of no use here. None in a schedule: the steps of the run.
    kind : str
        "number", "count" or "switch".
    advanced : bool
        Folded away at first.
    """

    label: str
    least: float = 0
    most: float = 1
    symbol: str = ""
    unit: str = ""
    scale: str = "linear"
    limits: tuple | None = None
    initial: float | None = None
    kind: str = "number"
    advanced: bool = False


def rate(initial, **changes):
    """The range of a learning rate."""
    return replace(Range("learning rate", 1e-4, 2, "η", scale="log", limits=(0, 1e6), initial=initial), **changes)


def memory(label, symbol, **changes):
    """The range of a share that is kept from one step to the next."""
    return replace(Range(label, 0, 0.999, symbol, scale="memory", limits=(0, 1 - 1e-9)), **changes)


EPS = Range("against division by 0", 1e-12, 1, "ε", scale="log", limits=(0, 1e6), advanced=True)
DECAY = Range("weight decay", 0, 1, "λ", limits=(0, 1e6))
BETA1 = memory("memory of gradients", "β₁")
BETA2 = memory("memory of squares", "β₂")
RHO = memory("memory of squares", "ρ")
STEPS = Range("over steps", 1, MOST_STEPS, kind="count")
END = Range("down to", 0, 1, limits=(0, 1e6), advanced=True)


def switch(label):
    """The range of what is on or off."""
    return Range(label, kind="switch", advanced=True)


@dataclass(frozen=True)
class Surface:
    """A function of two parameters, made by `make(**settings)`.

    `view` is x₀, x₁, y₀, y₁. `python` makes it, as `f`, with the library alone; `python_turned` where it can be turned.
    """

    title: str
    make: object
    python: str
    view: tuple
    start: tuple
    settings: dict = field(default_factory=dict)
    about: str | None = None
    python_turned: str = ""


@dataclass(frozen=True)
class Part:
    """A rule or a schedule: the function of the library that makes it, what it calls its rate, its other settings' ranges."""

    make: object
    settings: dict = field(default_factory=dict)
    rate: str = "lr"

    def defaults(self):
        """What the library's signature says, by setting."""
        return {name: p.default for name, p in inspect.signature(self.make).parameters.items() if p.default is not p.empty}


def valley(kappa, turn):
    """The bowl with curvatures 1 and κ, its axes turned by so many degrees."""
    bowl, angle = objectives.quadratic([1.0, kappa]), turn * (np.pi / 180)
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return objectives.Objective(
        name="valley", dimension=2, minimum=bowl.minimum, minimizers=bowl.minimizers,
        value=lambda w: bowl.value(w @ turned),
        gradient=lambda w: bowl.gradient(w @ turned) @ turned.T,
    )


TURNED = """a = np.radians({turn})
R = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
H = R @ np.diag([1, {kappa}]) @ R.T
f = objectives.Objective("valley", 2, lambda w: ((w @ H) * w).sum(-1) / 2, lambda w: w @ H)"""

SURFACES = {
    "quadratic": Surface(
        "Valley (quadratic)", valley, "f = objectives.quadratic([1, {kappa}])", (-11, 11, -7, 7), (10, 1), {
            "kappa": Range("condition number", 1, 1000, "κ", scale="log", limits=(1, 1e6), initial=20),
            "turn": Range("turned by", -90, 90, unit="°", initial=0),
        }, "½ w₁² + ½ κ w₂²: κ times as curved across as along. Minimum 0 at 0.", TURNED),
    "rosenbrock": Surface("Rosenbrock", objectives.rosenbrock, "f = objectives.rosenbrock()", (-2, 2, -1, 3), (-1.5, 2)),
    "beale": Surface("Beale", objectives.beale, "f = objectives.beale()", (-4.5, 4.5, -3, 3), (-1, 1.5)),
    "himmelblau": Surface("Himmelblau", objectives.himmelblau, "f = objectives.himmelblau()", (-6, 6, -5, 5), (-0.5, -1)),
    "saddle": Surface("Saddle", objectives.saddle, "f = objectives.saddle()", (-3, 3, -2, 2), (2.5, 0.001)),
    "rastrigin": Surface("Rastrigin", objectives.rastrigin, "f = objectives.rastrigin()", (-5, 5, -3.5, 3.5), (3.2, 2.4)),
}

RULES = {
    "gradient_descent": Part(update_rules.gradient_descent, {"lr": rate(0.01)}),
    "momentum": Part(update_rules.momentum, {
        "lr": rate(0.01), "beta": memory("momentum", "β"), "dampening": memory("dampening", "d", advanced=True),
        "nesterov": switch("Nesterov's look ahead"),
    }),
    "adagrad": Part(update_rules.adagrad, {"lr": rate(0.5), "eps": EPS}),
    "rmsprop": Part(update_rules.rmsprop, {
        "lr": rate(0.02), "rho": RHO, "eps": EPS, "momentum": memory("momentum", "μ", advanced=True),
        "centered": switch("centred"),
    }),
    "adadelta": Part(update_rules.adadelta, {"lr": rate(1.0), "rho": RHO, "eps": replace(EPS, least=1e-10, limits=(1e-300, 1e6))}),
    "adam": Part(update_rules.adam, {
        "lr": rate(0.1), "beta1": BETA1, "beta2": BETA2, "eps": EPS, "amsgrad": switch("AMSGrad")}),
    "adamw": Part(update_rules.adamw, {
        "lr": rate(0.1), "beta1": BETA1, "beta2": BETA2, "weight_decay": DECAY, "eps": EPS, "amsgrad": switch("AMSGrad")}),
    "nadam": Part(update_rules.nadam, {
        "lr": rate(0.1), "beta1": BETA1, "beta2": BETA2, "eps": EPS,
        "momentum_decay": Range("rise of momentum", 0, 1, "ψ", limits=(0, 1e3), advanced=True)}),
    "lion": Part(update_rules.lion, {"lr": rate(0.05), "beta1": BETA1, "beta2": BETA2, "weight_decay": DECAY}),
    "sign_descent": Part(update_rules.sign_descent, {"lr": rate(0.05)}),
}

SCHEDULES = {
    "constant": Part(schedules.constant),
    "step_decay": Part(schedules.step_decay, {
        "factor": Range("by the factor", 0.05, 1, limits=(1e-6, 1), initial=0.5),
        "every": Range("every … steps", 1, MOST_STEPS, kind="count", initial=50)}),
    "exponential_decay": Part(schedules.exponential_decay, {
        "factor": Range("factor a step", 0.5, 0.9999, scale="memory", limits=(1e-6, 1), initial=0.99)}),
    "inverse_time_decay": Part(schedules.inverse_time_decay, {
        "rate": Range("r", 1e-4, 1, scale="log", limits=(0, 1e6), initial=0.02)}),
    "polynomial_decay": Part(schedules.polynomial_decay, {
        "steps": STEPS, "power": Range("power", 0.1, 5, limits=(1e-3, 100)), "end": END}),
    "cosine_decay": Part(schedules.cosine_decay, {"steps": STEPS, "end": END}),
    "cosine_restarts": Part(schedules.cosine_restarts, {"steps": replace(STEPS, label="every … steps", initial=50), "end": END}),
    "cyclic": Part(schedules.cyclic, {
        "low": replace(END, label="lowest", advanced=False, initial=0),
        "half_period": Range("half a period", 1, MOST_STEPS, kind="count", initial=25)}, rate="high"),
    "one_cycle": Part(schedules.one_cycle, {
        "steps": STEPS, "pct_start": Range("share of the way up", 0, 1),
        "div_factor": Range("start: peak over", 1, 1000, scale="log", limits=(1, 1e6), advanced=True),
        "final_div_factor": Range("end: start over", 1, 1e5, scale="log", limits=(1, 1e9), advanced=True)}, rate="peak"),
}

WARMUP = Part(schedules.warmup, {"steps": Range("warm-up steps", 0, 200, kind="count", limits=(0, MOST_STEPS), initial=0)})

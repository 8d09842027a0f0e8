"""What the playground offers: surfaces, rules and schedules of `course_lib`, with the ranges of their sliders.

The formulas and the defaults come from the library; what a reader may turn, and how far, stands here, with a sentence
for those who see a rule or a surface for the first time.
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


EPS = Range("against division by 0", 1e-12, 100, "ε", scale="log", limits=(0, 1e6), advanced=True)
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
    about: str
    make: object
    python: str
    view: tuple
    start: tuple
    settings: dict = field(default_factory=dict)
    python_turned: str = ""


@dataclass(frozen=True)
class Part:
    """A rule or a schedule: the function of the library that makes it, a sentence, its settings' ranges.

    `rate` is what a schedule calls the rate that it is about.
    """

    make: object
    about: str
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
        "Valley (quadratic)", "½ a² + ½ κ b²: a along the valley, b across it, κ times as curved. Turning it takes the start along.",
        valley, "f = objectives.quadratic([1, {kappa}])", (-11, 11, -7, 7), (9.73, 1.04), {
            "kappa": Range("condition number", 1, 1000, "κ", scale="log", limits=(1, 1e6), initial=20),
            "turn": Range("turned by", -90, 90, unit="°", initial=0),
        }, TURNED),
    "rosenbrock": Surface(
        "Rosenbrock", "100 (w₂ − w₁²)² + (1 − w₁)²: a curved valley with a floor that is nearly flat.",
        objectives.rosenbrock, "f = objectives.rosenbrock()", (-2, 2, -1, 3), (-1.5, 2)),
    "beale": Surface(
        "Beale", "(1.5 − w₁ + w₁w₂)² + (2.25 − w₁ + w₁w₂²)² + (2.625 − w₁ + w₁w₂³)²: flat, with steep walls.",
        objectives.beale, "f = objectives.beale()", (-4.5, 4.5, -3, 3), (1, 1.5)),
    "himmelblau": Surface(
        "Himmelblau", "(w₁² + w₂ − 11)² + (w₁ + w₂² − 7)²: four minima, equally deep.",
        objectives.himmelblau, "f = objectives.himmelblau()", (-6, 6, -5, 5), (-0.5, -1)),
    "saddle": Surface(
        "Saddle", "½ w₁² − ½ w₂²: up along w₁, down along w₂, without end.",
        objectives.saddle, "f = objectives.saddle()", (-3, 3, -2, 2), (2.5, 0.001)),
    "rastrigin": Surface(
        "Rastrigin", "20 + w₁² − 10 cos 2πw₁ + w₂² − 10 cos 2πw₂: a bowl full of dimples.",
        objectives.rastrigin, "f = objectives.rastrigin()", (-5, 5, -3.5, 3.5), (3.2, 2.4)),
}

RULES = {
    "gradient_descent": Part(update_rules.gradient_descent, "A step of η times the gradient, downhill.", {"lr": rate(0.01)}),
    "momentum": Part(update_rules.momentum, "A step of η times a velocity: the last velocity, of which a share β is kept, plus the gradient.", {
        "lr": rate(0.01), "beta": memory("momentum", "β"), "dampening": memory("dampening", "d", advanced=True),
        "nesterov": switch("Nesterov's look ahead"),
    }),
    "adagrad": Part(update_rules.adagrad, "Each weight's gradient over the root of the sum of all its squares so far.", {"lr": rate(0.5), "eps": EPS}),
    "rmsprop": Part(update_rules.rmsprop, "Each weight's gradient over the root of a running mean of its squares.", {
        "lr": rate(0.02), "rho": RHO, "eps": EPS, "momentum": memory("momentum", "μ", advanced=True),
        "centered": switch("centred"),
    }),
    "adadelta": Part(update_rules.adadelta, "As RMSProp, times the root of a running mean of the steps made, squared.", {"lr": rate(1.0), "rho": RHO, "eps": replace(EPS, least=1e-10, limits=(1e-300, 1e6))}),
    "adam": Part(update_rules.adam, "Each weight's mean gradient over the root of its mean square, both means running and corrected for their start at 0.", {
        "lr": rate(0.1), "beta1": BETA1, "beta2": BETA2, "eps": EPS, "amsgrad": switch("AMSGrad")}),
    "adamw": Part(update_rules.adamw, "Adam, and each step all weights shrink by the share ηλ.", {
        "lr": rate(0.1), "beta1": BETA1, "beta2": BETA2, "weight_decay": DECAY, "eps": EPS, "amsgrad": switch("AMSGrad")}),
    "nadam": Part(update_rules.nadam, "Adam with Nesterov's look ahead.", {
        "lr": rate(0.1), "beta1": BETA1, "beta2": BETA2, "eps": EPS,
        "momentum_decay": Range("rise of momentum", 0, 1, "ψ", limits=(0, 1e3), advanced=True)}),
    "lion": Part(update_rules.lion, "Each weight moves by η, to the side that a running mean of its gradient says.", {"lr": rate(0.05), "beta1": BETA1, "beta2": BETA2, "weight_decay": DECAY}),
    "sign_descent": Part(update_rules.sign_descent, "Each weight moves by η, downhill.", {"lr": rate(0.05)}),
}

SCHEDULES = {
    "constant": Part(schedules.constant, "The same rate at every step."),
    "step_decay": Part(schedules.step_decay, "The same rate for a while, then a fraction of it, and so on.", {
        "factor": Range("by the factor", 0.05, 1, limits=(1e-6, 1), initial=0.5),
        "every": Range("every … steps", 1, MOST_STEPS, kind="count", initial=50)}),
    "exponential_decay": Part(schedules.exponential_decay, "The same fraction less at every step.", {
        "factor": Range("factor a step", 0.5, 0.9999, scale="memory", limits=(1e-6, 1), initial=0.99)}),
    "inverse_time_decay": Part(schedules.inverse_time_decay, "η / (1 + r t) after t steps.", {
        "rate": Range("r", 1e-4, 1, scale="log", limits=(0, 1e6), initial=0.02)}),
    "polynomial_decay": Part(schedules.polynomial_decay, "Down in a given number of steps, along a power; at power 1, a line.", {
        "steps": STEPS, "power": Range("power", 0.1, 5, limits=(1e-3, 100)), "end": END}),
    "cosine_decay": Part(schedules.cosine_decay, "Down along half a cosine: slowly, quickly, slowly.", {"steps": STEPS, "end": END}),
    "cosine_restarts": Part(schedules.cosine_restarts, "Down along half a cosine, a jump back up, and again.", {"steps": replace(STEPS, label="every … steps", initial=50), "end": END}),
    "cyclic": Part(schedules.cyclic, "Up and down along straight lines.", {
        "low": replace(END, label="lowest", advanced=False, initial=0),
        "half_period": Range("half a period", 1, MOST_STEPS, kind="count", initial=25)}, rate="high"),
    "one_cycle": Part(schedules.one_cycle, "Up to η and down to nearly nothing, both along half a cosine.", {
        "steps": STEPS, "pct_start": Range("share of the way up", 0, 1),
        "div_factor": Range("start: peak over", 1, 1000, scale="log", limits=(1, 1e6), advanced=True),
        "final_div_factor": Range("end: start over", 1, 1e5, scale="log", limits=(1, 1e9), advanced=True)}, rate="peak"),
}

WARMUP = Part(schedules.warmup, "A straight way up to where the schedule begins.", {"steps": Range("warm-up steps", 0, 200, kind="count", limits=(0, MOST_STEPS), initial=0)})

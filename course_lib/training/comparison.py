"""Methods compared fairly: equal budgets, tuned rates, several seeds, ties called ties."""

from dataclasses import dataclass

import numpy as np

from course_lib.training.intervals import Interval, mean_interval
from course_lib.training.runs import Data, run_one_by_one, run_together
from course_lib.training.tasks import Task
from course_lib.update_rules import Rule
from course_lib.validation import count, number, one_of

_ENOUGH_SEEDS = 5


@dataclass(frozen=True, eq=False)
class MethodResult:
    """What one method did at every learning rate and seed.

    Parameters
    ----------
    learning_rates : array [rates]
        Ascending.
    validation, test : array [rates, seeds]
        The task's metric after the last step; infinite where a run was no longer finite.
    loss : array [rates, seeds, steps]
        Of each step's batch, before the step.
    diverged : array [rates, seeds] of bool
        Not finite, or no better than at the start, with more than twice the loss there.
    chosen : int
        Which rate was chosen: the least mean metric on validation data.
    score : Interval
        The metric on test data at that rate, over the seeds, with its 95% interval.
    """

    learning_rates: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    loss: np.ndarray
    diverged: np.ndarray
    chosen: int
    score: Interval

    @property
    def lr(self):
        """The chosen learning rate."""
        return float(self.learning_rates[self.chosen])

    @property
    def at_edge(self):
        """True where the chosen rate is the least or the largest that was tried."""
        return self.chosen in (0, len(self.learning_rates) - 1)


@dataclass(frozen=True, eq=False)
class Comparison:
    """The outcome of `compare`; print it for a table.

    Parameters
    ----------
    task, metric_name : str
    steps : int
    seeds : tuple of int
    methods : dict
        Name -> `MethodResult`, in the order given.
    """

    task: str
    metric_name: str
    steps: int
    seeds: tuple
    methods: dict

    def __getitem__(self, name):
        """The `MethodResult` of a method."""
        return self.methods[name]

    @property
    def scores(self):
        """Name -> the interval of the test metric: rows for `plots.intervals`."""
        return {name: result.score for name, result in self.methods.items()}

    @property
    def best(self):
        """The name of the method with the least mean test metric, ties or not."""
        return min(self.methods, key=lambda name: self.methods[name].score.mean)

    def difference(self, a, b):
        """The test metric of method a less that of b, paired by seed: an `Interval`."""
        a, b = (self.methods[name].test[self.methods[name].chosen] for name in (a, b))
        return _interval(a - b)

    def tie(self, a, b):
        """True where the seeds do not tell a from b: the interval of their difference holds 0."""
        return not self.difference(a, b).excludes(0)

    @property
    def warnings(self):
        """What to know before believing the table: a list of sentences."""
        said = []
        if len(self.seeds) < _ENOUGH_SEEDS:
            said.append(f"only {len(self.seeds)} seeds: an interval over fewer than {_ENOUGH_SEEDS} says little")
        budgets = {len(result.learning_rates) for result in self.methods.values()}
        if len(budgets) > 1:
            said.append("unequal budgets: the methods were not tried at equally many learning rates")
        for name, result in self.methods.items():
            if len(result.learning_rates) == 1:
                said.append(f"{name}: its rate {result.lr:g} is the only one tried")
            elif result.at_edge:
                said.append(f"{name}: its best rate {result.lr:g} is at the edge of its grid; a better one may lie beyond")
            for rate, runs in zip(result.learning_rates, result.diverged):
                if runs.any():
                    said.append(f"{name}: at rate {rate:g}, {runs.sum()} of {len(runs)} runs diverged")
        return said

    def _verdict(self, name):
        if not np.isfinite(self.methods[name].score.mean):
            return "diverged"
        if name == self.best:
            return "best"
        return "tie" if self.tie(name, self.best) else "worse"

    def __str__(self):
        rows = [("method", "rate", f"{self.metric_name} (test)", "against the best")]
        for name, result in self.methods.items():
            score = "%.4g ± %.2g" % result.score
            rows.append((name, f"{result.lr:g}", score, self._verdict(name)))
        widths = [max(map(len, column)) for column in zip(*rows)]
        table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        head = f"{self.task}: {self.steps} steps, {len(self.seeds)} seeds, mean ± 95% interval"
        return "\n".join([head, *table, *(f"note: {line}" for line in self.warnings)])


def compare(methods, task, learning_rates, seeds, steps, *, batched=True, dtype="float32"):
    """Compare methods on a task as one would wish others did.

    The protocol. Each seed stands for a split of the data, a start and an order of
    batches; all methods and rates get the same. Each method is run at each of its
    learning rates for the same number of steps, from every seed. Its rate is the one
    whose metric on *validation* data, at the last step, has the least mean over the
    seeds; a run that is not finite counts as infinitely bad; the validation loss decides
    between equals. Its score is the metric on *test* data at that rate, with Student's
    95% interval over the seeds. Two methods are compared by their differences, seed by
    seed: where the interval of the mean difference holds 0 they are called a tie.

    What it does not do: the splits of the seeds overlap, so the intervals are a little
    too narrow for new data (Nadeau and Bengio 2003); with m methods about one difference
    in twenty is taken for real by chance; settings other than the rate are not tuned.

    Parameters
    ----------
    methods : dict
        Name -> a rule, whose learning rate is replaced by each of the rates, or a function
        of the rate that returns a rule: `adam`, or
        `lambda lr: momentum(cosine_decay(lr, 500), beta=0.95)`.
    task : Task
    learning_rates : list of floats, or dict
        For all methods, or name -> list; each rate > 0.
    seeds : int or list of int
        How many (from 0), or which.
    steps : int
    batched : bool
        Run all rates and seeds of a method in one batch, by `torch.func.vmap`; otherwise
        one after the other, for rules that branch on values. The numbers agree to
        rounding.
    dtype : str
        "float32" or "float64".

    Returns
    -------
    Comparison
        Too few seeds, a rate at the edge of its grid, runs that diverged and unequal
        budgets stand in its `warnings` and in the printed table.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong; among others, if a rule has a schedule of its own, which
        the rates would replace.

    Examples
    --------
    >>> from course_lib import gradient_descent, sign_descent
    >>> from course_lib.training import compare, quadratic_task
    >>> methods = {"descent": gradient_descent, "signs": sign_descent}
    >>> result = compare(methods, quadratic_task([1.0, 2.0]), [0.01, 0.1, 0.5, 1.5], 5, 50)
    >>> result.best, result["descent"].lr, result.tie("descent", "signs")
    ('descent', 0.5, False)
    """
    methods = _methods(methods)
    if not isinstance(task, Task):
        raise TypeError(f"task must be a Task, such as mlp_task('digits'), got {task!r}")
    seeds = tuple(range(count("seeds", seeds))) if np.ndim(seeds) == 0 else tuple(seeds)
    if len(set(seeds)) < len(seeds) or not seeds:
        raise ValueError(f"seeds must be different whole numbers, got {seeds!r}")
    seeds = tuple(count("seeds", seed, least=0) for seed in seeds)
    rates = _rates(learning_rates, methods)
    steps = count("steps", steps)
    one_of("dtype", dtype, ("float32", "float64"))
    run = run_together if batched else run_one_by_one
    data = Data(task, seeds, steps, dtype)
    results = {}
    for name, method in methods.items():
        validation, losses, test, curve, diverged = run(method, task, rates[name], data)
        chosen = int(np.lexsort((losses.mean(1), validation.mean(1)))[0])
        results[name] = MethodResult(
            rates[name], validation, test, curve, diverged, chosen, _interval(test[chosen])
        )
    return Comparison(task.name, task.metric_name, steps, seeds, results)


def _interval(values):
    """A mean with its 95% interval; infinitely wide where it cannot be known."""
    if len(values) < 2 or not np.isfinite(values).all():
        return Interval(float(np.mean(values)), np.inf)
    return mean_interval(values)


def _methods(methods):
    if not isinstance(methods, dict) or not methods:
        raise TypeError(f"methods must be a dict of rules by name, got {methods!r}")
    for name, method in methods.items():
        if not callable(method) and not isinstance(method, Rule):
            raise TypeError(f"methods[{name!r}] must be a rule or a function of lr, got {method!r}")
        if isinstance(method, Rule) and (callable(method.lr) or method.lr is None):
            raise ValueError(
                f"methods[{name!r}] must have a number as its lr, got {method!r}: "
                "for a schedule pass a function of lr that returns the rule"
            )
    return methods


def _rates(learning_rates, methods):
    if not isinstance(learning_rates, dict):
        learning_rates = dict.fromkeys(methods, learning_rates)
    if learning_rates.keys() != methods.keys():
        raise ValueError(
            f"learning_rates must name the methods {list(methods)}, got {list(learning_rates)}"
        )
    found = {}
    for name, rates in learning_rates.items():
        rates = np.sort([number("learning_rates", rate, above=0) for rate in np.atleast_1d(rates).tolist()])
        if not len(rates) or (np.diff(rates) == 0).any():
            raise ValueError(f"learning_rates must be different numbers > 0, got {rates}")
        found[name] = rates
    return found

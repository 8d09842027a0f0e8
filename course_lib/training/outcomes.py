"""What `compare` found: the table, its verdicts, and what to know before believing them."""

from dataclasses import dataclass

import numpy as np

from course_lib.training.intervals import Interval, mean_interval
from course_lib.validation import finite_array

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
    checks : array [rates, seeds, len(Comparison.checks)]
        The metric on validation data along the way; infinite where not finite.
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
    checks: np.ndarray
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
    checks : array
        After how many steps the validation metric was looked at: 0, every, …, steps.
    methods : dict
        Name -> `MethodResult`, in the order given.
    """

    task: str
    metric_name: str
    steps: int
    seeds: tuple
    checks: np.ndarray
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

    def steps_to(self, name, target):
        """Steps until a method's validation metric, at its chosen rate, was first at most `target`.

        Parameters
        ----------
        name : str
        target : float or array [seeds]

        Returns
        -------
        array [seeds]
            In steps, as finely as `every` looked; infinite where it never was.
        """
        result = self.methods[name]
        target = finite_array("target", target)
        if target.shape not in ((), (len(self.seeds),)):
            raise ValueError(f"target must be a number or one for each of {len(self.seeds)} seeds, got {target!r}")
        reached = result.checks[result.chosen] <= target[..., None]
        return np.where(reached.any(-1), self.checks[reached.argmax(-1)], np.inf)

    def difference(self, a, b):
        """The test metric of method a less that of b, paired by seed: an `Interval`."""
        a, b = (self.methods[name].test[self.methods[name].chosen] for name in (a, b))
        return score_interval(a - b)

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


def score_interval(values):
    """A mean with its 95% interval; infinitely wide where it cannot be known."""
    if len(values) < 2 or not np.isfinite(values).all():
        return Interval(float(np.mean(values)), np.inf)
    return mean_interval(values)

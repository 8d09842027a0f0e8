"""Methods compared fairly: equal budgets, tuned rates, several seeds, ties called ties."""

import numpy as np

from course_lib.training.outcomes import Comparison, MethodResult, score_interval
from course_lib.training.runs import Data, run_one_by_one, run_together
from course_lib.training.tasks import Task
from course_lib.update_rules import Rule
from course_lib.validation import count, number, one_of


def compare(methods, task, learning_rates, seeds, steps, *, every=None, batched=True, dtype="float32"):
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
    every : int, optional
        Look at the validation metric every so many steps as well: kept as `checks`.
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
    every = steps if every is None else count("every", every)
    one_of("dtype", dtype, ("float32", "float64"))
    run = run_together if batched else run_one_by_one
    data = Data(task, seeds, steps, dtype, every)
    results = {}
    for name, method in methods.items():
        validation, losses, test, curve, checks, diverged = run(method, task, rates[name], data)
        chosen = int(np.lexsort((losses.mean(1), validation.mean(1)))[0])
        results[name] = MethodResult(
            rates[name], validation, test, curve, checks, diverged, chosen, score_interval(test[chosen])
        )
    return Comparison(task.name, task.metric_name, steps, seeds, data.checks, results)


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

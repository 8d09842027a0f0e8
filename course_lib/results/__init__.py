"""Measurements too long for a chapter's minute: committed, and shipped with the library.

`make bench` writes them, from `benchmarks/`, and a test fails when they are no longer about
the code that is committed.
"""

import json
from pathlib import Path

__all__ = ["measured"]

FOLDER = Path(__file__).resolve().parent


def measured(name):
    """What a benchmark found.

    Parameters
    ----------
    name : str
        The benchmark's name: "schedule_table", the rules under the schedules;
        "optimizer_step", the milliseconds of a step of each rule by each library;
        "training_step", those of a whole training step; "multi_task_gradients", those of the
        gradients of ten losses, and of combining them; "meta_learning", how well starts of
        several kinds are fine-tuned; "bayesian_search", how many trials and how much time it
        takes; "tuning_study", what it brings on real data; "evolution_runs", how many
        evaluations and how much time evolution strategies take; "tuning_race", every way of
        tuning at one budget; "graph_products", the time of a graph convolution; "graph_depth",
        what looking farther along a graph brings; "cut_solvers", how much solvers of Max-Cut
        cut, and in what time; "learned_optimizers", learned rules beside tuned ones, and their numbers;
        "federated_rounds", the time of a round of federated averaging; "federated_study", what
        federated methods reach, and in how many rounds; "federated_defences", what short messages,
        privacy and robust averages cost; "federated_engines", the time of a round in `simulate`
        and in Flower.

    Returns
    -------
    dict
        "measures", in words; "rows", a list of dicts, each with its "subject", the
        "machine" it was measured on and, if newer, the "versions" and the "date".

    Raises
    ------
    ValueError
        If there is no such result.

    Examples
    --------
    >>> [row["subject"] for row in measured("schedule_table")["rows"]]
    ['digits, one epoch', 'digits, twelve epochs', 'diabetes']
    """
    files = {path.stem: path for path in sorted(FOLDER.glob("*.json"))}
    if name not in files:
        raise ValueError(f"name must be that of a result ({', '.join(files)}), got {name!r}")
    return json.loads(files[name].read_text(encoding="utf-8"))

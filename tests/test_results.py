"""What the benchmarks found and the chapters show: shipped with the library, complete, and from a fair search."""

import numpy as np
import pytest

from course_lib import measured

ROWS = measured("schedule_table")["rows"]


def test_an_unknown_result_is_named():
    for bad in ("schedules", "../results/schedule_table", None):
        with pytest.raises(ValueError, match=r"name must be that of a result \(.*schedule_table"):
            measured(bad)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["subject"])
def test_schedule_table_holds_every_rule_under_every_schedule_at_an_equal_budget(row):
    from benchmarks.schedule_table import RATES, SEEDS, rules, schedules

    pairs = [(cell["rule"], cell["schedule"]) for cell in row["cells"]]
    assert pairs == [(rule, schedule) for rule in rules() for schedule in schedules(100)]
    assert len({rule for rule, _ in pairs}) >= 12 and len({schedule for _, schedule in pairs}) >= 8
    assert (row["rates"], row["seeds"]) == (RATES, SEEDS) and SEEDS >= 5
    for cell in row["cells"]:
        assert not cell["at_edge"], f"{cell['rule']}, {cell['schedule']}: the best rate {cell['lr']} is the last that was tried"
        assert len(cell["test"]) == len(cell["validation"]) == len(cell["steps_to_target"]) == SEEDS
        assert np.isfinite(cell["test"]).all()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["subject"])
def test_the_plain_method_reaches_its_own_target(row):
    plain = next(cell for cell in row["cells"] if (cell["rule"], cell["schedule"]) == ("gradient descent", "constant"))
    assert all(step is not None and step <= row["steps"] for step in plain["steps_to_target"])


def test_a_cell_can_be_measured_again():
    """One of the 288 comparisons, run once more from its settings: the same rate, the same scores."""
    from benchmarks.schedule_table import TASKS, rules, schedules
    from course_lib import training

    row = next(row for row in ROWS if row["subject"] == "diabetes")
    (kind, *arguments), steps, *_ = TASKS["diabetes"]
    cell = next(cell for cell in row["cells"] if (cell["rule"], cell["schedule"]) == ("Adam", "cosine"))
    method = {"m": lambda lr: rules()["Adam"](schedules(steps)["cosine"](lr))}
    again = training.compare(method, getattr(training, kind)(*arguments), [cell["lr"]], row["seeds"], steps)["m"]
    np.testing.assert_allclose(again.test[0], cell["test"], rtol=2e-3)


# ---- starts for few-shot regression

STARTS = measured("meta_learning")["rows"]


@pytest.mark.parametrize("row", STARTS, ids=lambda row: row["subject"])
def test_every_start_is_tuned_and_judged_at_an_equal_budget(row):
    from benchmarks.meta_learning import FINE_TUNING, LOOKS, METHODS, SEEDS

    assert [each["subject"] for each in STARTS] == list(METHODS)
    assert (row["settings"], row["seeds"], tuple(row["looks"])) == (4, SEEDS, LOOKS)
    for how, steps in {"tuned": LOOKS, "one step": (1,), "ten steps": (10,)}.items():
        cell = row["cells"][how]
        assert cell["steps"] in steps and cell["lr"] in FINE_TUNING[cell["rule"]]
        assert len(cell["test"]) == SEEDS and np.isfinite(cell["test"]).all()
        assert cell["curve"][LOOKS.index(cell["steps"])] == pytest.approx(np.mean(cell["test"]))
    assert row["cells"]["tuned"]["validation"] <= row["cells"]["ten steps"]["validation"]

"""What the page of the playground says of its seven questions, measured: its text has no cells that could claim it."""

import re

import numpy as np
import pytest
from built_site import ROOT

from course_lib import adam, gradient_descent, minimize, momentum, objectives, sign_descent
from course_lib.schedules import constant, cosine_decay, warmup
from course_lib.training.minimization import Divergence
from tools.site.playground.catalogue import valley

TEXT = (ROOT / "book/playground.md").read_text(encoding="utf-8")
ANSWERS = dict(re.findall(r"^\*\*([^*]+?)[.?]\*\* .*?<summary>What happens</summary>\n\n(.*?)\n\n</details>", TEXT, re.M | re.S))


def says(question, *parts):
    """The answer to the question holds each of the parts, word for word."""
    for part in parts:
        assert part in ANSWERS[question], f"{question}: {part!r} is not in the text"


def step_of_divergence(*run):
    """The step at which the run diverges."""
    with pytest.raises(Divergence) as error:
        minimize(*run)
    return error.value.step


def test_seven_questions_have_answers():
    assert list(ANSWERS) == ["The edge", "Too much memory", "A turn", "On the ridge", "Steep walls", "Two starts", "At rest"]


def test_the_edge():
    f, start = objectives.quadratic([1.0, 20.0]), [10.0, 1.0]
    runs = {lr: minimize(f, gradient_descent(lr), start, 20) for lr in (0.095, 0.1, 0.105)}
    assert [round(runs[lr].loss[-1], 2) for lr in runs] == [1.07, 10.74, 453.18]
    assert np.allclose(np.abs(runs[0.1].w[:, 1]), 1, atol=1e-12) and 2 / f.smoothness == 0.1
    says("The edge", "below 0.1", "10.7 after twenty", "it was 1.07", "is 453")


def test_too_much_memory():
    f, start = objectives.quadratic([1.0, 100.0]), [10.0, 0.3]
    loss = {beta: minimize(f, momentum(0.01, beta), start, 300).loss for beta in np.arange(0, 1, 0.01).round(2)}
    assert loss[0.99][250:].max() == pytest.approx(4.5, abs=0.05) and loss[0.0][250:].max() < 0.4 and loss[0.81][-1] < 1e-20
    assert min(loss, key=lambda beta: loss[beta][-1]) == pytest.approx(0.81, abs=0.015)
    says("Too much memory", "rises to 4.5", "below 0.4", "about 0.81", "below 1e-20")


def test_a_turn():
    turned = {}
    for degrees in (0, 45):
        a = np.radians(degrees)
        start = [-3 * np.cos(a) - np.sin(a), -3 * np.sin(a) + np.cos(a)]
        turned[degrees] = [minimize(valley(100.0, degrees), rule, start, 100).loss[-1] for rule in (gradient_descent(0.018), adam(0.1))]
    assert turned[0] == pytest.approx([0.119, 0.0006], rel=0.05) and turned[45] == pytest.approx([0.119, 1.7], rel=0.01)
    says("A turn", "stays at 0.119", "from 0.0006 to 1.7")


def test_on_the_ridge():
    f, rules = objectives.saddle(), [sign_descent(0.1), adam(0.1), gradient_descent(0.1)]
    beside = [minimize(f, rule, [2.5, 0.001], 150).loss for rule in rules]
    assert [float(f"{loss[50]:.3g}") for loss in beside] == [-12.5, -17.8, -0.00681]
    assert beside[2][150] == pytest.approx(-1.3e6, rel=0.01) and beside[2][150] < min(beside[0][150], beside[1][150])
    assert all((minimize(f, rule, [2.5, 0.0], 150).w[:, 1] == 0).all() for rule in rules)
    says("On the ridge", "−12.5 and −17.8", "−0.007", "−1.3 million")


def test_steep_walls():
    f, start = objectives.beale(), [1.0, 1.5]
    gone = [step_of_divergence(f, momentum(warmup(constant(0.01), steps) if steps else 0.01, 0.9), start, 300) for steps in (0, 5, 10, 20)]
    assert gone == [10, 10, 12, 15]
    assert minimize(f, momentum(warmup(constant(0.01), 50), 0.9), start, 300).loss[-1] == pytest.approx(3e-11, rel=0.05)
    assert minimize(f, momentum(0.0075, 0.9), start, 300).loss[-1] == pytest.approx(1.1e-6, rel=0.05)
    says("Steep walls", "gone at step 10", "steps 10, 12 and 15", "One of 50", "3e-11", "1.1e-6 with η = 0.0075")


def test_two_starts():
    ends = [minimize(objectives.himmelblau(), gradient_descent(0.01), [x, -1.0], 50).w[-1].round(2).tolist() for x in (-0.3, -0.2)]
    assert ends == [[-3.78, -3.28], [3.58, -1.85]]
    says("Two starts", "(−0.3, −1) it goes to (−3.78, −3.28)", "(−0.2, −1) to (3.58, −1.85)")


def test_at_rest():
    f, start = valley(1.0, 0.0), [3.0, 1.0]
    runs = [minimize(f, adam(lr, beta2=0.9), start, 300).loss for lr in (0.1, cosine_decay(0.1, 300))]
    assert [float(f"{loss[-1]:.1e}") for loss in runs] == [3.9e-6, 1.3e-12]
    assert runs[0][200:].max() > 10 * runs[0][200:].min()
    says("At rest", "it is 4e-6", "1.3e-12")


def test_opening_picture_uses_good_rates():
    """Of rates a quarter apart no other is much better for gradient descent or momentum; for Adam one is, as the text says."""
    f, start = objectives.rosenbrock(), [-1.5, 2.0]

    def last(rule):
        try:
            return minimize(f, rule, start, 500).loss[-1]
        except Divergence:
            return np.inf

    assert last(gradient_descent(0.002)) < 2 * min(last(gradient_descent(lr)) for lr in np.arange(2e-4, 4e-3, 2e-4))
    assert last(momentum(0.0019, 0.95)) < 10 * min(last(momentum(lr, 0.95)) for lr in np.arange(1e-4, 3e-3, 1e-4))
    assert last(adam(0.9)) < last(adam(0.5)) / 10
    assert all(part in TEXT for part in ("gradient_descent(lr=0.002)", "momentum(lr=0.0019,beta=0.95)", "adam(lr=0.5)"))

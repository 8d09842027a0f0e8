"""Weights for losses, from the losses alone: of them the total loss is made, and one gradient."""

import numpy as np

from course_lib.multi_task.inputs import generator, loss_values, rule_or_adam
from course_lib.validation import count, number


def equal(losses):
    """A weight of 1 for every loss: the plain sum.

    Parameters
    ----------
    losses : sequence of T numbers or 0-d tensors, or array or tensor [T]

    Returns
    -------
    array [T]

    Examples
    --------
    >>> equal([0.3, 2.0])
    array([1., 1.])
    """
    return np.ones(len(loss_values(losses)))


def random_weighting(losses, rng):
    """Weights drawn anew for every step, whatever the losses are (RLW).

        w = softmax(z),    z ~ N(0, I)

    Each has the mean 1/T: on average it is the plain sum over T, with noise. What should be
    shown to beat the plain sum should beat this as well.

    Parameters
    ----------
    losses : sequence of T numbers or 0-d tensors, or array or tensor [T]
    rng : numpy.random.Generator

    Returns
    -------
    array [T]
        Above 0, of sum 1.

    References
    ----------
    B. Lin, F. Ye, Y. Zhang, I. W. Tsang, Reasonable effectiveness of random weighting: a
    litmus test for multi-task learning, TMLR 2022, arXiv:2111.10603.

    Examples
    --------
    >>> random_weighting([0.3, 2.0], np.random.default_rng(0)).round(3)
    array([0.564, 0.436])
    """
    return softmax(generator(rng).standard_normal(len(loss_values(losses))))


def weighted_sum(weights, losses):
    """The total loss Σ wᵢ Lᵢ, in the framework of the losses, to be differentiated there.

    Parameters
    ----------
    weights : sequence of T numbers
        Constants: no gradient goes into them.
    losses : sequence of T numbers or 0-d tensors, or array or tensor [T]
        Of any framework.

    Returns
    -------
    number or 0-d tensor

    Examples
    --------
    >>> weighted_sum([0.5, 2.0], [4.0, 1.0])
    4.0
    """
    weights = loss_values(weights, len(losses), name="weights")
    return sum(float(w) * loss for w, loss in zip(weights, losses))


class UncertaintyWeighting:
    """Weights from the noise that each loss is believed to have, learned beside the model.

        total = Σ Lᵢ/(2σᵢ²) + log σᵢ,    sᵢ = log σᵢ²,    wᵢ = ½ exp(−sᵢ)

    Learned is s, which may be any number. Its gradient ½ − wᵢLᵢ is 0 at σᵢ² = Lᵢ: left
    alone, every weighted loss tends to ½, whatever its unit.

    Parameters
    ----------
    tasks : int
        T.
    rule : Rule, optional
        Makes the steps of s; `adam(lr=0.01)` when left out. The rule of the model gives what
        one optimizer over both would.

    Attributes
    ----------
    log_variance : array [T]
        s, 0 at the start.
    weights : array [T]
        w, for the next step.

    References
    ----------
    A. Kendall, Y. Gal, R. Cipolla, Multi-task learning using uncertainty to weigh losses for
    scene geometry and semantics, CVPR 2018, arXiv:1705.07115. The ½ is that of regression;
    for a classification they have none.

    Examples
    --------
    >>> from course_lib import gradient_descent
    >>> weighting = UncertaintyWeighting(2, gradient_descent(lr=1.0))
    >>> for _ in range(200):
    ...     weights = weighting.observe([4.0, 0.25])
    >>> np.exp(weighting.log_variance).round(6), weights.round(6)
    (array([4.  , 0.25]), array([0.125, 2.   ]))
    """

    def __init__(self, tasks, rule=None):
        self.log_variance = np.zeros(count("tasks", tasks))
        self._rule = rule_or_adam(rule, lr=0.01)
        self._state = self._rule.init(self.log_variance)

    @property
    def weights(self):
        return 0.5 * np.exp(-self.log_variance)

    def total(self, losses):
        """The total loss, in the framework of the losses: Σ wᵢLᵢ + ½ Σ sᵢ."""
        return weighted_sum(self.weights, losses) + 0.5 * float(self.log_variance.sum())

    def observe(self, losses):
        """Learn from the losses of a step, and return the weights to use next."""
        L = loss_values(losses, len(self.log_variance))
        g = 0.5 - self.weights * L
        delta, self._state = self._rule.update(g, self._state, self.log_variance)
        self.log_variance = self.log_variance + delta
        return self.weights


class DynamicWeightAverage:
    """More weight for the losses that have fallen least of late (DWA).

        wᵢ = T exp(rᵢ/τ) / Σⱼ exp(rⱼ/τ),    rᵢ = Lᵢ(t−1) / Lᵢ(t−2)

    Parameters
    ----------
    tasks : int
        T.
    temperature : float
        τ > 0: with a large one all weights are 1.

    Attributes
    ----------
    weights : array [T]
        For the next epoch: of sum T, all 1 until two epochs have been seen.

    References
    ----------
    S. Liu, E. Johns, A. J. Davison, End-to-end multi-task learning with attention, CVPR 2019,
    arXiv:1803.10704, with τ = 2.

    Examples
    --------
    >>> weighting = DynamicWeightAverage(2)
    >>> weighting.observe([1.0, 100.0])
    array([1., 1.])
    >>> weighting.observe([0.5, 100.0]).round(4)    # softmax(½/2, 1/2), times 2
    array([0.8756, 1.1244])
    """

    def __init__(self, tasks, temperature=2.0):
        self.weights = np.ones(count("tasks", tasks))
        self.temperature = number("temperature", temperature, above=0)
        self._last = None

    def observe(self, losses):
        """Take the mean losses of an epoch, above 0, and return the weights of the next."""
        L = loss_values(losses, len(self.weights), above=0)
        if self._last is not None:
            self.weights = len(L) * softmax(L / self._last / self.temperature)
        self._last = L
        return self.weights


def softmax(z):
    """exp zᵢ / Σ exp zⱼ."""
    e = np.exp(z - z.max())
    return e / e.sum()

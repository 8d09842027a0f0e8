"""Weights for losses that are learned from the lengths of gradients, or from what a step did."""

import numpy as np

from course_lib.multi_task.inputs import loss_values, rule_or_adam
from course_lib.multi_task.products import inverted
from course_lib.multi_task.weightings import softmax
from course_lib.validation import count, number


class GradNorm:
    """Weights under which all tasks have gradients of like length, and more if they lag.

        nᵢ = ‖∇Lᵢ‖,    Gᵢ = wᵢnᵢ,    rᵢ = (Lᵢ/Lᵢ(0)) / mean,    target = mean(G) rᵢᵃ

    The weights make a step down Σ|Gᵢ − target|, the targets being constants, and are then
    rescaled to the sum T.

    Parameters
    ----------
    tasks : int
        T.
    alpha : float
        a ≥ 0. With 0 all Gᵢ become equal; with more, a task that has come less far than the
        others gets a longer gradient.
    rule : Rule, optional
        Makes the steps of w; `adam(lr=0.025)` when left out.

    Attributes
    ----------
    weights : array [T]
        For the next step: above 0, of sum T.

    References
    ----------
    Z. Chen, V. Badrinarayanan, C.-Y. Lee, A. Rabinovich, GradNorm: gradient normalization for
    adaptive loss balancing in deep multitask networks, ICML 2018, arXiv:1711.02257, Algorithm 1.
    It does not say what happens to a weight that falls below 0; here it stays at 1e-6.

    Examples
    --------
    >>> from course_lib import gradient_descent
    >>> weighting = GradNorm(2, alpha=0.0, rule=gradient_descent(lr=0.001))
    >>> for _ in range(1000):
    ...     weights = weighting.observe([1.0, 1.0], norms=[1.0, 3.0])
    >>> (weights * [1.0, 3.0]).round(1)
    array([1.5, 1.5])
    """

    LEAST = 1e-6

    def __init__(self, tasks, alpha=1.5, rule=None):
        self.weights = np.ones(count("tasks", tasks))
        self.alpha = number("alpha", alpha, least=0)
        self._rule = rule_or_adam(rule, lr=0.025)
        self._state = self._rule.init(self.weights)
        self._first = None

    def observe(self, losses, norms):
        """Learn from a step.

        Parameters
        ----------
        losses : sequence of T numbers or 0-d tensors, or array or tensor [T]
            Above 0; those of the first call are L(0).
        norms : sequence of T numbers, or array or tensor [T]
            ‖∇Lᵢ‖ without weights, over the parameters that are shared (the paper: their last
            layer): `np.sqrt(np.diag(gramian(G)))`.

        Returns
        -------
        array [T]
            The weights to use next.
        """
        L = loss_values(losses, len(self.weights), above=0)
        n = loss_values(norms, len(self.weights), name="norms", least=0)
        self._first = L if self._first is None else self._first
        rate = L / self._first
        G = self.weights * n
        target = G.mean() * (rate / rate.mean()) ** self.alpha
        slope = np.sign(G - target) * n
        delta, self._state = self._rule.update(slope, self._state, self.weights)
        w = np.maximum(self.weights + delta, self.LEAST)
        self.weights = len(w) * w / w.sum()
        return self.weights


class FAMO:
    """Weights under which all losses fall at the same rate, from the losses alone (FAMO).

        z = softmax(x),    wᵢ = c zᵢ/Lᵢ,    c = 1 / Σ zⱼ/Lⱼ

    so that the step is along the gradient of Σ zᵢ log Lᵢ. The logits x then make a step with
    the gradient Jᵀδ + γx, δᵢ = log Lᵢ(before) − log Lᵢ(after), J = ∂z/∂x: a task whose loss
    fell by a larger share than the others' loses weight. It aims at the direction of `mgda`
    on the gradients of log Lᵢ, at the cost of one backward pass and a second forward pass.

    Parameters
    ----------
    tasks : int
        T.
    decay : float
        γ ≥ 0, which draws the weights z to 1/T.
    rule : Rule, optional
        Makes the steps of x; `adam(lr=0.025)`, as in the authors' code, when left out.

    Attributes
    ----------
    shares : array [T]
        z, above 0, of sum 1; equal at the start.

    References
    ----------
    B. Liu, Y. Feng, P. Stone, Q. Liu, FAMO: fast adaptive multitask optimization, NeurIPS
    2023, arXiv:2306.03792. The authors' code has γ = 0.01, and a lower bound for each loss,
    here 0.

    Examples
    --------
    >>> weighting = FAMO(2)
    >>> weighting([1.0, 4.0])
    array([0.8, 0.2])
    >>> weighting.observe([1.0, 4.0], [0.5, 3.9]).round(4)    # the first fell faster
    array([0.4875, 0.5125])
    """

    def __init__(self, tasks, decay=0.01, rule=None):
        self._logits = np.zeros(count("tasks", tasks))
        self.decay = number("decay", decay, least=0)
        self._rule = rule_or_adam(rule, lr=0.025)
        self._state = self._rule.init(self._logits)

    @property
    def shares(self):
        return softmax(self._logits)

    def __call__(self, losses):
        """The weights at these losses, above 0: of sum 1."""
        z = self.shares * inverted(loss_values(losses, len(self._logits), above=0))
        return z / z.sum()

    def observe(self, before, after):
        """Learn from the losses of one batch, before and after the model's step; return `shares`."""
        logs = [np.log(loss_values(each, len(self._logits), above=0)) for each in (before, after)]
        fell = logs[0] - logs[1]
        z = self.shares
        slope = z * (fell - z @ fell) + self.decay * self._logits
        delta, self._state = self._rule.update(slope, self._state, self._logits)
        self._logits = self._logits + delta
        return self.shares

"""Gradient descent: the rule all others start from."""

from course_lib.update_rules.inputs import learning_rate
from course_lib.update_rules.registry import register
from course_lib.update_rules.rule import Rule


@register
def gradient_descent(lr):
    """Gradient descent: a step of length η against the gradient.

        δ = −η g

    Parameters
    ----------
    lr : float, 0-d tensor or schedule
        The learning rate η ≥ 0. A schedule is called with the number of steps made.

    Returns
    -------
    Rule
        Without memory: its state holds the step count `t` alone.

    Raises
    ------
    TypeError, ValueError
        If lr is not a number, negative or not finite.

    References
    ----------
    A. Cauchy, Méthode générale pour la résolution des systèmes d'équations simultanées,
    Comptes rendus 25 (1847), 536–538. The same as `torch.optim.SGD(lr)` and
    `keras.optimizers.SGD(lr)` without momentum.

    Examples
    --------
    >>> import numpy as np
    >>> rule = gradient_descent(lr=0.25)
    >>> w = np.array([4.0])
    >>> rule.update(2 * w, rule.init(w), w)[0]
    array([-2.])
    """
    lr = learning_rate(lr)

    def init(w):
        return {}

    def update(g, state, w, lr):
        delta = -lr * g
        return delta, state

    return Rule("gradient_descent", {"lr": lr}, init, update)

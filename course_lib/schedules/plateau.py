"""A rate that goes down when the loss does not."""

import math
from numbers import Real

from course_lib.validation import count, number


class Plateau:
    """Lower the rate each time the loss has not improved for a while.

    A loss improves when it is below (1 − threshold) times the best so far. The rate is
    multiplied by `factor` at the (patience + 1)-th loss in a row that does not; then the
    count starts again, the best stays. The one schedule with a memory, since it answers
    to what happens: `state_dict` saves it.

    Parameters
    ----------
    lr : float
        The rate to begin with, > 0.
    factor : float
        0 < factor < 1.
    patience : int
        How many losses in a row without improvement change nothing, ≥ 0.
    threshold : float
        Relative, 0 ≤ threshold < 1. A loss should be positive for it to make sense.
    cooldown : int
        For how many losses after a change none is counted, ≥ 0.
    least : float
        The rate never falls below it, ≥ 0.

    Attributes
    ----------
    lr : float
        The present rate.

    References
    ----------
    `torch.optim.lr_scheduler.ReduceLROnPlateau`, which besides leaves out every change of
    the rate by less than its eps = 1e-8. `keras.callbacks.ReduceLROnPlateau` changes one
    loss earlier, and its threshold is absolute.

    Examples
    --------
    >>> plateau = Plateau(lr=0.4, factor=0.5, patience=1)
    >>> [plateau.observe(loss) for loss in (3.0, 2.0, 2.0, 2.0, 1.0)]
    [0.4, 0.4, 0.4, 0.2, 0.2]
    """

    def __init__(self, lr, factor=0.1, patience=10, threshold=1e-4, cooldown=0, least=0.0):
        self.lr = number("lr", lr, above=0)
        self.factor = number("factor", factor, above=0, below=1)
        self.patience = count("patience", patience, least=0)
        self.threshold = number("threshold", threshold, least=0, below=1)
        self.cooldown = count("cooldown", cooldown, least=0)
        self.least = number("least", least, least=0)
        if self.least > self.lr:
            raise ValueError(f"least must be at most lr = {self.lr!r}, got {least!r}")
        self._best, self._bad, self._resting = math.inf, 0, 0

    def __repr__(self):
        named = ("lr", "factor", "patience", "threshold", "cooldown", "least")
        return f"Plateau({', '.join(f'{name}={getattr(self, name)!r}' for name in named)})"

    def observe(self, loss):
        """Take note of a loss, and return the rate to use next.

        Parameters
        ----------
        loss : float
            Of the validation data, say, after an epoch. NaN is no improvement.

        Returns
        -------
        float

        Raises
        ------
        TypeError
            If it is not a number.
        """
        loss = loss.item() if getattr(loss, "shape", None) == () else loss
        if isinstance(loss, bool) or not isinstance(loss, Real):
            raise TypeError(f"loss must be a number, got {loss!r}")
        if loss < self._best * (1 - self.threshold):
            self._best, self._bad = float(loss), 0
        else:
            self._bad += 1
        if self._resting > 0:
            self._resting, self._bad = self._resting - 1, 0
        if self._bad > self.patience:
            self.lr = max(self.lr * self.factor, self.least)
            self._resting, self._bad = self.cooldown, 0
        return self.lr

    def state_dict(self):
        """What it remembers, as a dict of numbers."""
        return {"lr": self.lr, "best": self._best, "bad": self._bad, "resting": self._resting}

    def load_state_dict(self, state_dict):
        """Go on from a `state_dict()` of a Plateau with the same settings."""
        if not isinstance(state_dict, dict) or state_dict.keys() != self.state_dict().keys():
            raise ValueError(f"state_dict must come from a Plateau, got {state_dict!r}")
        lr = number("lr of state_dict", state_dict["lr"], least=0)
        bad, resting = (count(f"{key} of state_dict", state_dict[key], least=0) for key in ("bad", "resting"))
        best = state_dict["best"]
        if isinstance(best, bool) or not isinstance(best, Real):
            raise TypeError(f"best of state_dict must be a number, got {best!r}")
        self.lr, self._best, self._bad, self._resting = lr, float(best), bad, resting

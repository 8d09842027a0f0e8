"""When to stop: a validation loss that has not improved for a while."""

import math

from course_lib.validation import count, number, one_of


class EarlyStopping:
    """Say when a loss has stopped improving.

    An observation improves if loss + min_delta < best, the best one so far. NaN and
    infinity never do. After the first observation, `patience` in a row that do not improve
    are enough: the last of them says stop. Keras counts in the same way; the patience of
    `ReduceLROnPlateau` in PyTorch (and of `schedules.Plateau`) is one longer, since it acts
    on the observation after the patience-th bad one.

    Parameters
    ----------
    patience : int
        At least 1, in observations: epochs, in `fit`.
    min_delta : float
        By how much the best loss must be bettered, at least 0, in units of the loss. With
        min_delta > 0 the best observation need not be the least one.
    restore_best : bool
        Whether `fit` is to give the module the weights of the best observation back.

    Attributes
    ----------
    best : float
        The best loss; infinite before there is one.
    best_index : int or None
        Which observation it was, from 0.
    observations : int
        How many there were.

    Raises
    ------
    TypeError, ValueError
        If an argument is no number or out of its range.

    References
    ----------
    L. Prechelt, Early stopping, but when?, Neural Networks: Tricks of the Trade (1998),
    whose third criterion waits for losses in a row that rise. `keras.callbacks.EarlyStopping`.

    Examples
    --------
    >>> stopping = EarlyStopping(patience=2)
    >>> [stopping.observe(loss) for loss in (3.0, 1.0, 2.0, 1.5)]
    [False, False, False, True]
    >>> stopping.best, stopping.best_index
    (1.0, 1)
    """

    def __init__(self, patience, min_delta=0.0, restore_best=True):
        self.patience = count("patience", patience)
        self.min_delta = number("min_delta", min_delta, least=0)
        self.restore_best = one_of("restore_best", restore_best, (True, False))
        self.reset()

    def __repr__(self):
        settings = f"patience={self.patience}, min_delta={self.min_delta}, restore_best={self.restore_best}"
        return f"EarlyStopping({settings})"

    @property
    def should_stop(self):
        """True where `patience` observations in a row have not improved."""
        return self.observations - 1 - (self.best_index or 0) >= self.patience

    def observe(self, loss):
        """Take note of a loss, and say whether to stop.

        Parameters
        ----------
        loss : float

        Returns
        -------
        bool
        """
        loss = float(loss)
        if math.isfinite(loss) and loss + self.min_delta < self.best:
            self.best, self.best_index = loss, self.observations
        self.observations += 1
        return self.should_stop

    def reset(self):
        """Forget all observations."""
        self.best, self.best_index, self.observations = math.inf, None, 0

    def state_dict(self):
        """What was observed: a dict of numbers, or None where there is no best one yet."""
        best = None if self.best_index is None else self.best
        return {"best": best, "best_index": self.best_index, "observations": self.observations}

    def load_state_dict(self, state_dict):
        """Go on from a `state_dict()`; the settings stay one's own.

        Parameters
        ----------
        state_dict : dict
            Anything that `state_dict` does not return is a ValueError or TypeError, and
            changes nothing.
        """
        if not isinstance(state_dict, dict) or state_dict.keys() != self.state_dict().keys():
            raise ValueError(f"state_dict must hold {', '.join(self.state_dict())}, got {state_dict!r}")
        best, index = state_dict["best"], state_dict["best_index"]
        seen = count("observations", state_dict["observations"], least=0)
        if (best is None) != (index is None):
            raise ValueError(f"best and best_index must both be None or neither, got {state_dict!r}")
        if index is not None:
            best, index = number("best", best), count("best_index", index, least=0)
            if index >= seen:
                raise ValueError(f"best_index must be below observations, {seen}, got {index}")
        self.best = math.inf if best is None else best
        self.best_index, self.observations = index, seen

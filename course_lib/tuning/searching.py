"""What all searches share: a space, the trials so far, and the file in which they are kept."""

from course_lib.tuning.spaces import Space, Vectors
from course_lib.tuning.trials import TrialFile, best_of, outcome
from course_lib.validation import count


class Search:
    """A search that is asked for settings and told their values.

    A kind of search says what to try next in `ask()`, which returns None when nothing can be
    asked for, now or ever, and what it learns from a trial in `_take(trial, place)`.

    Parameters
    ----------
    space : Space, dict or Vectors
    seed : int
        The search is the same for the same seed and the same values.
    path : str or path, optional
        A file of trials: those in it are taken as told, and each told is added to it.

    Attributes
    ----------
    trials : list of Trial
        In the order in which they were told.
    """

    def __init__(self, space, seed, path=None):
        self.space = space if isinstance(space, (Space, Vectors)) else Space(space)
        self.seed = count("seed", seed, least=0)
        self.trials = []
        self.file = None if path is None else TrialFile(path)

    def tell(self, x, value, reason=""):
        """Take what a setting gave: its value, or NaN if it failed.

        Parameters
        ----------
        x : dict, or array [D] where vectors are searched
        value : float
            Infinity is taken as a failure, too.
        reason : str
            Why it failed.
        """
        trial = outcome(self.space.own(x), value, reason)
        place = self.space.encode(trial.x)
        self._expect(trial, place)
        if self.file is not None:
            self.file.append(trial)
        self._take(trial, place)

    def result(self):
        """The best setting so far, its value, and all trials."""
        return best_of(self.trials)

    def _resume(self):
        """Take the trials of the file."""
        for trial in [] if self.file is None else self.file.trials:
            self._take(trial, self.space.encode(trial.x))

    def _expect(self, trial, place):
        """Raise an error if this trial was not asked for and cannot be used."""

"""Searches that go by generations: many settings asked for at once, and something learnt from all."""

import numpy as np

from course_lib.tuning.searching import Search


class PopulationSearch(Search):
    """A search that learns from a whole generation, and only then asks for the next.

    What it finds does not depend on how many settings are tried at once, nor on the order in
    which they are told. A kind of it says where the candidates of a generation are in
    `_places(rng)` and what it learns from their values in `_learn(values)`, where those that
    failed are infinite.

    Parameters
    ----------
    space, seed, path
        As in `Search`.

    Attributes
    ----------
    generation : int
        How many are complete.
    stopped : str
        Why the search has come to its end; empty as long as it has not.
    """

    def __init__(self, space, seed, path=None):
        super().__init__(space, seed, path)
        self.generation, self.stopped = 0, ""

    def ask(self):
        """The next setting to try.

        Returns
        -------
        dict, or array [D] where vectors are searched; or None
            None if others of the generation must be told first, or if the search has ended.
        """
        if not self._unasked or self.stopped:
            return None
        number = self._unasked.pop(0)
        x = self._settings[number]
        self._waiting.setdefault(self.space.encode(x).tobytes(), []).append(number)
        return self.space.own(x)

    def _begin(self):
        """Begin a generation."""
        rng = np.random.default_rng([self.seed, self.generation])
        self._settings = [self.space.decode(self.space.folded(u)) for u in self._places(rng)]
        self._values = np.full(len(self._settings), np.nan)
        self._unasked, self._waiting = list(range(len(self._settings))), {}  # place -> numbers asked, not told

    def _resume(self):
        self._begin()
        for trial in [] if self.file is None else self.file.trials:
            place = self.space.encode(trial.x)
            while not self._waiting.get(place.tobytes()):
                if self.ask() is None:
                    raise ValueError(f"path must be a file of this search; it did not ask for {trial.x!r}")
            self._take(trial, place)
        self._unasked = [i for i, value in enumerate(self._values) if np.isnan(value)]
        self._waiting = {}  # what was asked for and not told is lost, and is asked for again

    def _expect(self, trial, place):
        if not self._waiting.get(place.tobytes()):
            raise ValueError(f"x must be a setting that was asked for and not yet told, got {trial.x!r}")

    def _take(self, trial, place):
        self.trials.append(trial)
        number = self._waiting[place.tobytes()].pop(0)
        self._values[number] = trial.value if trial.status == "ok" else np.inf
        if not np.isnan(self._values).any():
            self._learn(self._values)
            self.generation += 1
            if not self.stopped:
                self._begin()

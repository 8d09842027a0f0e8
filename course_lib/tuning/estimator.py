"""Bayesian search in the shape of scikit-learn's searches."""

import numpy as np
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import check_random_state

from course_lib.tuning.bayesian_search import BayesianSearch
from course_lib.tuning.spaces import Space
from course_lib.validation import count


class BayesSearchCV(BaseSearchCV):
    """Tune an estimator of scikit-learn by Bayesian search, judged by cross-validation.

    It is used as `GridSearchCV` is, and as scikit-optimize's class of this name where that is
    given its spaces as a dict of tuples and lists: only the import changes.

    Parameters
    ----------
    estimator : estimator
    search_spaces : dict
        Parameter -> dimension, as in `Space`. For a logarithmic scale "log-uniform", for a
        linear one "uniform" may be written, too.
    n_iter : int
        How many settings are tried.
    scoring, n_jobs, refit, cv, verbose, error_score, return_train_score
        As in `GridSearchCV`. With several scores `refit` names the one to be maximised.
    n_points : int
        How many settings are asked for at once, to be tried in parallel.
    random_state : int, RandomState or None

    Attributes
    ----------
    best_params_, best_score_, best_estimator_, best_index_, cv_results_
        After `fit`, as in `GridSearchCV`.
    search_ : BayesianSearch
        The search itself: its values are the scores with their sign changed. A setting
        whose score is NaN has failed; one of which no fit succeeded is in it alone, and not
        in `cv_results_`.

    Raises
    ------
    TypeError, ValueError
        From `fit`, if an argument is wrong.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> X, y = load_iris(return_X_y=True)
    >>> search = BayesSearchCV(SVC(), {"C": (1e-3, 1e3, "log-uniform")}, n_iter=12, random_state=0)
    >>> bool(search.fit(X, y).best_score_ > 0.95)
    True
    """

    def __init__(
        self, estimator, search_spaces, *, n_iter=50, scoring=None, n_jobs=None, n_points=1, refit=True, cv=None,
        verbose=0, random_state=None, error_score=np.nan, return_train_score=False,
    ):
        super().__init__(
            estimator, scoring=scoring, n_jobs=n_jobs, refit=refit, cv=cv, verbose=verbose,
            error_score=error_score, return_train_score=return_train_score,
        )
        self.search_spaces = search_spaces
        self.n_iter = n_iter
        self.n_points = n_points
        self.random_state = random_state

    def _run_search(self, evaluate_candidates):
        n_iter, n_points = count("n_iter", self.n_iter), count("n_points", self.n_points)
        spaces = self.search_spaces
        if isinstance(spaces, dict):
            spaces = {name: _translated(given) for name, given in spaces.items()}
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.search_ = BayesianSearch(Space(spaces), seed)
        results, failure, score = {"params": []}, None, "mean_test_score"
        while len(self.search_.trials) < n_iter:
            asked = self.search_.ask(min(n_points, n_iter - len(self.search_.trials)))
            known = len(results["params"])
            try:
                results = evaluate_candidates(asked)
            except ValueError as error:
                if "fits failed" not in str(error):
                    raise
                failure = error  # every fit of these settings; scikit-learn keeps none of them
                for x in asked:
                    self.search_.tell(x, np.nan, reason=str(error).strip().rpartition("\n")[2])
                continue
            score = score if score in results else f"mean_test_{self.refit}"
            if score not in results:
                raise ValueError(f"refit must name one of the scores, got {self.refit!r}")
            for x, value in zip(asked, results[score][known:]):
                self.search_.tell(x, -value)
        if not results["params"]:
            raise failure


def _translated(given):
    """A dimension of scikit-optimize as one of ours."""
    if isinstance(given, tuple) and len(given) == 3:
        return {"log-uniform": (*given[:2], "log"), "uniform": given[:2]}.get(given[2], given)
    return given

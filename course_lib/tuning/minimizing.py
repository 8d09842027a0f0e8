"""A search run to its end: each setting asked for, tried, told; here or in several processes."""

from course_lib.notebook import progress
from course_lib.tuning.bayesian_search import BayesianSearch
from course_lib.tuning.trials import tried
from course_lib.validation import count, one_of


def bayesian_minimize(
    f, space, calls, seed, *, initial=8, restart_after=20, path=None, workers=None, engine="processes", timeout=None,
    retries=1,
):
    """Search for the setting with the smallest value.

    In a notebook a bar shows how far the search has come.

    Parameters
    ----------
    f : callable
        f(x), x a dict by name, returns a number. If it raises or returns NaN, the trial has
        failed, and the search goes on.
    space : Space or dict
    calls : int
        How many trials in all, those in the file included.
    seed : int
    initial, restart_after : int
        How many fill the space first; after how many without improvement the search begins
        anew. As in `BayesianSearch`.
    path : str or path, optional
        A file to which every trial is written as it finishes; a search that was broken off
        goes on from it.
    workers : int, optional
        How many trials are tried at once, each in a process of its own. The next setting is
        asked for when one ends, so the search depends on how long they take.
        When left out: in this process, one after the other.
    engine : str
        Whose processes: "processes", of this machine; "ray", those of the Ray cluster to which
        this process is connected, or of one that is started here and ended afterwards.
    timeout : float, optional
        Seconds after which a trial has failed and its process is ended; with workers only.
    retries : int
        How often a trial is begun again whose process died, before it has failed.

    Returns
    -------
    Result
        x, value, history.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong. KeyboardInterrupt is not caught: with a path nothing that
        finished is lost.
    ImportError
        If the engine is Ray, and it is not installed.

    Examples
    --------
    >>> found = bayesian_minimize(lambda x: (x["x"] - 0.5) ** 2, {"x": (-2.0, 2.0)}, calls=15, seed=0)
    >>> len(found.history), found.value < 1e-4
    (15, True)
    """
    search = BayesianSearch(space, seed, initial=initial, restart_after=restart_after, path=path)
    run_search(search, f, calls, workers=workers, engine=engine, timeout=timeout, retries=retries)
    return search.result()


def run_search(search, f, calls, *, workers=None, engine="processes", timeout=None, retries=1):
    """Go on with a search until it has so many trials, or nothing more to ask for.

    Parameters
    ----------
    search
        With `ask()`, which returns None where nothing can be asked for before more is told,
        `tell(x, value, reason)` and the list `trials`.
    f, calls, workers, engine, timeout, retries
        As in `bayesian_minimize`.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.
    """
    if not callable(f):
        raise TypeError(f"f must be callable, got {f!r}")
    calls, engine = count("calls", calls), one_of("engine", engine, ("processes", "ray"))
    if workers is None and (timeout is not None or engine == "ray"):
        name = "engine" if timeout is None else "timeout"
        raise ValueError(f"{name} needs workers: without them trials are made in this process")
    left = range(len(search.trials), calls)
    if workers is None:
        for _ in progress(left, "searching"):
            x = search.ask()
            if x is None:
                break
            search.tell(x, *tried(f, x))
        return
    from course_lib.tuning.workers import Workers

    with Workers(f, workers, timeout, retries, engine) as team:
        unasked, ended = len(left), []
        try:
            for _ in progress(left, "searching"):
                if not ended:
                    while team.free and unasked and (x := search.ask()) is not None:
                        team.submit(x)
                        unasked -= 1
                    if not team.busy:
                        break
                    ended = team.finished()
                search.tell(*ended[0])
                del ended[0]
        except BaseException:
            for found in ended + team.finished(patient=False):
                search.tell(*found)  # nothing that finished is lost
            raise

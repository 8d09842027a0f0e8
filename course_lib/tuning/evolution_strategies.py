"""CMA-ES, and the same without its covariance: a search run to its end."""

import numpy as np

from course_lib.tuning.covariance_adaptation import EvolutionStrategy
from course_lib.tuning.minimizing import run_search


def cma_es(
    f, x0, sigma, seed, space=None, *, calls=None, population=None, tolerance=1e-12, path=None,
    workers=None, engine="processes", timeout=None, retries=1,
):
    """Minimise by covariance matrix adaptation: draw, rank, move, widen, turn.

        xᵢ = m + σ yᵢ,  yᵢ ~ N(0, C), sorted by f, with weights aᵢ
        m ← m + σ Σ aᵢ yᵢ                                   over the better half
        σ ← σ exp(c_σ/d_σ (|p_σ|/E|N(0, I)| − 1))
        C ← (1 − c₁ − c_μ Σ aⱼ) C + c₁ p_c p_cᵀ + c_μ Σ aᵢ yᵢ yᵢᵀ

    p_σ and p_c are averages of the steps of m. Only the order of the values counts.

    Parameters
    ----------
    f : callable
        f(x) returns a number. x is a vector [D]; with a space a dict by name. If f raises or
        returns NaN, the trial has failed: it counts as the worst of its generation.
    x0 : array [D], or dict
        The start. With a space it may be None: the middle.
    sigma : float
        The first step size, > 0: about a third of how far the minimum may be. With a space,
        in parts of each dimension's range, on its scale: 0.3 is usual.
    seed : int
    space : Space or dict, optional
        A place outside stands for its mirror image inside.
    calls : int, optional
        How many trials at most, those in the file included. When left out:
        100 + 150 (D + 3)²/√population generations.
    population : int, optional
        How many draws a generation has, at least 4; 4 + ⌊3 ln D⌋ when left out. More of them
        find deeper minima among many, at more trials.
    tolerance : float
        The search ends when the best values of the last 10 + 30 D/population generations and
        all of the last are within it.
    path, workers, engine, timeout, retries
        As in `bayesian_minimize`; the result does not depend on how many workers there are.

    Returns
    -------
    Result
        x (array [D] or dict), value, history.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    References
    ----------
    N. Hansen, A. Ostermeier, Completely derandomized self-adaptation in evolution strategies,
    Evolutionary Computation 9 (2001). Constants: N. Hansen, The CMA evolution strategy: a
    tutorial, arXiv:1604.00772, table 1, negative weights included.

    Examples
    --------
    >>> import numpy as np
    >>> found = cma_es(lambda x: np.sum(x**2 * [1, 100]), [3.0, 3.0], 1.0, seed=0)
    >>> found.value < 1e-10
    True
    """
    search = EvolutionStrategy(x0, sigma, seed, space, population=population, tolerance=tolerance, path=path)
    return _run(search, f, calls, workers=workers, engine=engine, timeout=timeout, retries=retries)


def evolution_strategy(
    f, x0, sigma, seed, space=None, *, calls=None, population=None, tolerance=1e-12, path=None,
    workers=None, engine="processes", timeout=None, retries=1,
):
    """Minimise by the simplest strategy that controls its step: CMA-ES without the C.

        xᵢ = m + σ zᵢ,  zᵢ ~ N(0, I), sorted by f
        m ← m + σ Σ aᵢ zᵢ,   σ ← σ exp(c_σ/d_σ (|p_σ|/E|N(0, I)| − 1))

    Known as (μ/μ_w, λ)-ES with cumulative step-size adaptation. Each trial costs O(D), where
    `cma_es` pays O(D²) for the covariance.

    Parameters
    ----------
    f, x0, sigma, seed, space, calls, population, tolerance, path, workers, engine, timeout, retries
        As in `cma_es`.

    Returns
    -------
    Result

    References
    ----------
    A. Ostermeier, A. Gawelczyk, N. Hansen, Step-size adaptation …, PPSN III (1994).

    Examples
    --------
    >>> import numpy as np
    >>> evolution_strategy(lambda x: np.sum(x**2), [3.0, 3.0], 1.0, seed=0).value < 1e-10
    True
    """
    given = {"population": population, "tolerance": tolerance, "path": path}
    search = EvolutionStrategy(x0, sigma, seed, space, adapt=False, **given)
    return _run(search, f, calls, workers=workers, engine=engine, timeout=timeout, retries=retries)


def _run(search, f, calls, **workers):
    D, population = len(search.mean), len(search.weights)
    most = population * (100 + int(150 * (D + 3) ** 2 / np.sqrt(population)))
    run_search(search, f, most if calls is None else calls, **workers)
    return search.result()

"""How many settings a race begins with, and how many go on with how much."""

from numbers import Integral

from course_lib.validation import count, number

SAME = 1e-9  # budgets over budgets that differ by less differ by rounding


def hyperband_brackets(budget, eta=3, least=1):
    """The brackets of Hyperband: how many settings begin, and how many go on (Li et al. 2018, arXiv:1603.06560).

    Bracket s begins with ceil((s_max + 1) / (s + 1) eta**s) settings, as in Algorithm 1: for budget 81 and eta 3 with
    81, 34, 15, 8, 5. The paper's table prints 81, 27, 9, 6, 5. Powers are compared: in floats log(243) / log(3) < 5.

    Parameters
    ----------
    budget, least : int or float
        The largest and the smallest that a setting gets, in units of f: epochs, steps, examples.
    eta : int
        Of eta settings one goes on, with eta times the budget.

    Returns
    -------
    list of list of (int, number)
        The brackets, that with the most settings first; of each the rungs, from the lowest: how many settings, and the
        budget of each, budget / eta**k. It is a float where that is not whole: an f that counts epochs must round.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> hyperband_brackets(9)
    [[(9, 1), (3, 3), (1, 9)], [(5, 3), (1, 9)], [(3, 9)]]
    """
    top = rungs_below(budget, eta, least)
    return [bracket(-(-(top + 1) * eta**s // (s + 1)), budget, eta, s) for s in range(top, -1, -1)]


def bracket(n, budget, eta, s):
    """The s + 1 rungs of a bracket in which n settings begin, the last on the whole budget."""
    budget = amount("budget", budget)
    part = [budget // eta**k if budget % eta**k == 0 else budget / eta**k for k in range(s + 1)]
    return [(n // eta**k, part[s - k]) for k in range(s + 1)]


def rungs_below(budget, eta, least):
    """The largest s with least eta**s <= budget: by multiplying, as log(243) / log(3) < 5 in floats."""
    budget, least, eta = amount("budget", budget), amount("least", least), count("eta", eta, least=2)
    if least > budget:
        raise ValueError(f"least must be at most the budget, {budget!r}, got {least!r}")
    s = 0
    while least * eta ** (s + 1) <= budget * (1 + SAME):
        s += 1
    return s


def amount(name, value):
    """A budget: above 0, an int where it is one."""
    return count(name, value) if isinstance(value, Integral) else number(name, value, above=0)

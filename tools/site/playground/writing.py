"""Expressions as the text of JavaScript functions."""

import math
from collections import Counter

from tools.site.playground.tracing import Expression

TIGHTNESS = {"choice": 0, "<": 1, "<=": 1, ">": 1, ">=": 1, "+": 2, "-": 2, "*": 3, "/": 3, "%": 3, "negative": 4}
LEAF = 5
RESERVED = set("await case class const default delete do enum export extends function in instanceof let new null super "
               "switch this throw typeof var void yield".split())


def function_text(arguments, results, store="{0} = {1};", names=()):
    """A function's arguments and body, as a method has them: `(a, b) { …; return …; }`.

    Parameters
    ----------
    arguments : str
    results : dict
        Name -> expression or number. What is called "result" is returned, any other is kept.
    store : str
        The statement that keeps a result, with places for its name and its text.
    names : iterable of str
        Settings that the function takes out of its argument `p` first, if it uses them.
    """
    uses, order = Counter(), []

    def count(value):
        if isinstance(value, Expression):
            uses[value] += 1
            if uses[value] == 1:
                for part in value.parts:
                    count(part)
                order.append(value)   # behind all its parts

    for value in results.values():
        count(value)
    own = {value.parts[0] for value in order if value.operation == "symbol"}
    settings = [name for name in names if name in own]
    lines = [f"const {{ {', '.join(settings)} }} = p;"] if settings else []
    stored = {value for value in results.values() if isinstance(value, Expression)}
    known, taken = {}, own | set(results) | set(arguments.split(", ")) | RESERVED
    free = {name for name in results if name.isidentifier()} - ({"result"} | own | set(arguments.split(", ")) | RESERVED)
    wanted = {value: name for name, value in results.items() if isinstance(value, Expression) and name in free}
    if "result" in results and len(results) > 1:   # computed before anything is kept
        wanted[results["result"]] = "delta" if "delta" not in taken else fresh(taken)
    for value in order:
        is_symbol = value.operation == "symbol"
        if is_symbol:
            known[value] = value.parts[0]
        # A part of the state that moves to another place, or is returned, is read before anything is stored.
        if (value in stored and value.parts[0].startswith("state.")) if is_symbol else (value in wanted or uses[value] > 1):
            name = wanted.get(value) or fresh(taken)
            lines.append(f"const {name} = {text(value, known)};")
            known[value] = name
    kept = {name: text(value, known) for name, value in results.items()}
    returned = kept.pop("result", None)
    lines += [store.format(name, value) for name, value in kept.items()]   # when all is computed: they are read above
    lines += [f"return {returned};"] if returned else []
    return f"({arguments}) {{\n  " + "\n  ".join(lines) + "\n}"


def fresh(taken):
    """A name that is not taken, and is from now on."""
    name = next(name for name in (f"c{i}" for i in range(1, 1000)) if name not in taken)
    taken.add(name)
    return name


def text(value, known):
    """A number, or an expression in JavaScript's words; `known` holds those that have a name."""
    return written(value, known)[0]


def written(value, known):
    """The text, and how tightly its outermost operation binds."""
    if not isinstance(value, Expression):
        if not math.isfinite(value):
            raise ValueError(f"a formula holds {value}, which JavaScript writes in another way")
        return (str(value).lower() if isinstance(value, bool) else repr(value)), LEAF if value >= 0 else 4
    if value in known:
        return known[value], LEAF
    operation, parts = value.operation, [written(part, known) for part in value.parts]
    if operation not in TIGHTNESS:
        return f"{operation}({', '.join(part for part, _ in parts)})", LEAF
    tightness = TIGHTNESS[operation]

    def within(part, least):
        return part[0] if part[1] >= least else f"({part[0]})"

    if operation == "negative":
        return f"-{within(parts[0], tightness + 1)}", tightness
    if operation == "choice":
        return " ".join([within(parts[0], 1), "?", within(parts[1], 1), ":", within(parts[2], 0)]), tightness
    # What stands on the right is in brackets if it binds no more tightly: the order of operations is Python's.
    return f"{within(parts[0], tightness)} {operation} {within(parts[1], tightness + 1)}", tightness

"""Expressions as the text of JavaScript functions."""

from collections import Counter

from tools.site.playground.tracing import Expression

TIGHTNESS = {"choice": 0, "<": 1, "<=": 1, ">": 1, ">=": 1, "+": 2, "-": 2, "*": 3, "/": 3, "%": 3, "negative": 4}
LEAF = 5


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
    named = {value: name for name, value in results.items() if name.isidentifier()}
    named = {value: "delta" if name == "result" else name for value, name in named.items()} if len(results) > 1 else {}
    known, taken = {}, own | set(results) | set(arguments.split(", "))
    for value in order:
        if value.operation == "symbol":
            known[value] = value.parts[0]
        elif value in named or uses[value] > 1:
            name = named.get(value) or fresh(taken)
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

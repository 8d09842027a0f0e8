"""What a chapter must contain, and what its prose may say."""

import re

from tools.lint.reading import formulas, prose, rule, shown
from tools.lint.tex import symbols

NUMBER = re.compile(
    r"(?<![\w.])(?P<digits>\d*\.\d+)(?:[eE](?P<e>[+-]?\d+)|\s*(?:\\times|\\cdot|×|·)\s*10\^?\{?(?P<ten>[+-]?\d+)\}?)?"
    r"(?![\w.]*\.\d)(?P<percent>\s*\\?%)?")
VALUE = re.compile(r"(?<![\w.])(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
ALLOWED = re.compile(r"<!--\s*not measured:(.*?)-->", re.S)
CHECK = re.compile(r"""\bcheck\(\s*["']([\w-]+)["']""")


@rule
def card(chapter, book):
    """The card says how long the chapter takes."""
    top = " ".join(prose(cell.source) for _, cell in chapter.markdown[:3])
    for words in ("minutes to read", "seconds to run"):
        if not re.search(rf"\d+\s+{words}", top):
            yield 0, f'the card does not say "… {words}"'


@rule
def enough(chapter, book):
    """A chapter has a chapter's size."""
    words = sum(len(prose(cell.source).split()) for _, cell in chapter.markdown)
    claims = sum(shown(cell).count("claim ✓") for _, cell in chapter.code)
    for have, least, what in ((words, 1500, "words"), (len(chapter.code), 10, "code cells"), (claims, 5, "claims")):
        if have < least:
            yield None, f"{have} {what}; at least {least} are needed"


@rule
def exercises(chapter, book):
    """At least four exercises, each with a folded solution that was run and found right."""
    solved, open_ = set(), {}
    for number, cell in chapter.code:
        for exercise in CHECK.findall(cell.source):
            if "hide-cell" not in cell.metadata.get("tags", []):
                open_.setdefault(exercise, number)
            elif re.search(rf"^✓ {re.escape(exercise)}\b", shown(cell), re.M):
                solved.add(exercise)
            else:
                yield number, f"the solution of {exercise!r} does not show ✓"
    for exercise, number in open_.items():
        if exercise not in solved:
            yield number, f"exercise {exercise!r} has no folded solution that shows ✓"
    if len(solved) < 4:
        yield None, f"{len(solved)} solved exercises; at least 4 are needed"


@rule
def finished(chapter, book):
    """Nothing is left to be done."""
    for number, cell in enumerate(chapter.notebook.cells):
        found = re.search(r"\b(?:TODO|TBD|FIXME|XXX)\b", cell.source)
        if found:
            yield number, f"{found.group()} left in the text"


@rule
def numbers(chapter, book):
    """A number with a decimal point in the prose stands in the code or in an output, perhaps with more digits."""
    values = set()
    for _, cell in chapter.code:
        for text in (cell.source, shown(cell)):
            values |= {float(value.replace("_", "")) for value in VALUE.findall(text)}
    for number, cell in chapter.markdown:
        allowed = " ".join(ALLOWED.findall(cell.source))
        text = prose(cell.source) + " " + " ".join(tex for tex, _ in formulas(cell.source))
        for found in NUMBER.finditer(text):
            if found["digits"] not in re.findall(r"[\d.]*\d", allowed) and not measured(found, values):
                yield number, f"{found.group().strip()} is neither in the code nor in an output of this chapter"


def measured(found, values):
    """Say whether a number in the prose is one of the values, rounded to the digits that it shows."""
    exponent = int(found["e"] or found["ten"] or 0)
    value = float(found["digits"]) * 10.0**exponent
    half = 0.5000001 * 10.0 ** (exponent - len(found["digits"].partition(".")[2]))
    scales = (1, 100) if found["percent"] else (1,)
    return any(abs(scale * other - value) <= half for other in values for scale in scales)


@rule
def notation(chapter, book):
    """Every symbol of a formula is the one that the page of notation gives."""
    reported = set()
    for number, cell in chapter.markdown:
        for tex, _ in formulas(cell.source):
            for symbol in sorted(symbols(tex) - book.symbols - reported):
                reported.add(symbol)
                yield number, f"the symbol ${symbol}$ is not in book/notation.md (used in ${tex.strip()[:40]}$)"

"""The symbols of a formula: single letters and Greek letters, bare, under an accent or in another alphabet."""

import re

ACCENTS = "hat|widehat|bar|overline|tilde|widetilde|dot|ddot|vec|mathbf|boldsymbol|bm|mathcal|mathbb|mathfrak|mathscr"
WORDS = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathsf|mathtt|operatorname\*?|begin|end|label|tag|color)\s*\{[^{}]*\}")
TOKEN = re.compile(
    rf"\\(?P<accent>{ACCENTS})(?![A-Za-z])\s*(?:\{{(?P<under>[^{{}}]*)\}}|(?P<single>\\[A-Za-z]+|[^\W\d_]))"
    r"|(?P<command>\\[A-Za-z]+)|(?P<letter>[^\W\d_])")
SYMBOL = re.compile(r"\s*(\\[A-Za-z]+|[^\W\d_])\s*")

# Commands that name no quantity: functions, operators, relations, brackets, spacing and layout.
KNOWN = set("""
    arccos arcsin arctan arg argmax argmin cos cosh cot det diag dim exp gcd inf ker lim liminf limsup ln log max min
    mod bmod pmod Pr sec sign sin sinh sup tan tanh tr
    nabla partial sum prod int iint oint infty emptyset forall exists neg lnot land lor Re Im
    cdot cdots ldots dots vdots ddots dotsb dotsc times div pm mp circ star ast top bot prime dagger odot oplus ominus
    otimes wedge vee cap cup setminus bigcap bigcup perp
    le leq ge geq lt gt ne neq eq equiv approx sim simeq cong propto ll gg lesssim gtrsim prec preceq succ succeq mid
    parallel in ni notin subset subseteq supset supseteq to gets mapsto leftarrow rightarrow leftrightarrow Leftarrow
    Rightarrow Leftrightarrow longrightarrow Longrightarrow longmapsto implies iff uparrow downarrow therefore coloneqq
    frac dfrac tfrac binom dbinom tbinom sqrt root stackrel overset underset underbrace overbrace underline substack
    limits nolimits displaystyle textstyle scriptstyle left right middle big Big bigg Bigg bigl bigr Bigl Bigr biggl
    biggr Biggl Biggr lvert rvert lVert rVert vert Vert langle rangle lfloor rfloor lceil rceil lbrace rbrace lbrack
    rbrack quad qquad hspace vspace phantom hphantom vphantom smash mathstrut not nonumber hline boxed cancel colon
    square blacksquare checkmark backslash mathop mathbin mathrel mathord
    """.split())


def symbols(formula):
    """Return the symbols of a TeX formula, an accented one as ``\\hat{m}``."""
    found = set()
    for token in TOKEN.finditer(WORDS.sub(" ", formula)):
        if token["accent"]:
            under = token["under"] if token["under"] is not None else token["single"]
            single = SYMBOL.fullmatch(under)
            found |= {f"\\{token['accent']}{{{single[1]}}}"} if single else symbols(under)
        elif token["letter"]:
            found.add(token["letter"])
        elif token["command"][1:] not in KNOWN:
            found.add(token["command"])
    return found

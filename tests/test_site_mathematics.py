"""TeX becomes MathML that stands alone: no style attribute, no script, and a font that has what it draws."""

import re

import pytest
from built_site import DOCUMENTS, html_of, site  # noqa: F401 (a fixture)

from tools.site.mathematics import Typesetter, apart, drawn

ITALIC_W, ITALIC_BETA = "\N{MATHEMATICAL ITALIC SMALL W}", "\N{MATHEMATICAL ITALIC SMALL BETA}"


@pytest.fixture(scope="module")
def typeset():
    typesetter = Typesetter()
    yield typesetter
    typesetter.close()


def test_a_formula_becomes_mathml(typeset):
    mathml = typeset(r"w \leftarrow w - \eta g", display=False)
    assert mathml.startswith("<math>") and mathml.endswith("</math>")
    assert re.sub(r"<[^>]*>", "", mathml) == "w←w−ηg"
    assert typeset("x", display=True).startswith('<math display="block"')


@pytest.mark.parametrize("wrong", [r"\frac{1}", r"\nosuchcommand", "{", r"\begin{aligned} a"])
def test_a_wrong_formula_is_refused_and_the_next_one_is_not(typeset, wrong):
    with pytest.raises(ValueError, match=r"\S"):
        typeset(wrong, display=False)
    assert "<mi>x</mi>" in typeset("x", display=False)


def test_rows_that_go_on_begin_with_a_binary_sign(typeset):
    mathml = typeset(r"\begin{aligned} a &= b \\ &+ c \end{aligned}", display=True)
    assert '<mo form="infix">+</mo>' in mathml


@pytest.mark.parametrize("tex", [
    r"\sum_{i=1}^n \frac{\partial f}{\partial w_i}", r"\begin{aligned} a &= b \\ c &= d \end{aligned}", r"\hat m", r"\mathbb{E}",
    r"\tfrac12\,\text{ if } x \ge 0", r"\bigl\lVert g \bigr\rVert", r"\sqrt{\hat v} + \varepsilon",
])
def test_no_formula_has_a_style_attribute(typeset, tex):
    assert " style=" not in typeset(tex, display=True)


def test_the_font_is_asked_for_what_is_drawn():
    assert drawn("<math><mi>w</mi><mo>&lt;</mo><mi>max</mi><mi>β</mi></math>") == {
        "√", "w", "<", "m", "a", "x", "β", ITALIC_W, ITALIC_BETA}
    assert "ℎ" in drawn("<math><mi>h</mi></math>")


@pytest.mark.parametrize("tex, parts", [
    ("x", ["x"]),
    (r"a \leftarrow b,\qquad c \rightarrow d", [r"a \leftarrow b,", r" c \rightarrow d"]),
    (r"\frac{a \qquad b}{c} \qquad d", [r"\frac{a \qquad b}{c} ", " d"]),
    (r"\begin{cases} a \qquad b \end{cases}", [r"\begin{cases} a \qquad b \end{cases}"]),
    (r"\left( a \qquad b \right\} \qquad \{c", [r"\left( a \qquad b \right\} ", r" \{c"]),
])
def test_what_is_set_apart_may_go_below(tex, parts):
    assert apart(tex) == parts


def test_pages_hold_mathml_and_no_tex(site):
    pages = [html_of(site / f"{document}.html") for document in DOCUMENTS]
    assert sum(len(page.find_all("math")) for page in pages) > 3000
    assert not [span for page in pages for span in page.find_all("span", class_="math")]
    assert (site / "_static" / "mathematics.woff2").stat().st_size < 60_000

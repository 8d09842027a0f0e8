"""Every chapter keeps every rule of tools/lint; every rule catches the mistake it is there for."""

from pathlib import Path

import pytest
from nbformat import v4

from tools import chapters, stamp
from tools.lint import RULES, Book, Chapter, complaints
from tools.lint.reading import formulas, notation_rows
from tools.lint.tex import symbols

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = chapters.paths()
DOI = "https://doi.org/10.1007/BF01589116"
SAMPLE_BOOK = Book(symbols={"w", "\\beta", "\\hat{m}"}, sources={DOI})
TITLE = f"[Open in Colab]({stamp.COLAB.format(repository=stamp.PLACEHOLDER, chapter='sample')})"
SUMMARY = "<details>\n<summary>More</summary>\n\nText.\n\n</details>"


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_keeps_rule(path, name):
    wrong = complaints(RULES[name], Chapter.at(path), Book.at(ROOT))
    assert not wrong, f"{RULES[name].__doc__}\n" + "\n".join(wrong)


@pytest.mark.skipif(not CHAPTERS, reason="there is no chapter")
def test_every_symbol_of_the_notation_page_is_used():
    used = {symbol for path in CHAPTERS for _, cell in Chapter.at(path).markdown
            for tex, _ in formulas(cell.source) for symbol in symbols(tex)}
    rows = notation_rows((ROOT / "book" / "notation.md").read_text(encoding="utf-8"))
    unused = [sorted(row) for row in rows if not row & used]
    assert not unused, f"book/notation.md defines symbols that no chapter uses: {unused}"


# ---- a chapter that keeps every rule, and what breaks each of them

def printed(text):
    return v4.new_output("stream", name="stdout", text=text)


def sample(tmp_path):
    """Return a chapter that keeps every rule."""
    picture = v4.new_output("display_data", data={"image/png": "AAAA", "text/plain": "<Figure>"})
    alt = "A line that rises from the lower left corner to the upper right one."
    cells = [
        v4.new_markdown_cell(f"# Sample\n\n20 minutes to read · 30 seconds to run\n\n{TITLE}"),
        v4.new_code_cell(stamp.install_cell("sample", stamp.PLACEHOLDER)),
        v4.new_markdown_cell(f"## A part\n\nThe error is $w = 0.43$, or 42.9% ([source]({DOI})).\n\n{SUMMARY}\n"),
        v4.new_code_cell("print(3 / 7)", outputs=[printed("0.428571\n")]),
        v4.new_code_cell("plot()", outputs=[picture], metadata={"mystnb": {"image": {"alt": alt}}}),
        v4.new_markdown_cell("*Figure: it rises.*"),
        v4.new_markdown_cell("word " * 1500),
    ]
    cells += [v4.new_code_cell(f"claim('{n}')", outputs=[printed(f"claim ✓ {n}: 1.0\n")]) for n in range(5)]
    for n in range(4):
        cells.append(v4.new_code_cell(f'check("part-{n}", ...)', outputs=[printed(f"· part-{n}: to do\n")]))
        folded = {"tags": ["hide-cell"], "jupyter": {"source_hidden": True}, "cellView": "form"}
        cells.append(v4.new_code_cell(f'#@title Solution\ncheck("part-{n}", 1)', metadata=folded,
                                      outputs=[printed(f"✓ part-{n}\n")]))
    notebook = v4.new_notebook(cells=cells)
    for count, cell in enumerate((cell for cell in cells if cell.cell_type == "code"), start=1):
        cell.execution_count = count
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    notebook.metadata["descent"] = {"modules": [], "digest": chapters.digest(notebook, [])}
    return save(Chapter(tmp_path / "sample.ipynb", chapters.tidy(notebook)))


def save(chapter):
    chapters.write(chapter.path, chapter.notebook)
    return Chapter.at(chapter.path)


def put(number, text):
    """Return a change that appends text to the source of a cell."""
    return lambda notebook: notebook.cells[number].update(source=f"{notebook.cells[number].source}\n\n{text}\n")


def output(text, name="stdout"):
    """Return a change of what the fourth cell printed."""
    return lambda notebook: notebook.cells[3].update(outputs=[v4.new_output("stream", name=name, text=text)])


def meta(number, key):
    """Return a change that forgets a piece of a cell's metadata."""
    return lambda notebook: notebook.cells[number].metadata.pop(key)


def drop(number):
    """Return a change that deletes a cell."""
    return lambda notebook: notebook.cells.pop(number)


BREAKS = [
    ("current", put(3, "print(2)"), "make notebooks"),
    ("install_cell", put(1, "import torch"), "first code cell"),
    ("install_cell", lambda nb: nb.cells[0].update(source="# Sample"), "Open in Colab"),
    ("plain_markdown", put(2, "```{note}\nText\n```"), "MyST"),
    ("plain_markdown", put(2, "See {doc}`intro`."), "MyST"),
    ("plain_markdown", put(2, "(part)=\n## Part"), "MyST"),
    ("plain_markdown", put(2, ":::note\nText\n:::"), "MyST"),
    ("mathematics", put(2, "$$w \\tag{1}$$"), "\\tag"),
    ("mathematics", put(2, "$$\\begin{align} w \\end{align}$$"), "'align'"),
    ("mathematics", put(2, "$\\begin{aligned} w \\end{aligned}$"), "inside $$"),
    ("mathematics", put(2, "$$w = 1 \\\\ w = 2$$"), "line break"),
    ("mathematics", put(2, "\\begin{align} w \\end{align}"), "bare"),
    ("folded_text", put(2, "<details>\n<summary>The $w$</summary>\n\nText.\n\n</details>"), "<summary>"),
    ("folded_text", put(2, "<details>\n<summary>More</summary>\nText.\n\n</details>"), "blank line"),
    ("folded_text", put(2, "<details>\n<summary>More</summary>\n\nText.\n</details>"), "blank line"),
    ("addresses", put(2, "[x](http://example.org)"), "https"),
    ("addresses", put(2, "[x](https://jmlr.org/papers/v12/duchi11a.html)"), "link papers"),
    ("addresses", put(2, "[x](https://arxiv.org/abs/1412.6980)"), "bibliography"),
    ("addresses", put(2, "[x](nowhere.ipynb)"), "no such file"),
    ("addresses", put(2, "[x](sample.ipynb#no-part)"), "no such heading"),
    ("addresses", put(2, "[x](sample.ipynb?steps=3)"), "takes a situation"),
    ("figures", meta(4, "mystnb"), "alt"),
    ("figures", drop(5), "caption"),
    ("solutions", meta(13, "tags"), "hide-cell"),
    ("solutions", meta(13, "jupyter"), "source_hidden"),
    ("solutions", meta(13, "cellView"), "cellView"),
    ("outputs", lambda nb: nb.cells[3].update(execution_count=7), "top to bottom"),
    ("outputs", output("boom", "stderr"), "stderr"),
    ("outputs", output("UserWarning: careful"), "a warning"),
    ("outputs", output("50%|###   | 5.0it/s"), "progress bar"),
    ("outputs", output("/" + "home/me/file"), "a path"),
    ("outputs", output("<object at 0x7f0a1b2c3d4e>"), "memory address"),
    ("outputs", output("x" * 20_001), "20 are allowed"),
    ("code", put(3, "\n".join("x = 1" for _ in range(40))), "40 are allowed"),
    ("code", put(3, "x = " + "1" * 88), "88 are allowed"),
    ("code", put(3, "# NBVAL_SKIP"), "opt out"),
    ("card", lambda nb: nb.cells[0].update(source=nb.cells[0].source.replace("minutes", "")), "minutes to read"),
    ("enough", drop(6), "words"),
    ("enough", drop(8), "claims"),
    ("exercises", lambda nb: nb.cells[13].update(outputs=[printed("✗ part-0: no")]), "does not show ✓"),
    ("exercises", drop(13), "no folded solution"),
    ("finished", put(2, "TO" + "DO: more"), "left in the text"),
    ("numbers", put(2, "It reached 0.44 at once."), "0.44"),
    ("numbers", put(2, "It is $4.4\\times10^{-1}$."), "4.4"),
    ("notation", put(2, "Now $\\gamma w$."), "\\gamma"),
    ("notation", put(2, "Now $\\hat w$."), "\\hat{w}"),
    ("name", lambda nb: None, "lower-case"),
    ("canonical", lambda nb: nb.cells[0].metadata.update(ExecuteTime="now"), "run make notebooks"),
]


@pytest.mark.parametrize("name", RULES)
def test_a_good_chapter_passes(tmp_path, name):
    assert not complaints(RULES[name], sample(tmp_path), SAMPLE_BOOK)


@pytest.mark.parametrize("name, change, word", BREAKS, ids=[f"{i}-{rule[0]}" for i, rule in enumerate(BREAKS)])
def test_a_broken_chapter_is_caught(tmp_path, name, change, word):
    chapter = sample(tmp_path)
    change(chapter.notebook)
    if name == "name":
        chapter.path = tmp_path / "Sample1.ipynb"
    assert word in "\n".join(complaints(RULES[name], save(chapter), SAMPLE_BOOK))


def test_every_rule_is_shown_to_fail():
    assert set(RULES) == {name for name, _, _ in BREAKS}


def test_allowed_numbers_and_rounding(tmp_path):
    chapter = sample(tmp_path)
    put(2, "Version 2.13 of 0.4 and 4.29e-1.\n<!-- not measured: 2.13 is a version -->")(chapter.notebook)
    assert not complaints(RULES["numbers"], save(chapter), SAMPLE_BOOK)


@pytest.mark.parametrize("formula, expected", [
    (r"w_{t+1} = w_t - \eta\, g", {"w", "t", "\\eta", "g"}),
    (r"\hat m_t / (\sqrt{\hat{v}_t} + \epsilon)", {"\\hat{m}", "\\hat{v}", "t", "\\epsilon"}),
    (r"\begin{aligned} f &= \text{loss of } x \\ \mathrm{d}x \end{aligned}", {"f", "x"}),
    (r"\overline{x + y} \leq \mathbf{A}^\top \max_i |x_i|", {"x", "y", "\\mathbf{A}", "i"}),
])
def test_symbols_of_a_formula(formula, expected):
    assert symbols(formula) == expected

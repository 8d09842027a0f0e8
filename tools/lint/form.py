"""What a chapter's file must look like, so that every reader shows it well."""

import re

from tools import chapters, stamp
from tools.lint.reading import anchors, formulas, links, prose, rule, shown

MYST = re.compile(r"^\s*(?:`{3,}|~{3,})\{|^:{3,}|\{[a-z:.-]+\}`|^\([\w.-]+\)=\s*$|\{\{.*?\}\}", re.M)
ENVIRONMENTS = {"aligned", "array", "bmatrix", "cases", "matrix", "pmatrix", "vmatrix", "smallmatrix"}
SCIENCE = re.compile(
    r"\.pdf$|jmlr\.org|openreview\.net|papers\.nips|neurips\.cc|mlr\.press|aclanthology|springer|sciencedirect"
    r"|ieee\.org|dl\.acm|jstor|tandfonline|siam\.org|semanticscholar|researchgate|projecteuclid")
FENCES = re.compile(r"^(`{3,}|~{3,})(?!\{).*?^\1\s*$", re.M | re.S)


@rule
def name(chapter, book):
    """A chapter's file is named by its topic."""
    if not re.fullmatch(r"[a-z_]+\.ipynb", chapter.path.name):
        yield None, "the file name may hold lower-case letters and underscores only"


@rule
def canonical(chapter, book):
    """The file is written the one way `make notebooks` writes it, so that changes show what changed."""
    tidied = chapters.text_of(chapters.tidy(chapters.read(chapter.path)))
    if chapter.path.read_text(encoding="utf-8") != tidied:
        yield None, "not in the committed form (volatile metadata, missing cell ids, or layout): run make notebooks"


@rule
def current(chapter, book):
    """The outputs were made by this code, this library and these pins."""
    if not chapters.is_current(chapter.notebook):
        yield None, "the outputs are older than the code, the library or the pins: run make notebooks"


@rule
def install_cell(chapter, book):
    """The first code cell installs the library where it is missing; the Colab link opens this very chapter."""
    if not chapter.code or chapter.code[0][1].source != stamp.install_cell(chapter.path.stem, book.repository):
        yield None, "the first code cell is not the install cell of tools/stamp.py with the address in _config.yml"
    colab = stamp.COLAB.format(repository=book.repository, chapter=chapter.path.stem)
    if f"[Open in Colab]({colab})" not in "".join(cell.source for _, cell in chapter.markdown[:1]):
        yield 0, f"the first cell lacks [Open in Colab]({colab})"


@rule
def plain_markdown(chapter, book):
    """Markdown is CommonMark, mathematics and plain HTML: MyST is shown raw everywhere but on the site."""
    for number, cell in chapter.markdown:
        found = MYST.search(FENCES.sub("", cell.source))
        if found:
            yield number, f"MyST markup {found.group().strip()!r}"


@rule
def mathematics(chapter, book):
    """Formulas use what MathJax shows alike everywhere."""
    for number, cell in chapter.markdown:
        for tex, displayed in formulas(cell.source):
            for word in re.findall(r"\\(?:tag|eqref|ref|label)\b", tex):
                yield number, f"{word} in a formula"
            used = re.findall(r"\\begin\{(\w+\*?)\}", tex)
            for environment in used:
                if environment not in ENVIRONMENTS:
                    yield number, f"environment {environment!r}: use aligned inside $$"
                elif environment == "aligned" and not displayed:
                    yield number, "aligned belongs inside $$"
            if "\\\\" in tex and not used:
                yield number, r"a line break \\ outside aligned"
        if re.search(r"\\begin\{(?:align|equation|gather)", prose(cell.source)):
            yield number, "a bare environment: use aligned inside $$"


@rule
def folded_text(chapter, book):
    """Inside <details> Markdown needs blank lines around it, and a summary holds no formula."""
    for number, cell in chapter.markdown:
        if re.search(r"<summary>[^<]*\$", cell.source):
            yield number, "mathematics in <summary>"
        if re.search(r"</summary>[^\n]*\n(?!\s*\n)|<details[^>]*>\n[^\n<]*\S[^\n]*</details>|\S[^\n]*\n</details>",
                     cell.source):
            yield number, "a blank line is missing inside <details>"


@rule
def addresses(chapter, book):
    """Links lead somewhere, papers by DOI or arXiv, and every paper stands in the bibliography."""
    for number, cell in chapter.markdown:
        for target in links(cell.source):
            if target.startswith("http://"):
                yield number, f"{target}: use https"
            elif SCIENCE.search(target):
                yield number, f"{target}: link papers through https://doi.org or https://arxiv.org"
            elif re.match(r"https://(?:dx\.)?doi\.org/|https://arxiv\.org/", target):
                if target not in book.sources:
                    yield number, f"{target} is not in book/bibliography.md"
            elif not re.match(r"https://|mailto:|data:", target):
                yield from relative(chapter, number, target)


def relative(chapter, number, target):
    """Yield what is wrong with a link inside the book."""
    page, _, anchor = target.partition("#")
    page, _, situation = page.partition("?")
    path = (chapter.path.parent / page).resolve() if page else chapter.path
    if not path.is_file():
        yield number, f"{target}: there is no such file"
    elif situation and path.stem != "playground":
        yield number, f"{target}: only the playground takes a situation"
    elif anchor and path.suffix == ".ipynb":
        notebook = chapters.read(path) if page else chapter.notebook
        if anchor not in anchors(notebook):
            yield number, f"{target}: there is no such heading"


@rule
def figures(chapter, book):
    """A figure is told in words twice: to those who cannot see it, and below it."""
    for number, cell in chapter.code:
        if not any(key.startswith("image/") for out in cell.outputs for key in out.get("data", {})):
            continue
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        if len(alt) < 40 or " " not in alt.strip() or re.search(r"\.(?:png|svg|jpe?g)$", alt):
            yield number, "the figure needs metadata.mystnb.image.alt: a sentence of 40 characters or more"
        after = chapter.notebook.cells[number + 1:number + 2]
        if not after or after[0].cell_type != "markdown" or not re.match(r"\*{1,2}Figure\b", after[0].source):
            yield number, "the next cell must begin with a caption in words: *Figure: …*"


@rule
def solutions(chapter, book):
    """A solution is folded by each of the readers, each in its own way."""
    for number, cell in chapter.code:
        marks = {
            'tag "hide-cell"': "hide-cell" in cell.metadata.get("tags", []),
            "metadata.jupyter.source_hidden": cell.metadata.get("jupyter", {}).get("source_hidden") is True,
            'metadata.cellView "form"': cell.metadata.get("cellView") == "form",
            "#@title as first line": cell.source.startswith("#@title"),
        }
        missing = [mark for mark, present in marks.items() if not present]
        if 0 < len(missing) < len(marks):
            yield number, f"a folded cell lacks {', '.join(missing)}"


@rule
def outputs(chapter, book):
    """Outputs are those of one clean run: in order, silent, and the same on every machine."""
    counts = [cell.execution_count for _, cell in chapter.code]
    if counts != list(range(1, len(counts) + 1)):
        yield None, f"cells were not executed once each, top to bottom: {counts}"
    for number, cell in chapter.code:
        text = shown(cell)
        for output in cell.outputs:
            if output.output_type == "error" or output.get("name") == "stderr":
                yield number, f"{output.get('ename', 'stderr')} in the output"
        for kind, pattern in RESIDUE.items():
            if re.search(pattern, text):
                yield number, f"{kind} in the output: {re.search(pattern, text).group()!r}"
        if len(text.encode()) > 20_000:
            yield number, f"{len(text.encode()) // 1000} kB of text; 20 are allowed"


RESIDUE = {
    "a warning": r"\w*Warning:",
    "a progress bar": r"\r|\d+%\||\bit/s|\bs/it",
    "a path": chapters.PATHS.pattern,
    "a memory address": r"0x[0-9a-f]{8,}",
}


@rule
def code(chapter, book):
    """A cell fits the page, and keeps nothing from the tests."""
    for number, cell in chapter.code[1:]:
        lines = cell.source.splitlines()
        if len(lines) > 40:
            yield number, f"{len(lines)} lines of code; 40 are allowed"
        for line in lines:
            if len(line) > 88:
                yield number, f"a line of {len(line)} characters; 88 are allowed: {line[:40]!r}"
        if re.search(r"NBVAL_|sys\.path|PYTHONPATH", cell.source) or any(
                tag.startswith(("nbval", "raises")) for tag in cell.metadata.get("tags", [])):
            yield number, "a cell may not opt out of the checks or change where modules are found"

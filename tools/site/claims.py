"""The page of claims: every line that `claim` printed in a chapter, under a link to where it stands."""

import os
import re
from itertools import groupby

import nbformat
from docutils import nodes
from docutils.statemachine import StringList
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from mdit_py_plugins.dollarmath import dollarmath_plugin
from myst_parser.mdit_to_docutils.base import compute_unique_slug
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

CLAIM = "claim ✓ "
CALL = re.compile(r"\bclaim\(")
HEADINGS = MarkdownIt("commonmark").use(dollarmath_plugin)
logger = logging.getLogger(__name__)


class ClaimsDirective(SphinxDirective):
    """The directive `claims`: all claims of the notebooks in the table of contents."""

    def run(self):
        self.env.note_dependency(self.config.external_toc_path)
        chapters = []
        for name in self.config.external_site_map:
            docname = name.removesuffix(".ipynb")
            path = self.env.doc2path(docname)
            if path.endswith(".ipynb"):
                self.env.note_dependency(path)
                chapters.append((path, *read_chapter(path, docname)))
        here = os.path.dirname(self.env.doc2path(self.env.docname))
        text = StringList(list(markdown(chapters, here)), self.env.docname)
        # The chapters' headings, links and mathematics are left to the page's own parser, which
        # warns of a link that leads nowhere.
        self.state.nested_parse(text, 0, self.state_machine.node, match_titles=True)
        return []


def mark_claims(app, doctree):
    """Set the claims of an output apart from what else it prints: their lines wrap, a table's do not."""
    for block in list(doctree.findall(nodes.literal_block)):
        lines = block.astext().splitlines(keepends=True)
        if not any(line.startswith(CLAIM) for line in lines):
            continue
        parts = []
        for claims, group in groupby(lines, key=lambda line: line.startswith(CLAIM)):
            part = block.copy()
            part.rawsource = "".join(group)
            part += nodes.Text(part.rawsource)
            part["classes"] = [*block["classes"], "claims" if claims else "printed"]
            parts.append(part)
        block.replace_self(parts)


def read_chapter(path, docname):
    """(title, [(section, slug, claim)]) of the notebook at `path`, in the order of reading."""
    notebook = nbformat.read(path, as_version=4)
    headings, slugs, claims, called = [("", "")], set(), [], False
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            headings += headings_of(cell.source, slugs)
        elif cell.cell_type == "code":
            called = called or CALL.search(cell.source)
            claims += [(*headings[-1], claim) for claim in printed(cell)]
    if called and not claims:
        logger.warning("claims something, but has no line that begins %r: run it again", CLAIM, location=docname)
    title = headings[1][0] if len(headings) > 1 else os.path.basename(path)
    return title, claims


def headings_of(source, slugs):
    """The (text, slug) of every heading that the site gives an anchor; `slugs` holds those taken."""
    for node in SyntaxTreeNode(HEADINGS.parse(source)):
        if node.type == "heading" and node.tag in ("h1", "h2", "h3"):
            slug = compute_unique_slug(node, slugs)
            slugs.add(slug)
            yield node.children[0].content, slug


def printed(cell):
    """The claims in a code cell's output, without their mark."""
    for output in cell.outputs:
        for line in output.get("text", "").splitlines():
            if line.startswith(CLAIM):
                yield line.removeprefix(CLAIM).strip()


def markdown(chapters, here):
    """The lines of the page: a count, then for each chapter its sections and their claims."""
    count = sum(len(claims) for _, _, claims in chapters)
    checked = sum(bool(claims) for _, _, claims in chapters)
    yield f"**{plural(count, 'claim')}** in {plural(checked, 'chapter')}."
    for path, title, claims in chapters:
        if not claims:
            continue
        link = os.path.relpath(path, here).replace(os.sep, "/")
        yield from ("", f"## [{title}]({link})", "", f"{plural(len(claims), 'claim')}.")
        for (section, slug), group in groupby(claims, key=lambda claim: claim[:2]):
            yield from ("", f"### [{section}]({link}#{slug})", "")
            yield from (f"- {item(claim)}" for *_, claim in group)


def plural(count, noun):
    """'1 claim', '2 claims'."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def item(claim):
    """A claim as Markdown: its words, then the value and tolerance as code."""
    words, colon, value = claim.rpartition(": ")
    if not colon:
        words, value = value, ""
    words = re.sub(r"([\\`*_{}\[\]<>$&#|~])", r"\\\1", words)
    return f"{words}: ``{value}``" if value else words


def setup(app):
    """Called by Sphinx."""
    app.add_directive("claims", ClaimsDirective)
    app.connect("doctree-read", mark_claims)

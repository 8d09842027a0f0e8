"""The optimizer playground: a figure in which a reader asks "what if" of the library's own rules.

In a chapter, a paragraph that is only a link to the playground's page becomes the figure, opened on the situation that
the link names; elsewhere (GitHub, Jupyter, Colab) it stays a link. The situation is the link's query, as in
`playground.md?surface=rosenbrock()&rule=adam(lr=0.1)`. On the book's own pages the directive `playground` does the same.

When the site is built, the rules, schedules and surfaces are traced from `course_lib` (`generating.py`) and bundled by
esbuild with the script that draws them. The same script draws, in Node.js, the picture that a reader without JavaScript
sees. Only pages with a figure load it.
"""

import html
import inspect
import json
import subprocess
from pathlib import Path
from textwrap import dedent
from urllib.parse import unquote

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

from tools.site.mathematics import NODE
from tools.site.playground import catalogue, generating

SOURCES = Path(__file__).parent
PAGE = "playground.md?"
FIGURE = """<figure class="playground{kind}" data-situation="{query}">
<div class="pg-stage">
{still}
</div>
<figcaption>"""


class playground_figure(nodes.General, nodes.Element):
    """The figure; its children are the caption. Attributes: `query`, and `still` where it is to stay a picture."""


class PlaygroundDirective(SphinxDirective):
    """The directive `playground`: a situation, one or more lines of a query, then, behind an empty line, the caption."""

    has_content = True
    option_spec = {"still": directives.flag}

    def run(self):
        lines = list(self.content)
        blank = lines.index("") if "" in lines else len(lines)
        figure = playground_figure(query="".join(lines[:blank]), still="still" in self.options)
        self.state.nested_parse(self.content[blank:], self.content_offset + blank, figure)
        return [figure]


class TracedDirective(SphinxDirective):
    """The directive `traced`: a rule's formulas in Python, and the JavaScript that was made of them."""

    required_arguments = 1

    def run(self):
        [name] = self.arguments
        part = catalogue.RULES[name]
        python = dedent(inspect.getsource(part.make(part.settings["lr"].initial)._formula))
        listings = ("Python, in the library", python, "python"), ("JavaScript, on this page", generating.step_of(part), "javascript")
        return [node for title, code, language in listings for node in (
            nodes.paragraph("", "", nodes.emphasis("", title)), nodes.literal_block(code, code, language=language))]


def make_figures(app, doctree):
    """Turn every link to a situation into a link to the page of the playground; alone in a paragraph, into a figure."""
    for link in list(doctree.findall(addnodes.pending_xref)):
        if link.get("refdomain") is None and link["reftarget"].startswith(PAGE):
            query = unquote(link["reftarget"].removeprefix(PAGE))
            words = nodes.reference("", link.astext(), refuri=f"playground.html?{query}", internal=True)
            alone = isinstance(link.parent, nodes.paragraph) and len(link.parent) == 1
            link.replace_self(words)
            if alone:
                words.parent.replace_self(playground_figure("", nodes.paragraph("", "", words), query=query, still=False))


def bundle(app):
    """Before any page: trace the library, and make the script of the pages and that of the stills."""
    folder, static = Path(app.doctreedir) / "playground", Path(app.outdir) / "_static"
    folder.mkdir(parents=True, exist_ok=True)
    generated = folder / "generated.mjs"
    generated.write_text(generating.module(), encoding="utf-8")
    app.still = folder / "still.mjs"
    for entry, target, format in (("index", static / "playground.js", "iife"), ("still", app.still, "esm")):
        subprocess.run([NODE, SOURCES / "bundle.mjs", SOURCES / f"{entry}.mjs", target, generated, format], check=True)


def still(app, query):
    """The pictures of a situation, as SVG; RuntimeError where the query is wrong."""
    done = subprocess.run([NODE, app.still], input=json.dumps([{"query": query}]), capture_output=True, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(f"the playground cannot draw {query!r}: {done.stderr.strip()}")
    [markup] = json.loads(done.stdout)
    return markup


def open_figure(translator, node):
    """Write the figure up to its caption."""
    kind = " pg-still" if node["still"] else ""
    picture = still(translator.builder.app, node["query"])
    translator.body.append(FIGURE.format(kind=kind, query=html.escape(node["query"]), still=picture))


def close_figure(translator, node):
    """Write its end."""
    translator.body.append("</figcaption>\n</figure>\n")


def load(app, pagename, templatename, context, doctree):
    """Load the script where a figure stands that a reader can use."""
    if doctree and any(not figure["still"] for figure in doctree.findall(playground_figure)):
        app.add_js_file("playground.js", loading_method="defer")


def setup(app):
    """Called by Sphinx."""
    app.add_node(playground_figure, html=(open_figure, close_figure))
    app.add_directive("playground", PlaygroundDirective)
    app.add_directive("traced", TracedDirective)
    app.add_css_file("playground.css")
    app.connect("builder-inited", bundle)
    app.connect("doctree-read", make_figures)
    app.connect("html-page-context", load)

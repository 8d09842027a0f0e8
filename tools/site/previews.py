"""What stands at the end of a link, for the card that previews.js shows beside it.

When the pages are written, each gets a small script that holds, as HTML, a preview for every link of its article: how a
chapter or a section begins, a definition, the bibliography's entry of a paper. Browsers load it when a reader first
points at a link.
"""

import copy
import functools
import html
import json
import re
import shutil
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, NavigableString

BIBLIOGRAPHY = "book/bibliography"
LONGEST, LONGEST_SIGNATURE = 600, 200   # characters of text
OBJECTIVES = "What you will be able to do"
READING_TIME = re.compile(r"About [^.]{1,30} to read")

ARTICLE = re.compile(r"<article\b.*</article>", re.DOTALL)
LINK = re.compile(r'<a\b(?![^>]*\bheaderlink\b)[^>]*\bhref="([^"]+)"')
# Most of a page is code, which no preview shows, and formulas, which stay as they are: parsing is left the rest.
CODE = re.compile(r'<(pre|script|style|svg)\b.*?</\1>|<span class="pre">([^<]*)</span>', re.DOTALL)
FORMULA = re.compile(r"<math\b.*?</math>", re.DOTALL)
UNIQUE = re.compile(r' (?:id|href|style|tabindex)="[^"]*"')
PLACE = re.compile(r'<math value="(\d+)">.*?</math>', re.DOTALL)

BLOCKS = "section", "dt", "figure", "p", "li", "article"   # what a preview can be of
KEPT = "p", "em", "strong", "code", "sub", "sup", "ul", "ol", "li"
DROPPED = ".headerlink, .footnote-reference, .viewcode-link, button, img"


class Page:
    """The article of a page: the links in it, and the elements that a link may lead to."""

    def __init__(self, path):
        article = ARTICLE.search(path.read_text(encoding="utf-8"))[0]
        self.links = list(dict.fromkeys(html.unescape(link) for link in LINK.findall(article)))
        self.formulas = []
        prose = FORMULA.sub(self.put_aside, CODE.sub(r"\2", article))
        self.article = BeautifulSoup(prose, "html.parser").article
        self.targets = {"": self.article} | {tag["id"]: tag for tag in self.article.find_all(id=True)}

    def put_aside(self, formula):
        """Keep a formula's MathML; in its place leave its number and its characters, which count."""
        self.formulas.append(UNIQUE.sub("", formula[0]))
        return f'<math value="{len(self.formulas) - 1}">{re.sub("<[^>]*>", "", formula[0])}</math>'

    def finished(self, text):
        """The HTML with its formulas."""
        return PLACE.sub(lambda place: self.formulas[int(place[1])], text)

    @functools.cached_property
    def title(self):
        return words(self.article.h1)

    def preview(self, fragment):
        """The HTML of the card for a link to `fragment` in this page, or None."""
        block = self.targets.get(fragment)
        while block and block.name not in BLOCKS:
            block = block.parent
        return self.finished(self.card(block)) if block else None

    def card(self, block):
        """The preview of one of BLOCKS."""
        if block.name == "dt":
            return definition(block)
        if block.name == "section" and (heading := block.find(["h2", "h3", "h4"], recursive=False)):
            return titled(words(heading), opening(block), self.title)
        if block.name in ("section", "article"):
            return self.beginning
        return titled(self.title, excerpt(block.find("figcaption") or block))

    @functools.cached_property
    def beginning(self):
        """The page as a whole: its title, how long it takes, what it teaches or else how it begins."""
        time = READING_TIME.search(self.article.get_text()[:3000])
        teaches = (p for p in self.article.find_all("p") if p.get_text().startswith(OBJECTIVES))
        first = next(teaches, None)
        return titled(self.title, excerpt(first) if first else opening(self.article), time[0] if time else "")


def titled(title, text, note=""):
    """A card: a title, under it a note, then text; all three as HTML."""
    note = note and f'<p class="preview-note">{note}</p>'
    return f'<p class="preview-title">{title}</p>{note}{text}'


def definition(term):
    """A term of the glossary, or a signature of the library, and the first paragraph of what it means."""
    title, meaning = words(term), term.find_next_sibling("dd")
    if "sig" in term.get("class", ()):
        signature = " ".join(clean(term).get_text().split())
        cut = signature[:LONGEST_SIGNATURE] + "…" if len(signature) > LONGEST_SIGNATURE else signature
        title = f"<code>{html.escape(cut, quote=False)}</code>"
    return titled(title, opening(meaning) if meaning else "")


def opening(block):
    """The first paragraph of prose in `block`."""
    return next((excerpt(p) for p in block.find_all("p") if is_prose(p)), "")


def is_prose(paragraph):
    """Whether it is plain, has words besides links, and stands neither in a list, a table nor what a cell printed."""
    own = "".join(text for text in paragraph.strings if not text.find_parent("a"))
    elsewhere = paragraph.find_parent(["table", "details", "li"]) or paragraph.find_parent(class_="cell")
    return bool(own.strip()) and not paragraph.get("class") and not elsewhere


def excerpt(block):
    """`block` as a paragraph of LONGEST characters at most, with a displayed formula that ends its last sentence."""
    text = clean(block)
    whole = len(text.get_text())
    shorten(text, LONGEST)
    if len(text.get_text()) < whole:
        return f"<p>{text.decode_contents().strip()} …</p>"
    formula = block.find_next_sibling()
    goes_on = formula and is_formula(formula) and not text.get_text().rstrip().endswith((".", "!", "?"))
    after = f'<div class="math">{words(formula)}</div>' if goes_on else ""
    return f"<p>{text.decode_contents().strip()}</p>{after}"


def words(tag):
    """The HTML inside `tag`, cleaned."""
    return clean(tag).decode_contents().strip()


def clean(tag):
    """A copy of `tag` in which only text, emphasis and formulas are left: no links, names, buttons or pictures."""
    tag = copy.copy(tag)
    for dropped in tag.select(DROPPED):
        dropped.decompose()
    for child in tag.find_all(lambda child: child.name != "math"):
        if is_formula(child):
            child.attrs = {"class": "math"}
        elif child.name in KEPT:
            child.attrs = {}
        else:
            child.unwrap()
    return tag


def is_formula(tag):
    return tag.name == "math" or "math" in tag.get("class", ())


def shorten(tag, room):
    """Cut what is in `tag` after `room` characters, between two words and never in a formula; return the room left."""
    for child in list(tag.children):
        if room <= 0:
            child.extract()
        elif isinstance(child, NavigableString):
            if len(child) > room:
                child.replace_with(child[:room].rpartition(" ")[0])
            room -= len(child)
        elif is_formula(child):
            room -= len(child.get_text())
        else:
            room = shorten(child, room)
    return room


def papers_of(bibliography):
    """{address: HTML} of the bibliography's entries that have a link."""
    entries = [(entry, entry.find("a", href=re.compile("^https:"))) for entry in bibliography.article.find_all("li")]
    return {link["href"]: bibliography.finished(excerpt(entry.p or entry)) for entry, link in entries if link}


def previews_of(name, pages, papers):
    """{link: HTML} for the links in the page `name` of which there is a preview."""
    previews = {}
    for link in pages[name].links:
        url = urlsplit(link)
        if url.scheme:
            previews[link] = papers.get(link) if name != BIBLIOGRAPHY else None
        elif link != "#":
            path = normpath(join(dirname(name), unquote(url.path))).removesuffix(".html") if url.path else name
            previews[link] = pages[path].preview(unquote(url.fragment)) if path in pages else None
    return {link: preview for link, preview in previews.items() if preview}


def write_previews(app, error):
    """When the pages are written: write the previews of each into a script."""
    static = Path(app.outdir) / "_static"
    if error or app.builder.name != "html" or not static.is_dir():
        return
    shutil.rmtree(static / "previews", ignore_errors=True)
    pages = {name: Page(Path(app.builder.get_outfilename(name))) for name in app.env.all_docs}
    papers = papers_of(pages[BIBLIOGRAPHY])
    for name in pages:
        path = static / "previews" / f"{name}.js"
        path.parent.mkdir(parents=True, exist_ok=True)
        previews = json.dumps(previews_of(name, pages, papers), ensure_ascii=False, separators=(",", ":"))
        path.write_text(f"window.previews = {previews};\n", encoding="utf-8")


def setup(app):
    """Called by Sphinx."""
    app.add_css_file("previews.css")
    app.add_js_file("previews.js", loading_method="defer")
    app.connect("build-finished", write_previews)

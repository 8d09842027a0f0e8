"""What search engines and other sites are told of a page: its address, what it says, and a picture of its title."""

import html
import posixpath
import re
from pathlib import Path
from xml.sax.saxutils import escape

from docutils import nodes

from tools import stamp
from tools.site import cards

LONGEST = 160   # characters of a description; search engines cut there
LABEL = "What you will be able to do."   # begins the paragraph that says what a chapter is for
CARDS = "_images/cards"
VIEWPORT = re.compile(r'<meta name="viewport"[^>]*>\s*')
HEAD = """
<link rel="apple-touch-icon" href="{icon}">
<meta name="theme-color" media="(prefers-color-scheme: light)" content="#ffffff">
<meta name="theme-color" media="(prefers-color-scheme: dark)" content="#121212">
"""
SITE_MAP = """<?xml version="1.0" encoding="utf-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
{urls}
</urlset>
"""
# The page at the root only sends on, but it is the one that people share.
ROOT_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<meta http-equiv="Refresh" content="0; url={page}">
<link rel="canonical" href="{address}">
{tags}
</head>
<body><p><a href="{page}">{title}</a></p></body>
</html>
"""


def find_address(app, config):
    """Set the site's own address, with a slash at its end: the one that was stamped, or GitHub's for the repository."""
    repository = stamp.parse(config.html_theme_options["repository_url"])
    config.html_baseurl = f"{config.html_baseurl.rstrip('/')}/" if config.html_baseurl else stamp.pages(repository)


# ---- words

def shorten(text):
    """The text on one line; a long one is cut after a sentence or else after a word."""
    text = " ".join(text.split())
    if len(text) <= LONGEST:
        return text
    cut = text[:LONGEST].rpartition(" ")[0]
    return cut if cut.endswith(".") else cut[:LONGEST - 1].rstrip(" ,;:–—") + "…"


def description(doctree):
    """What a page is about: what a chapter says one will be able to do, or a page's first words."""
    texts = [
        paragraph.astext() for paragraph in doctree.findall(nodes.paragraph)
        if isinstance(paragraph.parent, nodes.section) and "chapter-facts" not in paragraph["classes"]
    ]
    promises = [text.removeprefix(LABEL) for text in texts if text.startswith(LABEL)]
    prose = [text for text in texts if len(text) > 60]   # not a motto, and not a link to Colab
    return shorten((promises or prose or texts or [doctree.astext()])[0])


def tags(site, address, title, about, kind, card):
    """The tags of a page: Open Graph, which most sites read, and what it leaves out."""
    properties = {
        "og:site_name": site,
        "og:type": kind,
        "og:title": title,
        "og:description": about,
        "og:url": address,
        "og:image": card,
        "og:image:width": cards.SIZE[0],
        "og:image:height": cards.SIZE[1],
        "og:image:alt": title if title == site else f"{site}. {title}",
    }
    lines = [f'<meta name="description" content="{html.escape(about)}">']
    lines += [f'<meta property="{name}" content="{html.escape(str(value))}">' for name, value in properties.items()]
    return "\n".join([*lines, '<meta name="twitter:card" content="summary_large_image">'])


def describe(app, pagename, templatename, context, doctree):
    """Put a page's tags into its head, and draw its card."""
    icon = context["pathto"]("_static/apple-touch-icon.png", 1)
    # Sphinx's own tag for the viewport stands in every page already.
    context["metatags"] = VIEWPORT.sub("", context.get("metatags", "")) + HEAD.format(icon=icon)
    if not doctree:   # the page of the search
        context["metatags"] += '<meta name="robots" content="noindex">\n'
        return
    site, base, page = app.config.html_title, app.config.html_baseurl, app.builder.get_target_uri(pagename)
    is_front = pagename == app.config.root_doc
    title = html.unescape(re.sub("<[^>]*>", "", context["title"]))
    path = Path(app.outdir, CARDS, f"{pagename}.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    cards.card(site, "" if is_front else title).save(path)
    found = tags(
        site, posixpath.join(base, page), site if is_front else title, description(doctree),
        "website" if is_front else "article", posixpath.join(base, CARDS, f"{pagename}.png"))
    context["metatags"] += f"{found}\n"
    if is_front:
        app.root_page = ROOT_PAGE.format(title=html.escape(site), page=page, address=posixpath.join(base, page), tags=found)


# ---- files

def write_files(app, error):
    """When the pages are written: the list of them for search engines, and the page at the root."""
    if error or app.builder.name != "html":
        return
    out, base = Path(app.outdir), app.config.html_baseurl
    pages = [posixpath.join(base, app.builder.get_target_uri(name)) for name in sorted(app.env.found_docs)]
    urls = "\n".join(f"<url><loc>{escape(page)}</loc></url>" for page in pages)
    (out / "sitemap.xml").write_text(SITE_MAP.format(urls=urls), encoding="utf-8")
    (out / "robots.txt").write_text(f"User-agent: *\nAllow: /\n\nSitemap: {base}sitemap.xml\n", encoding="utf-8")
    if hasattr(app, "root_page"):
        (out / "index.html").write_text(app.root_page, encoding="utf-8")


def setup(app):
    """Called by Sphinx."""
    app.connect("config-inited", find_address)
    app.connect("html-page-context", describe, priority=600)   # after Sphinx and the theme have put in theirs
    app.connect("build-finished", write_files)

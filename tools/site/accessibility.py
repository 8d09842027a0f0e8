"""The theme's pages, mended for readers who use a keyboard, a screen reader or no scripts.

What styles can do is in accessible.css, what needs a script in accessible.js; here is what stands in
the pages themselves.
"""

import re
from pathlib import Path

from tools.site.assets import pages_of

# (what the theme writes, what shall stand there); a pattern that no page has any more stops the build.
MENDS = [
    # Without scripts a page has the colours of the day; with scripts its head sets the theme before it shows.
    (r'(<html [^>]*data-theme=")auto"', r'\1light"'),
    # The book's name stands in a landmark, and the theme's own, which is empty, is none.
    (r'<header (id="pst-header"[^>]*>\s*</)header>', r"<div \1div>"),
    (r'<div (class="sidebar-primary-item">)(\s*<a class="navbar-brand.*?</a>\s*)</div>', r"<header \1\2</header>"),
    # A control is called what can be read on it.
    (r'(<button class="btn search-button-field [^>]*) title="Search" aria-label="Search"', r"\1"),
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    # What opens over the page has a name.
    (r'<dialog id="pst-search-dialog">', '<dialog id="pst-search-dialog" aria-label="Search">'),
    (r'<dialog id="pst-primary-sidebar-modal">', '<dialog id="pst-primary-sidebar-modal" aria-label="The book">'),
    (r'<dialog id="pst-secondary-sidebar-modal">', '<dialog id="pst-secondary-sidebar-modal" aria-label="This page">'),
]
EMPTY_CORNER = re.compile(r"<th(?: [^>]*)?>\s*(?:<p>\s*</p>)?\s*</th>")   # of a table: it heads nothing


def mended(html, found):
    """The page `html` with every mend; `found` collects the patterns that it had."""
    for pattern, replacement in MENDS:
        html, count = re.subn(pattern, replacement, html, flags=re.DOTALL)
        if count:
            found.add(pattern)
    return EMPTY_CORNER.sub("<td></td>", html)


def mend_pages(app, error):
    """When the pages are written: mend them all."""
    if error or app.builder.name != "html":
        return
    found = set()
    for page in pages_of(Path(app.outdir)):
        page.write_text(mended(page.read_text(encoding="utf-8"), found), encoding="utf-8")
    if missing := [pattern for pattern, _ in MENDS if pattern not in found]:
        raise ValueError(f"the theme's pages have changed, none has: {missing}")


def setup(app):
    """Called by Sphinx."""
    app.add_css_file("accessible.css")
    app.add_js_file("accessible.js", loading_method="defer")
    app.connect("build-finished", mend_pages)

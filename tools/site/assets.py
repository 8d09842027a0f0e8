"""What a page loads: one style sheet and one script, both served with the site, and pictures when they come near.

The theme's files would be twenty requests and a script of 1.5 MB of icons. Here the style sheets become one, without
the rules that no page can use; the scripts that every page runs become one, which runs after the page is read; icons
become a part of the style sheet; figures are packed more tightly; and files that nothing refers to are removed.
"""

import hashlib
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image

from tools.site.icons import icon_styles, without_icon_font
from tools.site.mathematics import NODE

STYLESHEET = re.compile(r'\s*<link [^>]*?href="([^"]*\.css)[^"]*"[^>]*>')
SCRIPT = re.compile(r'\s*<script [^>]*?src="([^"]*\.js)[^"]*"[^>]*></script>')
SETTINGS = "documentation_options.js"   # small, and what stands in the page changes it: it goes into the page
FIGURE = re.compile(r'(="[./]*_images/[\w-]+)\.png(?=")')
PICTURE = re.compile(r'<img ([^>]*?)style="width: (\d+)px; height: (\d+)px;"')
# Spans of highlighted code that the book's styles show as plain text: two thirds of a page's elements.
PLAIN = re.compile(r'<span class="(?:n|nn|nx|p|w|o)">([^<]*)</span>')
TITLE = re.compile(r'<span class="c1">#@title [^<]*</span>\n')   # Colab shows it as a heading, a page has one already
# A line does not begin with the comma behind a formula.
ENDED = re.compile(r"(<math>(?:(?!</math>).)*</math>)([,.;:!?)”’]+)")
PURGE = Path(__file__).with_name("purge.mjs")


def pages_of(site):
    """The files of the pages; the theme leaves templates among its static files."""
    return [page for page in site.rglob("*.html") if "_static" not in page.parts]


def loaded(pattern, page, text):
    """The files of this site that `pattern` finds in the page, in order."""
    return [(page.parent / urlsplit(name).path).resolve() for name in pattern.findall(text)]


def in_order(lists):
    """All that the lists hold, once, each list's order kept."""
    merged = []
    for items in lists:
        place = 0
        for item in items:
            if item in merged:
                place = merged.index(item) + 1
            else:
                merged.insert(place, item)
                place += 1
    return merged


def contents(path):
    """The text of a style sheet or script, with what it imports in its place."""
    text = path.read_text(encoding="utf-8").removeprefix("\ufeff")
    return re.sub(r'@import "([^"]+)";', lambda found: contents(path.parent / found[1]), text)


def bundle(files, target, joint="\n"):
    """Write the files, one behind the other, into one; return it."""
    text = joint.join(map(contents, files))
    text = re.sub(r"/[/*]# sourceMappingURL=.*", "", re.sub(r"@charset [^;]*;", "", text))
    target.write_text(text, encoding="utf-8")
    return target


def purge(site, styles):
    """Take out of the style sheet the rules for which no page and no script has the class, name or element."""
    subprocess.run([NODE, PURGE, site, styles], check=True)


def repack(figure):
    """Write the figure, a PNG, as WebP, which loses nothing and has four bytes in ten; remove the PNG."""
    with Image.open(figure) as image:
        image.save(figure.with_suffix(".webp"), lossless=True, method=1, quality=30)
    figure.unlink()


def named_by_content(path):
    """Rename the file so that a changed one has another name, for caches; return it."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:10]
    return path.rename(path.with_name(f"{path.stem}.{digest}{path.suffix}"))


def stand_alone(app, error):
    """When the pages are written: put in what they need, take out what they do not."""
    site, static = Path(app.outdir), Path(app.outdir) / "_static"
    if error or app.builder.name != "html" or not static.is_dir():
        return
    pages = {page: page.read_text(encoding="utf-8") for page in pages_of(site)}
    pages = {page: text for page, text in pages.items() if STYLESHEET.search(text)}   # the root only sends on
    sheets = in_order(loaded(STYLESHEET, page, text) for page, text in pages.items())
    scripts = {page: [s for s in loaded(SCRIPT, page, text) if s.name != SETTINGS] for page, text in pages.items()}
    everywhere = [script for script in in_order(scripts.values()) if all(script in own for own in scripts.values())]

    styles = bundle(sheets, static / "site.css")
    css = styles.read_text(encoding="utf-8")
    styles.write_text(without_icon_font(css) + icon_styles("".join(pages.values()), css), encoding="utf-8")
    script = bundle(everywhere, static / "site.js", joint="\n;\n")
    purge(site, styles)
    styles, script = named_by_content(styles), named_by_content(script)
    settings = (static / SETTINGS).read_text(encoding="utf-8").strip()

    with ThreadPoolExecutor() as pool:
        list(pool.map(repack, (site / "_images").glob("*.png")))
    for page, text in pages.items():
        root = "../" * len(page.relative_to(site).parent.parts)
        own = [f"{root}{path.relative_to(site)}" for path in scripts[page] if path not in everywhere]
        own = [f'<script defer src="{name}"></script>' for name in [f"{root}_static/{script.name}", *own]]
        text = SCRIPT.sub(lambda tag: f"\n<script>{settings}</script>" if SETTINGS in tag[1] else "", text)
        head = f'<link rel="stylesheet" href="{root}_static/{styles.name}">'
        text = STYLESHEET.sub("", text).replace("</head>", "\n".join([head, *own, "</head>"]), 1)
        text = FIGURE.sub(r"\1.webp", text)
        text = PICTURE.sub(r'<img \1width="\2" height="\3" loading="lazy" decoding="async"', text)
        text = ENDED.sub(r'<span class="formula-end">\1\2</span>', PLAIN.sub(r"\1", TITLE.sub("", text)))
        page.write_text(text, encoding="utf-8")
    unused = [*static.rglob("*.css"), *static.rglob("*.map"), static / SETTINGS, *everywhere]
    for path in {*unused} - {styles}:
        path.unlink()
    remove_unused(site, static)


def remove_unused(site, static):
    """Remove the theme's files that no page, style sheet or script names."""
    readers = [*pages_of(site), *site.rglob("*.css"), *site.rglob("*.js")]
    text = {path: path.read_text(encoding="utf-8") for path in readers}
    for path in [p for p in static.rglob("*") if p.is_file()]:
        if path.suffix == ".txt" or "previews" in path.parts:   # licences; data that a script names as it runs
            continue
        if not any(path.name in content for reader, content in text.items() if reader != path):
            path.unlink()
    for folder in sorted(static.rglob("*"), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def setup(app):
    """Called by Sphinx."""
    # Jupyter Book always sets it, for an extension that is not loaded here.
    app.add_config_value("comments_config", {}, "")
    app.connect("build-finished", stand_alone, priority=900)   # the theme writes files at this event, too

"""The site stands alone.

No page may ask another server for anything, or load what it does not use. So MathJax is served
with the site, icons become a small style sheet instead of a script of 1.5 MB, and files that
nothing refers to are removed.
"""

import importlib.metadata
import re
import shutil
from pathlib import Path

from tools.site.icons import icon_styles, without_icon_font

THEME_CSS = "styles/pydata-sphinx-theme.css"
MATHJAX_NOTICE = """MathJax 3.2.2, https://www.mathjax.org
Copyright The MathJax Consortium.
Licensed under the Apache License, Version 2.0: https://www.apache.org/licenses/LICENSE-2.0
"""


def pages_of(site):
    """The files of the pages; the theme leaves templates among its static files."""
    return [page for page in site.rglob("*.html") if "_static" not in page.parts]


def mathjax_files(components):
    """The files of MathJax that load `components`, as paths inside its folder."""
    yield "startup.js"
    for component in components:
        if component.startswith("[tex]/"):
            component = component.replace("[tex]", "input/tex/extensions")
        yield f"{component}.js"
        if component == "output/chtml":
            yield "output/chtml/fonts/tex.js"
            yield "output/chtml/fonts/woff-v2"


def copy_mathjax(app, static):
    """Copy what the pages load, from the wheel that carries MathJax, into the site."""
    wheel = importlib.metadata.distribution("sphinx-mathjax-offline")
    source = Path(wheel.locate_file("sphinx-mathjax-offline/static/mathjax"))
    for name in mathjax_files(app.config.mathjax3_config["loader"]["load"]):
        target = static / "mathjax" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            shutil.copytree(source / name, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(source / name, target)
    (static / "mathjax" / "NOTICE.txt").write_text(MATHJAX_NOTICE, encoding="utf-8")


def write_icons(site, static):
    """Write the icons that the pages show, and take the icon font out of the theme's style sheet."""
    theme = static / THEME_CSS
    css = theme.read_text(encoding="utf-8")
    pages = "".join(page.read_text(encoding="utf-8") for page in pages_of(site))
    (static / "icons.css").write_text(icon_styles(pages, css), encoding="utf-8")
    theme.write_text(without_icon_font(css), encoding="utf-8")


def remove_source_maps(static):
    """Remove source maps and the comments that ask a browser's debugger for them."""
    for path in [*static.rglob("*.js"), *static.rglob("*.css")]:
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"/[/*]# sourceMappingURL=.*", "", text), encoding="utf-8")
    for path in static.rglob("*.map"):
        path.unlink()


def remove_unused(site, static):
    """Remove the theme's files that no page, style sheet or script names."""
    readers = [*pages_of(site), *site.rglob("*.css"), *site.rglob("*.js")]
    text = {path: path.read_text(encoding="utf-8") for path in readers}
    for path in [p for p in static.rglob("*") if p.is_file()]:
        # MathJax puts the names of its files together while it runs.
        if "mathjax" in path.parts or path.suffix == ".txt":
            continue
        if not any(path.name in content for reader, content in text.items() if reader != path):
            path.unlink()
    for folder in sorted(static.rglob("*"), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def stand_alone(app, error):
    """When the pages are written: put in what they need, take out what they do not."""
    static = Path(app.outdir) / "_static"
    if error or app.builder.name != "html" or not static.is_dir():
        return
    copy_mathjax(app, static)
    write_icons(Path(app.outdir), static)
    remove_source_maps(static)
    remove_unused(Path(app.outdir), static)


def setup(app):
    """Called by Sphinx."""
    app.add_css_file("icons.css")
    # Jupyter Book always sets it, for an extension that is not loaded here.
    app.add_config_value("comments_config", {}, "")
    app.connect("build-finished", stand_alone)

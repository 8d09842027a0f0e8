"""How the book was run: the page that says it of all chapters, and the foot of a page that says it of one.

The foot of every page also leads to a new issue in the book's repository, with what its reader would have to look up.
"""

import os
import re
from datetime import date
from itertools import groupby
from pathlib import Path
from urllib.parse import quote, urlencode

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from benchmarks.run import file_of
from tools import chapters
from tools.site.chapter_facts import NO_BREAK, PACKAGES
from tools.site.claims import plural

PAGE = "book/executions"
REPORT = """\
**Page:** {page}
**Section:**

**What it says:**

**What it should say, or what happened when you ran it:**

**Versions:** {versions}
"""


def pins():
    """{package: version} of everything that is pinned."""
    text = "\n".join((chapters.ROOT / name).read_text(encoding="utf-8") for name in chapters.PINS)
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.M))


def machine_of(chapter):
    """A chapter's machine in words, and its Python: ('AMD EPYC, 2 cores, Linux', 'Python 3.11.7')."""
    words, _, version = chapter.run["machine"].rpartition(", Python ")
    return words, f"Python {version}"


def versions_of(chapter):
    """'Python 3.11.7', 'NumPy 2.4.6' …: what the outputs of a chapter that was run were made with."""
    pinned = pins()
    named = (PACKAGES[package] for package in chapter.packages)
    return [machine_of(chapter)[1], *(f"{name} {pinned[pin]}" for pin, name in named)]


def day(run):
    """'30 November 2026'."""
    when = date.fromisoformat(run["date"])
    return f"{when.day} {when:%B %Y}"


class ExecutionsDirective(SphinxDirective):
    """The directive `executions`: when, where, how long and with what the chapters were last run."""

    def run(self):
        book = list(self.env.chapters.values())
        pages = [self.config.external_toc_path, *(chapter.path for chapter in book)]
        for file in [*pages, file_of("notebook_time"), *(chapters.ROOT / name for name in chapters.PINS)]:
            self.env.note_dependency(str(file))
        here = os.path.dirname(self.env.doc2path(self.env.docname))
        text = StringList(list(markdown(book, pins(), here)), self.env.docname)
        page = self.state_machine.node
        self.state.nested_parse(text, 0, page, match_titles=True)
        for table in page.findall(nodes.table):
            table["classes"].append("executions")
        return []


def markdown(book, pinned, here):
    """The lines of the page: the times, machine by machine; what is not timed; the packages."""
    def link(chapter):
        topic = chapter.title.partition(":")[0]
        return f"[{topic}]({os.path.relpath(chapter.path, here).replace(os.sep, '/')})"

    timed = [chapter for chapter in book if chapter.run]
    yield from ("## When and how fast", "")
    for where, group in groupby(sorted(timed, key=machine_of), machine_of):
        group = list(group)
        group.sort(key=book.index)
        minutes, seconds = divmod(round(sum(chapter.run["seconds"] for chapter in group)), 60)
        total = f"{minutes} min {seconds} s".replace(" ", NO_BREAK)
        yield f"On {' with '.join(where)}: {plural(len(group), 'chapter')} in **{total}**."
        yield from ("", "| Chapter | Last executed | Seconds |", "|---|---|---:|")
        yield from (f"| {link(each)} | {day(each.run)} | {each.run['seconds']:.0f} |" for each in group)
        yield ""
    if len(timed) < len(book):
        yield f"Not timed since the last change: {', '.join(link(each) for each in book if not each.run)}."
    yield from ("", "## With what", "", "| Package | Version | Imported by |", "|---|---|---|")
    for package, (pin, name) in PACKAGES.items():
        users = [link(chapter) for chapter in book if package in chapter.packages]
        if users:
            few = ", ".join(users) if len(users) < 5 else f"{len(users)} chapters"
            yield f"| {name} | {pinned[pin]} | {'all' if len(users) == len(book) else few} |"


def report_link(repository, title, file, versions):
    """The address of a new issue about the page `title`, written in `file` (None: it is made by the builder)."""
    page = f"{title} (`{file}`)" if file else title
    body = REPORT.format(page=page, versions=", ".join(versions) or "(if you ran something)")
    issue = {"title": f"Error in “{title}”", "body": body}
    return f"{repository.rstrip('/')}/issues/new?{urlencode(issue, quote_via=quote)}"


def fill_foot(app, pagename, templatename, context, doctree):
    """Give the template page_foot.html what it shows."""
    env = app.env
    chapter = env.chapters.get(pagename)
    known = pagename in env.titles
    title = env.titles[pagename].astext() if known else context.get("title") or pagename
    file = Path(env.doc2path(pagename)).relative_to(app.srcdir).as_posix() if known else None
    versions = versions_of(chapter) if chapter and chapter.run else []
    if versions:
        unbroken = [version.replace(" ", NO_BREAK) for version in versions]
        context["executed"] = {"day": day(chapter.run), "seconds": round(chapter.run["seconds"]), "versions": unbroken}
        context["executions_page"] = PAGE
    repository = app.config.html_theme_options.get("repository_url")
    if repository:
        context["report_link"] = report_link(repository, title, file, versions)


def setup(app):
    """Called by Sphinx."""
    app.add_directive("executions", ExecutionsDirective)
    app.connect("html-page-context", fill_foot)

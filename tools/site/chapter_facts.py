"""What a reader wants to know of a chapter beforehand: how long it takes to read and to run, and what it holds.

Reading time is what the chapter's own card says ("About 40 minutes to read"). A test holds it against a count: 220
words a minute, half a minute for a displayed formula, a second for a line of code that is not folded. Run time is the
chapter's row of `benchmarks/results/notebook_time.json`, as long as that row is about the chapter as it stands: once
its code, the library files it loads or the pins change, it has no run time until it is measured again.
"""

import re
from dataclasses import dataclass

from docutils import nodes
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

from benchmarks import notebook_time
from benchmarks.run import file_of, result
from tools import chapters
from tools.site.claims import headings_of, plural, printed

MINUTES = re.compile(r"(\d+)\s+minutes to read")
EXERCISE = re.compile(r"""\bcheck\(["']([\w-]+)["']""")
IMPORT = re.compile(r"^\s*(?:from|import)\s.*$", re.M)
NO_BREAK = "\N{NO-BREAK SPACE}"
PACKAGES = {   # as it is imported: as it is pinned, as people call it
    "numpy": ("numpy", "NumPy"),
    "scipy": ("scipy", "SciPy"),
    "torch": ("torch", "PyTorch"),
    "torch_geometric": ("torch_geometric", "PyTorch Geometric"),
    "keras": ("keras", "Keras"),
    "tensorflow": ("tensorflow", "TensorFlow"),
    "sklearn": ("scikit-learn", "scikit-learn"),
    "skopt": ("scikit-optimize", "scikit-optimize"),
    "networkx": ("networkx", "NetworkX"),
    "matplotlib": ("matplotlib", "Matplotlib"),
}


@dataclass
class Chapter:
    """The facts of one chapter."""

    title: str
    path: str
    minutes: int | None
    exercises: int
    claims: int
    packages: list   # keys of PACKAGES
    run: dict | None   # date, machine, seconds: its last run, if it was timed since its last change


def read_chapter(path, run):
    """The facts of the notebook at `path`, with its row of run time."""
    notebook = chapters.read(path)
    card, code = notebook.cells[0].source, [cell for cell in notebook.cells if cell.cell_type == "code"]
    source = "\n".join(cell.source for cell in code)
    minutes = MINUTES.search(card)
    return Chapter(
        title=next(headings_of(card, set()))[0],
        path=path,
        minutes=int(minutes[1]) if minutes else None,
        exercises=len(set(EXERCISE.findall(source))),
        claims=sum(len(list(printed(cell))) for cell in code),
        packages=packages_of(source, notebook.metadata.get("descent", {}).get("modules", [])),
        run=run,
    )


def packages_of(source, modules):
    """The packages that a chapter's cells import, Keras with its TensorFlow; what draws the figures is the library."""
    words = set(re.findall(r"\w+", " ".join(IMPORT.findall(source))))
    if "keras" in words:
        words.add("tensorflow")
    if "course_lib/plots.py" in modules:
        words.add("matplotlib")
    return [name for name in PACKAGES if name in words]


def current_runs():
    """{chapter: row of run time}, without the rows that are about an older version of their chapter."""
    marks, rows = notebook_time.subjects(), result("notebook_time")["rows"]
    return {row["subject"]: row for row in rows if row["fingerprint"] == marks.get(row["subject"])}


def read_book(app, env, docnames):
    """Before any page: keep the facts of all chapters, {docname: Chapter} in the order of the table of contents."""
    runs, env.chapters = current_runs(), {}
    for name in app.config.external_site_map:
        docname = name.removesuffix(".ipynb")
        path = env.doc2path(docname)
        if path.endswith(".ipynb"):
            env.chapters[docname] = read_chapter(path, runs.get(docname.rpartition("/")[2]))


def facts_of(chapter):
    """'40 min to read · runs in 24 s · 6 exercises · 97 claims', a node; lines break between the facts only."""
    facts = [
        chapter.minutes and f"{chapter.minutes} min to read",
        chapter.run and f"runs in {chapter.run['seconds']:.0f} s",
        chapter.exercises and plural(chapter.exercises, "exercise"),
        chapter.claims and plural(chapter.claims, "claim"),
    ]
    text = " ".join(f"{fact} ·".replace(" ", NO_BREAK) for fact in facts if fact).rstrip(f"{NO_BREAK}·")
    return nodes.paragraph("", text, classes=["chapter-facts"])


def show_facts(app, doctree):
    """Put a chapter's facts under its title."""
    chapter = app.env.chapters.get(app.env.docname)
    if chapter:
        app.env.note_dependency(str(file_of("notebook_time")))
        title = next(doctree.findall(nodes.title))
        title.parent.insert(1, facts_of(chapter))


class ChaptersDirective(SphinxDirective):
    """The directive `chapters`: a list of all chapters, each with its question and its facts."""

    def run(self):
        self.env.note_dependency(self.config.external_toc_path)
        self.env.note_dependency(str(file_of("notebook_time")))
        items = nodes.bullet_list(classes=["chapter-list"])
        for docname, chapter in self.env.chapters.items():
            self.env.note_dependency(chapter.path)
            items += nodes.list_item("", self.heading(docname, *chapter.title.partition(":")), facts_of(chapter))
        return [items]

    def heading(self, docname, topic, *question):
        """A chapter's topic as a link, and its question."""
        link = addnodes.pending_xref(
            "", nodes.inline("", topic), refdomain="std", reftype="doc", refexplicit=True, refwarn=True,
            reftarget=f"/{docname}", refdoc=self.env.docname)
        return nodes.paragraph("", "", link, nodes.Text("".join(question)), classes=["chapter-heading"])


def setup(app):
    """Called by Sphinx."""
    app.add_directive("chapters", ChaptersDirective)
    app.connect("env-before-read-docs", read_book)
    app.connect("doctree-read", show_facts)
    app.add_css_file("chapter_facts.css")

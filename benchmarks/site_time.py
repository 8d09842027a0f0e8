"""Time to build the site from scratch into an empty folder, with the command of `make book`: quartiles of three builds.

It is measured again when what the builder is changes, or its settings, or the list of chapters; not at each word that
is written, which hardly changes the time.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.run import ROOT, fingerprint
from benchmarks.timing import quartiles
from tools import chapters

BUILDS = 3
VERSIONS = ("jupyter-book", "sphinx", "myst-nb")


def subjects():
    """The site, with a hash of its pins, its settings without the repository's address, and its chapters' names."""
    settings = (ROOT / "_config.yml").read_text(encoding="utf-8").splitlines()
    settings = [line for line in settings if "github.com/" not in line]
    names = [path.stem for path in chapters.paths()]
    return {"site": fingerprint(__file__, ["requirements-site.txt"], *settings, *names)}


def build(folder):
    """Build the site into a folder; return the seconds."""
    command = [Path(sys.executable).parent / "jupyter-book", "build", ".", "-W", "-n", "--keep-going", "--quiet"]
    start = time.perf_counter()
    subprocess.run([*command, "--path-output", folder], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - start


def measure(subject):
    """Build the site three times."""
    seconds = []
    for _ in range(BUILDS):
        with tempfile.TemporaryDirectory() as folder:
            seconds.append(build(folder))
            pages = len(list(Path(folder, "_build", "html").rglob("*.html")))
    lower, median, upper = quartiles(seconds)
    return {"seconds": median, "quartiles": [lower, median, upper], "chapters": len(chapters.paths()), "pages": pages}

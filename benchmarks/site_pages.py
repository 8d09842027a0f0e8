"""How the site's pages load on a phone: Lighthouse's scores and times, and the bytes of a chapter's first view.

Lighthouse (https://developer.chrome.com/docs/lighthouse) loads a page five times from this machine, compressed, as its
mobile setting prescribes: a slowed processor and a slow mobile network, both simulated. The median of each number is
kept. "Heaviest chapter" is the one with the longest compressed page. Scores go from 0 to 100, times are in
milliseconds, bytes are what travels until the page is at rest, pictures near the window included.

Measured again when the site's settings, styles, scripts or tools change, or the list of chapters; not at each word.
"""

import functools
import gzip
import http.server
import json
import os
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.run import ROOT, fingerprint
from tools import chapters

SITE = ROOT / "_build" / "html"
LIGHTHOUSE = ROOT / "node_modules" / "lighthouse" / "cli" / "index.js"
RUNS = 5
VERSIONS = ("jupyter-book", "sphinx-book-theme", "pydata-sphinx-theme")
FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking " \
        "--disable-component-update --disable-sync"
CATEGORIES = {"performance": "performance", "accessibility": "accessibility", "best-practices": "best_practices", "seo": "seo"}
TIMES = {"first-contentful-paint": "first_paint_ms", "largest-contentful-paint": "largest_paint_ms",
         "total-blocking-time": "blocked_ms", "speed-index": "speed_index_ms"}


def subjects():
    """The front page and the heaviest chapter, each with a hash of what makes the site."""
    parts = [*(ROOT / "tools/site").rglob("*.py"), *(ROOT / "tools/site").rglob("*.mjs"), *(ROOT / "book/_static").glob("*.*"), *(ROOT / "book/_templates").glob("*")]
    files = ["requirements-site.txt", "package-lock.json", *(path.relative_to(ROOT).as_posix() for path in parts)]
    settings = (ROOT / "_config.yml").read_text(encoding="utf-8").splitlines()
    settings = [line for line in settings if "github" not in line]
    names = [path.stem for path in chapters.paths()]
    return {name: fingerprint(__file__, files, *settings, *names) for name in ("front page", "heaviest chapter")}


def available():
    """Say whether Lighthouse, a browser and the site are here."""
    from tools.browser import browser_path

    return LIGHTHOUSE.exists() and browser_path() is not None and (SITE / "book/index.html").exists()


class Compressed(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; text travels compressed, as every host of pages sends it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Answer with the file."""
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return self.send_error(404)
        body, kind = path.read_bytes(), self.guess_type(path)
        self.send_response(200)
        if kind.startswith("text/") or kind.endswith(("javascript", "json", "xml")):
            body = gzip.compress(body)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


@contextmanager
def served(folder):
    """Serve `folder` on this machine; gives its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Compressed, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def heaviest():
    """The chapter with the longest compressed page."""
    return max((path.stem for path in chapters.paths()),
               key=lambda name: len(gzip.compress((SITE / f"book/{name}.html").read_bytes())))


def lighthouse(address):
    """One report of Lighthouse on a page."""
    from tools.browser import browser_path
    from tools.site.mathematics import NODE

    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [NODE, LIGHTHOUSE, address, "--quiet", "--output=json", f"--output-path={report}", f"--chrome-flags={FLAGS}"]
        subprocess.run(command, check=True, env={**os.environ, "CHROME_PATH": browser_path()})
        return json.loads(report.read_text(encoding="utf-8"))


def measure(subject):
    """The medians over the runs."""
    subprocess.run(["make", "--no-print-directory", "book"], cwd=ROOT, check=True, capture_output=True)
    page = "index" if subject == "front page" else heaviest()
    with served(SITE) as address:
        reports = [lighthouse(f"{address}book/{page}.html") for _ in range(RUNS)]
    scores = {ours: round(100 * median(report["categories"][name]["score"] for report in reports))
              for name, ours in CATEGORIES.items()}
    times = {ours: round(median(report["audits"][name]["numericValue"] for report in reports)) for name, ours in TIMES.items()}
    return {
        "page": page, **scores, **times,
        "layout_shift": round(median(report["audits"]["cumulative-layout-shift"]["numericValue"] for report in reports), 4),
        "kilobytes": round(median(report["audits"]["total-byte-weight"]["numericValue"] for report in reports) / 1000),
        "lighthouse": reports[0]["lighthouseVersion"],
        "browser": reports[0]["environment"]["hostUserAgent"].partition("Chrome/")[2].partition(" ")[0],
    }

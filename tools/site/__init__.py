"""What the site adds to Jupyter Book: a Sphinx extension made of small parts, one a module."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))   # others' packages are called "benchmarks", too

from tools.site import accessibility, assets, chapter_facts, claims, executions, launch, library, mathematics, playground, previews, search, security, sharing  # noqa: E402

# In the order in which they see the pages.
PARTS = library, claims, chapter_facts, executions, mathematics, playground, previews, launch, sharing, accessibility, search, assets, security


def setup(app):
    """Called by Sphinx."""
    for part in PARTS:
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

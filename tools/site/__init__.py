"""What the site adds to Jupyter Book: a Sphinx extension made of small parts, one a module."""

from tools.site import assets, claims, library

PARTS = library, claims, assets   # in the order in which they see the pages


def setup(app):
    """Called by Sphinx."""
    for part in PARTS:
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""A content-security policy in every page: it may load from its own site alone, and run no other inline script.

A static host sends no headers of ours, so the policy stands in the page, before all that it governs. What it lists by
hash is computed from the finished page; a script that is put in later, by whoever, does not run.
"""

import base64
import hashlib
import re
from pathlib import Path

from tools.site.assets import pages_of

POLICY = (
    "default-src 'none'; script-src 'self'{scripts}; style-src 'self'{styles}; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'"
)
CHARSET = re.compile(r'<meta charset="?utf-8"? ?/?>', re.IGNORECASE)
SCRIPT = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)
STYLE = re.compile(r"<style[^>]*>(.*?)</style>", re.DOTALL)


def sources(texts):
    """The texts as a policy lists them: by hash, each once."""
    digests = (hashlib.sha256(text.encode()).digest() for text in texts)
    return "".join(f" 'sha256-{base64.b64encode(digest).decode()}'" for digest in dict.fromkeys(digests))


def policy(text):
    """The policy of the page `text`."""
    return POLICY.format(scripts=sources(SCRIPT.findall(text)), styles=sources(STYLE.findall(text)))


def secured(text):
    """The page with its policy right behind the declaration of its characters; ValueError where that is missing."""
    tag = f'<meta http-equiv="Content-Security-Policy" content="{policy(text)}">'
    secured, count = CHARSET.subn(lambda charset: f"{charset[0]}\n    {tag}", text, count=1)
    if not count:
        raise ValueError("the page does not declare its characters: <meta charset=...> is missing")
    return secured


def secure(app, error):
    """When the pages are finished: write the policy into each."""
    if error or app.builder.name != "html":
        return
    for page in pages_of(Path(app.outdir)):
        text = page.read_text(encoding="utf-8")
        if "</head>" in text:
            page.write_text(secured(text), encoding="utf-8")


def setup(app):
    """Called by Sphinx."""
    app.connect("build-finished", secure, priority=990)   # nothing may change a page after this

"""Write where the book is published into every file that says so.

    python tools/stamp.py REPO=owner/name SITE=https://book.example.org HUB=https://hub.example.edu

REPO is the repository; its address stands in `_config.yml`, and from there it is replaced wherever else it occurs. SITE
is the address of the site where it is not GitHub's own, HUB a JupyterHub that every chapter links to; both stand in
`_config.yml` alone, and an empty one is taken out. Bytes that are not part of an address stay as they are, so outputs
remain current. Standard library only: it runs before anything is installed.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACEHOLDER = "your--account/descent"   # no account name has two hyphens in a row, so nobody can own this one
OWNER = r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}"
NAME = r"(?!\.{1,2}$)[A-Za-z0-9_.-]{1,100}"
INSTALL = """\
import importlib.util, os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")   # TensorFlow: no start-up noise
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
if importlib.util.find_spec("course_lib") is None:    # on Colab, or outside the repository
    %pip install --quiet {package}"""
PACKAGE = "https://github.com/{repository}/archive/refs/heads/main.zip"
COLAB = "https://colab.research.google.com/github/{repository}/blob/main/book/{chapter}.ipynb"
OPTIONS = {"SITE": "baseurl", "HUB": "jupyterhub_url"}   # the lines of `_config.yml` that they fill


def install_cell(chapter, repository, root=ROOT):
    """Return the first code cell of a chapter; one that needs more than Colab has names an extra of its own."""
    extras = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    package = PACKAGE.format(repository=repository)
    return INSTALL.format(package=f'"course_lib[{chapter}] @ {package}"' if chapter in extras else package)


def parse(text):
    """Return "owner/name" from that form or from a full https address; raise ValueError saying what is wrong."""
    short = re.sub(r"^https://github\.com/|/$", "", text.strip())
    short = re.sub(r"\.git$", "", short)
    if short != PLACEHOLDER and not re.fullmatch(f"{OWNER}/{NAME}", short):
        raise ValueError(f"REPO={text!r} is not a repository: give owner/name or https://github.com/owner/name")
    return short


def parse_address(text, what):
    """Return an https address without a slash at its end, or nothing; raise ValueError saying what is wrong."""
    address = text.strip().rstrip("/")
    if address and not re.fullmatch(r"https://[\w.-]+(?::\d+)?(?:/[\w.~-]+)*", address):
        raise ValueError(f"{what}={text!r} is not an address of the form https://host or https://host/path")
    return address


def pages(repository):
    """Return the address at which GitHub Pages serves a repository, with a slash at its end."""
    owner, name = repository.lower().split("/")[0], repository.split("/")[1]
    host = f"{owner}.github.io"
    return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"


def stamped(root=ROOT):
    """Return the "owner/name" that `_config.yml` carries."""
    config = (root / "_config.yml").read_text(encoding="utf-8")
    found = re.search(r"https://github\.com/([\w.-]+/[\w.-]+)", config)
    if found is None:
        raise ValueError("_config.yml carries no address of the form https://github.com/owner/name")
    return parse(found.group(1))


def carriers(root=ROOT):
    """Return the files that may carry the address."""
    single = ["_config.yml", "pyproject.toml", "CITATION.cff", "README.md", "CONTRIBUTING.md"]
    pages = [path for ending in ("ipynb", "md") for path in sorted((root / "book").rglob(f"*.{ending}"))]
    return [root / name for name in single if (root / name).is_file()] + pages


def replace(text, old, new):
    """Return `text` with the repository `old` replaced by `new`, and no longer name that begins like it."""
    pattern = rf"(github\.com/|/github/){re.escape(old)}(?![\w-]|\.(?!git\b)\w)"
    return re.sub(pattern, lambda match: match.group(1) + new, text)


def stamp(new, root=ROOT):
    """Put the repository `new` in place of the present one; return the files that changed."""
    old, changed = stamped(root), []
    for path in carriers(root):
        before = path.read_bytes().decode("utf-8")
        after = replace(before, old, new)
        if after != before:
            path.write_bytes(after.encode("utf-8"))
            changed.append(path.relative_to(root).as_posix())
    return changed


def set_option(name, address, root=ROOT):
    """Write the address that an option names into its line of `_config.yml`; return the files that changed."""
    path = root / "_config.yml"
    before = path.read_bytes().decode("utf-8")
    after, found = re.subn(rf'^(\s+{OPTIONS[name]}:) "[^"\n]*"', rf'\1 "{address}"', before, flags=re.M)
    if found != 1:
        raise ValueError(f"_config.yml has {found} lines {OPTIONS[name]}: \"…\", not one")
    path.write_bytes(after.encode("utf-8"))
    return [path.name] if after != before else []


def main(arguments, root=ROOT):
    """Write what the arguments, each NAME=value, say; return the files that changed."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    if not given or not given.keys() <= {"REPO", *OPTIONS}:
        raise ValueError("give REPO=owner/name, SITE=https://… or HUB=https://…")
    repository = parse(given["REPO"]) if "REPO" in given else None
    addresses = {name: parse_address(given[name], name) for name in OPTIONS if name in given}
    changed = stamp(repository, root) if repository else []
    for name, address in addresses.items():
        changed += set_option(name, address, root)
    return list(dict.fromkeys(changed))


if __name__ == "__main__":
    try:
        changed = main(sys.argv[1:])
    except ValueError as error:
        sys.exit(str(error))
    print("\n".join(changed) or "nothing to change")

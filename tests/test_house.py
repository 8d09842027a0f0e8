"""The rules of the house: what may import what, one address, one set of pins, and nothing of anybody's machine."""

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tools import chapters, stamp

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = sorted((ROOT / "course_lib").rglob("*.py"))
FRAMEWORKS = {"torch", "tensorflow", "keras", "jax", "sklearn"}
NOTEBOOKS = chapters.paths()
PINS = ("requirements.txt", "requirements-bench.txt")


def imports(source):
    """Return the modules and names that Python source imports, as dotted paths, wherever the statement stands."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names}
    return found


def code_of(path):
    """Return the Python of a chapter, without the lines that only IPython understands."""
    cells = [cell.source for cell in chapters.read(path).cells if cell.cell_type == "code"]
    return "\n".join(re.sub(r"^(\s*)[%!].*$", r"\1pass", cell, flags=re.M) for cell in cells)


def committed():
    """Return the text files that are, or could be, committed."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0:
        files = [ROOT / name for name in listed.stdout.splitlines()]
    else:   # a downloaded archive
        files = [file for file in ROOT.rglob("*") if not {".venv", "_build", "node_modules"} & set(file.parts)]
    return [file for file in files if file.is_file() and b"\0" not in file.read_bytes()[:4096]]


# ---- the library

@pytest.mark.parametrize("file", LIBRARY, ids=lambda file: str(file.relative_to(ROOT)))
def test_file_has_a_readable_length(file):
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= 250 and (lines >= 30 or file.name == "__init__.py"), f"{lines} lines; 30 to 250 are allowed"


@pytest.mark.parametrize("file", LIBRARY, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_keep_to_the_plan(file):
    inside = file.relative_to(ROOT / "course_lib").with_suffix("").parts
    used = imports(file.read_text(encoding="utf-8"))
    words = {word for name in used for word in name.split(".")}
    if inside != ("tuning", "local_processes"):   # it sends functions to processes
        assert not words & {"pickle", "cloudpickle", "joblib"}, "files are JSON, npz, safetensors or Keras's own"
    if file.name != "__init__.py" or len(inside) > 1:
        local = {name for name in used if name.startswith((".", "course_lib"))}
        assert not [name for name in local if "plots" in name.split(".")] or inside[0] == "plots", "for notebooks alone"
    if inside[0] in ("objectives", "schedules", "update_rules"):
        assert not {name.split(".")[0] for name in used} & FRAMEWORKS, "mathematics imports no framework"


def test_import_loads_nothing_heavy():
    program = "import course_lib, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not set(loaded.stdout.split()) & (FRAMEWORKS | {"matplotlib", "scipy"})


def test_no_module_bears_the_name_of_a_public_name():
    names = set(importlib.import_module("course_lib").__all__)
    callables = {name for name in names if not hasattr(getattr(importlib.import_module("course_lib"), name), "__path__")
                 and not isinstance(getattr(importlib.import_module("course_lib"), name), type(sys))}
    modules = {file.stem for file in LIBRARY} | {file.parent.name for file in LIBRARY}
    assert not callables & modules


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_chapter_imports_public_names(path):
    for name in sorted(imports(code_of(path))):
        module, _, attribute = name.rpartition(".")
        if module.partition(".")[0] == "course_lib":
            public = importlib.import_module(module).__all__
            assert attribute in public or attribute == "*", f"{path.name} imports {name}, which is not in __all__"


# ---- pins

def pinned(name):
    """Yield the requirements of a pins file and of the files that it includes."""
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        line = line.split("#")[0].strip()
        if line.startswith("-r "):
            yield from pinned(line[3:].strip())
        elif line:
            yield Requirement(line)


def is_here(name):
    """Say whether a package is installed; only those of the benchmarks may be missing."""
    try:
        return bool(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        assert canonicalize_name(name) not in {canonicalize_name(pin.name) for pin in pinned("requirements.txt")}, name
        return False


def needs(name):
    """Return the requirements of an installed package."""
    return importlib.metadata.requires(name) or [] if is_here(name) else []


def applies(requirement):
    """Say whether a requirement is meant for this machine."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


@pytest.mark.parametrize("pins", PINS)
def test_each_package_is_pinned_once_and_exactly(pins):
    names = []
    for requirement in pinned(pins):
        assert re.fullmatch(r"==[\w.!+]+", str(requirement.specifier)), f"{requirement} is not an exact pin"
        names.append(canonicalize_name(requirement.name))
    twice = sorted({name for name in names if names.count(name) > 1})
    assert not twice, f"pinned twice: {twice}"


@pytest.mark.parametrize("pins", PINS)
def test_pins_are_complete(pins):
    names = {canonicalize_name(requirement.name) for requirement in pinned(pins) if applies(requirement)}
    missing = set()
    for name in names:
        for text in needs(name):
            needed = Requirement(text)
            by_torch = name == "torch" and canonicalize_name(needed.name) not in names   # CUDA: pinned by torch itself
            if applies(needed) and canonicalize_name(needed.name) not in names and not by_torch:
                missing.add(f"{needed.name} (for {name})")
    assert not missing, f"{pins} does not pin {sorted(missing)}"


@pytest.mark.parametrize("pins", PINS)
def test_pins_satisfy_the_package_and_the_oldest_python(pins):
    versions = {canonicalize_name(pin.name): str(pin.specifier)[2:] for pin in pinned(pins)}
    for text in importlib.metadata.requires("course_lib"):
        bound = Requirement(text)
        if bound.name != "course_lib":
            assert versions[canonicalize_name(bound.name)] in bound.specifier, f"the pin of {bound.name} breaks {bound}"
    for pin in pinned(pins):
        if applies(pin) and is_here(pin.name):
            allowed = importlib.metadata.metadata(pin.name).get("Requires-Python") or ""
            assert "3.11.0" in SpecifierSet(allowed), f"{pin} needs Python {allowed}; Debian 12 has 3.11.2"


# ---- the repository

def test_one_address_everywhere():
    repository = stamp.stamped(ROOT)
    for name in ("pyproject.toml", "CITATION.cff"):
        assert f"https://github.com/{repository}" in (ROOT / name).read_text(encoding="utf-8"), name
    for file in stamp.carriers(ROOT):
        text = file.read_text(encoding="utf-8")
        others = set(re.findall(r"(?:colab\.research\.google\.com/github/|github\.com/)([\w.-]+/descent)\b", text))
        others |= {stamp.PLACEHOLDER} if stamp.PLACEHOLDER in text else set()
        assert others <= {repository}, f"{file.name} carries {others}; _config.yml says {repository}: run make stamp"


def test_stamping_there_and_back_changes_nothing(tmp_path):
    (tmp_path / "book").mkdir()
    before = {}
    for file in stamp.carriers(ROOT):
        copy = tmp_path / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
        before[copy] = file.read_bytes()
    here = stamp.stamped(tmp_path)
    changed = stamp.stamp(stamp.parse("https://github.com/some-one/a.book.git"), tmp_path)
    assert {"_config.yml", *(path.relative_to(ROOT).as_posix() for path in NOTEBOOKS)} <= set(changed)
    for path in NOTEBOOKS:
        copy = chapters.read(tmp_path / path.relative_to(ROOT))
        assert chapters.is_current(copy) == chapters.is_current(chapters.read(path)), "the address is in the digest"
    assert stamp.stamp("some-one/a.book", tmp_path) == []
    stamp.stamp(here, tmp_path)
    assert all(copy.read_bytes() == content for copy, content in before.items())


@pytest.mark.parametrize("wrong", ["", "name", "a/b/c", "-a/b", "a--b/c", "a/..", "http://github.com/a/b", "a b/c"])
def test_a_wrong_address_is_refused(wrong):
    with pytest.raises(ValueError, match="owner/name"):
        stamp.parse(wrong)


def test_options_are_stamped_and_taken_out(tmp_path):
    config = tmp_path / "_config.yml"
    config.write_bytes((ROOT / "_config.yml").read_bytes())
    hub, site = "https://hub.example.edu/jupyter", "https://book.example.org"
    assert stamp.main([f"HUB={hub}/", f"SITE={site}", "REPO=some-one/a.book"], tmp_path) == ["_config.yml"]
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    assert settings["launch_buttons"]["jupyterhub_url"] == hub
    assert settings["html"]["baseurl"] == site
    assert settings["repository"]["url"] == "https://github.com/some-one/a.book"
    stamp.main(["HUB=", "SITE=", f"REPO={stamp.stamped()}"], tmp_path)
    assert config.read_bytes() == (ROOT / "_config.yml").read_bytes()


@pytest.mark.parametrize("wrong", ["", "OWNER=x", "HUB=hub", "HUB=http://hub.example.edu", 'SITE=https://a.b/"', "SITE=https://a b"])
def test_a_wrong_option_is_refused(tmp_path, wrong):
    (tmp_path / "_config.yml").write_bytes((ROOT / "_config.yml").read_bytes())
    with pytest.raises(ValueError, match="https://"):
        stamp.main([wrong] if wrong else [], tmp_path)


def test_the_table_of_contents_lists_every_chapter():
    listed = re.findall(r"(?:file|root):\s*(\S+)", yaml.dump(yaml.safe_load((ROOT / "_toc.yml").read_text())))
    for entry in listed:
        assert any((ROOT / f"{entry}{ending}").is_file() for ending in ("", ".md", ".ipynb")), f"{entry} is missing"
    stems = {entry.removesuffix(".ipynb").removesuffix(".md") for entry in listed}
    for path in NOTEBOOKS:
        assert path.relative_to(ROOT).with_suffix("").as_posix() in stems, f"_toc.yml leaves out {path.name}"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_named_commands_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = set(re.findall(r"\bmake ([a-z]+)", " ".join(re.findall(r"```.*?```|`[^`]+`", text, re.S))))
    assert named <= targets, f"{page} names {named - targets}"


def test_nothing_of_anybodys_machine():
    places = re.compile(r"/(?:work|tmp|root)/|/home/\w|/Users/\w"
                        r"|(?:pypi|pythonhosted|npmjs|debian|ubuntu|anaconda)\.(?:org|com)")
    index = re.compile(r"download\.pytorch\.org")   # the smaller builds without CUDA: told once, used by hosted CI
    for file in committed():
        text = file.read_text(encoding="utf-8", errors="ignore")
        name = file.relative_to(ROOT).as_posix()
        if "_static" in name:   # files of others, served as they are
            continue
        assert not places.search(text), f"{name} mentions {places.search(text).group()}"
        assert name in ("README.md", ".github/workflows/book.yml") or not index.search(text), f"{name} names an index"

"""The site's search: an index of every section and of everything that has a definition, each under its own link.

Sphinx's own index knows words and pages. It knows no formula, and it reads whole pages again to show a line of them.
Here an entry is a section, a row of a table of symbols, a term of the glossary or a name of the library, with the text
it is found by; formulas are written in Unicode, as a reader types them. `book/_static/search.js` reads the index.
"""

import json
import re
import unicodedata
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

import course_lib

GREEK = ("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho varsigma sigma tau "
         "upsilon phi chi psi omega").split()
LETTERS = {
    "varepsilon": "ε", "varphi": "φ", "nabla": "∇", "star": "⋆", "infty": "∞", "top": "ᵀ", "ell": "ℓ", "partial": "∂",
    "sum": "∑", "prod": "∏", "int": "∫", "cdot": "·", "times": "×", "pm": "±", "le": "≤", "ge": "≥", "ne": "≠",
    "ll": "≪", "gg": "≫", "approx": "≈", "sim": "∼", "propto": "∝", "in": "∈", "to": "→", "leftarrow": "←",
    "dots": "…", "cdots": "…", "vdots": "…", "lVert": "‖", "rVert": "‖", "lvert": "|", "rvert": "|", "lfloor": "⌊",
    "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉",
}
LETTERS |= {name: chr(ord("α") + i) for i, name in enumerate(GREEK)}
LETTERS |= {name.title(): chr(ord("Α") + i) for i, name in enumerate(GREEK)}
LETTERS |= {name: f" {name} " for name in ("log", "ln", "exp", "min", "max", "cos", "sin", "tanh", "cosh", "det")}
LETTERS |= {space: " " for space in (",", ";", " ", "\\", "quad", "qquad")}
ACCENTS = {"hat": "\u0302", "bar": "\u0304", "dot": "\u0307"}
SCRIPTS = {
    "_": dict(zip("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")),
    "^": dict(zip("0123456789+-=()abcdefghijklmnoprstuvwxyzᵀ", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᵀ")),
}
TOKEN = re.compile(r"\\(?:[A-Za-z]+|.)|.", re.DOTALL)
SIMPLE = re.compile(r"\d+|\w[\u0302-\u0307\u2080-\u209c\u1d62-\u1d6a\u2c7c⁰¹²³⁴-ⁿ]*")
# A name that is no word of English, as weight_decay, np.argmin and TorchOptimizer.
CODE_NAME = re.compile(r"\b(?=\w*(?:[a-z][A-Z]|[a-z]\d|_\w|\.[^\W\d]))[^\W\d][\w.]*\w")
APART = nodes.section, addnodes.desc, addnodes.glossary   # what stands in them has entries of its own
SKIPPED = (*APART, nodes.raw, nodes.comment, nodes.image, nodes.literal_block, nodes.doctest_block, nodes.field_list)
OWN_CLASSES = {"cell_output", "chapter-facts", "symbol"}


# ---- Formulas


def in_unicode(tex):
    r"""A formula as a line of text: `\beta_1` is β₁, and `\frac{\eta}{1-\beta}` is η/(1−β)."""
    tex = re.sub(r"\\(begin|end)\{\w+\*?\}|&", " ", tex)
    text = group(TOKEN.findall(tex)[::-1])
    return unicodedata.normalize("NFC", " ".join(text.split()))


def group(tokens):
    """The text of the tokens up to the brace that closes the group; they are taken from the end of the list."""
    text = ""
    while tokens and tokens[-1] != "}":
        text += piece(tokens)
    del tokens[-1:]
    return text


def piece(tokens):
    """The text of the next token and of the arguments that belong to it."""
    token = tokens.pop()
    name = token[1:]
    if token == "{":
        return group(tokens)
    if token in SCRIPTS:
        return script(token, argument(tokens))
    if name in ("frac", "tfrac"):
        return f"{bracketed(argument(tokens))}/{bracketed(argument(tokens))}"
    if name == "sqrt":
        return "√" + bracketed(argument(tokens))
    if name in ACCENTS:
        return argument(tokens) + ACCENTS[name]
    if name:   # of \text, \mathrm and their like, which are not listed, the argument is left
        return LETTERS.get(name, "" if name.isalpha() else name)
    return {"-": "−", "'": "′"}.get(token, token)


def argument(tokens):
    """The text of the next piece that is no space."""
    while tokens and tokens[-1].isspace():
        tokens.pop()
    return piece(tokens).strip() if tokens else ""


def bracketed(text):
    """The text, in brackets unless it is a number or a letter with its accents and indices."""
    return text if SIMPLE.fullmatch(text) else f"({text})"


def script(mark, text):
    """The text lowered or raised, as far as Unicode has the letters."""
    letters = SCRIPTS[mark]
    text = text.replace("−", "-")
    if set(text) <= set(letters):
        return "".join(letters[letter] for letter in text)
    return text if len(text) == 1 and not text.isalnum() else mark + bracketed(text)


# ---- What stands in a page


def prose(node):
    """The text of a node as one line, formulas in Unicode, without code in blocks and what has an entry of its own."""
    return unicodedata.normalize("NFC", " ".join("".join(pieces(node)).split()))


def pieces(node):
    """The pieces of text of a node; a block ends with a space."""
    if isinstance(node, (nodes.math, nodes.math_block)):
        yield f" {in_unicode(node.astext())} " if isinstance(node, nodes.math_block) else in_unicode(node.astext())
    elif isinstance(node, nodes.Text):
        yield node.astext()
    else:
        for child in node.children:
            if not isinstance(child, SKIPPED) and not is_apart(child):
                yield from pieces(child)
        if not isinstance(node, nodes.Inline):
            yield " "


def is_apart(node):
    """Whether the node is what a cell prints, a heading, a chapter's facts, or a row that has an entry of its own."""
    if isinstance(node, nodes.title):
        return isinstance(node.parent, nodes.section)
    return isinstance(node, nodes.Element) and not OWN_CLASSES.isdisjoint(node["classes"])


def code_names(node):
    """The names in the code of a section, each once, as the keys of a dictionary."""
    if isinstance(node, nodes.literal_block):
        return dict.fromkeys(CODE_NAME.findall(node.astext()))
    inside = (child for child in node.children if not isinstance(child, APART) and not is_apart(child))
    return {name: None for child in inside for name in code_names(child)}


def mark_symbols(app, doctree):
    """Give each row of a table of symbols an anchor, made of its section and its first symbol."""
    for table in doctree.findall(nodes.table):
        head = table.next_node(nodes.thead)
        if head is None or head.next_node(nodes.entry).astext() != "symbol":
            continue
        section = next(parent for parent in ancestors(table) if isinstance(parent, nodes.section))
        for row in table.next_node(nodes.tbody).children:
            tex = row.next_node(nodes.math).astext().replace("'", "prime")
            name = f"{section['ids'][0]}-{'-'.join(re.findall(r'[A-Za-z0-9]+', tex))}"
            while name in doctree.ids:
                name += "-again"
            row["ids"].append(name)
            row["classes"].append("symbol")
            doctree.ids[name] = row


def ancestors(node):
    """The nodes around a node, from the inside."""
    while node := node.parent:
        yield node


# ---- The index


def entries_of(page, doctree):
    """The entries of a page in the order of the page; what is defined has `names`."""
    title = doctree.next_node(nodes.title)
    for node in doctree.findall(nodes.Element):
        if isinstance(node, nodes.section):
            heading = prose(node.next_node(nodes.title))
            top = node.parent is doctree
            yield {"id": "" if top else node["ids"][0], "title": heading, "where": "" if top else prose(title),
                   "text": prose(node), "code": " ".join(code_names(node))}
        elif "symbol" in node["classes"] and isinstance(node, nodes.row):
            yield symbol(node, prose(title))
        elif isinstance(node, nodes.term) and node["ids"]:
            name = prose(node)
            yield {"id": node["ids"][0], "title": name, "where": prose(title), "names": [name],
                   "text": prose(node.parent[-1])}
        elif isinstance(node, addnodes.desc):
            yield from library_name(node)


def symbol(row, page):
    """The entry of a row of a table of symbols: symbol, meaning and, if it has one, name in code."""
    symbols, meaning, *others = row.children
    section = next(parent for parent in ancestors(row) if isinstance(parent, nodes.section))
    code = [node.astext() for cell in others for node in cell.findall(nodes.literal)]
    names = [in_unicode(node.astext()) for node in symbols.findall(nodes.math)]
    names += [name.replace(" ", "") for name in names if " " in name] + code
    short = re.sub(r"^(the|a|an|its) |[:;,(].*", "", prose(meaning))   # "the learning rate" is a name as well
    if len(short.split()) <= 4:
        names.append(short)
    return {"id": row["ids"][0], "title": prose(symbols), "where": f"{page}: {prose(section[0])}", "names": names,
            "text": prose(meaning), "code": ", ".join(code)}


def library_name(desc):
    """The entry of a name of the library, under the name that a chapter calls it by."""
    for signature in desc.findall(addnodes.desc_signature):
        if signature.parent is not desc or not signature["ids"]:
            continue
        name, module = signature["fullname"], signature["module"]
        names = [name, f"{module}.{name}"]
        if name.partition(".")[0] in course_lib.__all__:
            names.append(f"course_lib.{name}")
        if "." in name:
            names.append(name.rpartition(".")[2])
        yield {"id": signature["ids"][0], "title": name, "where": f"{desc['objtype']} of {module}", "names": names,
               "text": prose(desc[-1]), "code": signature_of(signature)}


def signature_of(signature):
    """The parameters as they are written, "(lr, beta=0.9)"; of a class whose base is mocked there is nothing to tell."""
    parameters = signature.next_node(addnodes.desc_parameterlist)
    text = parameters.astext() if parameters else ""
    return "" if "*args" in text else text


def write_index(app, error):
    """When the pages are written: write the index."""
    static = Path(app.outdir) / "_static"
    if error or app.builder.name != "html" or not static.is_dir():
        return
    index = []
    for page in app.config.external_site_map:
        page = re.sub(r"\.(ipynb|md)$", "", page)
        url = app.builder.get_target_uri(page)
        index += ({"page": url} | entry for entry in entries_of(page, app.env.get_doctree(page)))
    text = json.dumps(index, ensure_ascii=False, separators=(",", ":"))
    (static / "search_index.js").write_text(f"searchIndex({text});\n", encoding="utf-8")
    for script in ("searchtools.js", "language_data.js"):   # Sphinx's; they name each other
        (static / script).unlink(missing_ok=True)


def no_other_index(app):
    """Sphinx's own index and its page are not made; the page is ours."""
    app.builder.search = False


def search_page(app):
    """The page of results."""
    return [("search", {}, "search.html")]


def setup(app):
    """Called by Sphinx."""
    app.add_js_file("search.js")
    app.add_css_file("search.css")
    app.connect("builder-inited", no_other_index)
    app.connect("doctree-read", mark_symbols)
    app.connect("html-collect-pages", search_page)
    app.connect("build-finished", write_index)

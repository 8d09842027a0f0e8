"""The buttons above a page: where a chapter runs, what can be downloaded, and the form for a university's JupyterHub.

The theme makes the menu of Colab and Binder. A JupyterHub has an address that only its readers know: unless one is set
for all of them, the menu leads to the form, which makes nbgitpuller's link. (The theme's template for the buttons is
replaced by `book/_templates/article-header-buttons.html`.)
"""

import html
from urllib.parse import urlencode

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

GUIDE = "book/using_this_book"
ANCHOR = "jupyterhub"
ORDER = "Colab", "Binder", "JupyterHub"   # from the least to do to the most
EXAMPLE = "https://hub.example.edu"
PRINT = {"type": "print", "icon": "fas fa-print", "tooltip": "Print, or save as PDF"}
FORM = """<form class="hub-form" data-link="{link}" novalidate hidden>
<p><label for="hub-address">Address of your hub</label>
<input id="hub-address" type="url" autocomplete="url" spellcheck="false" placeholder="{hub}" aria-describedby="hub-error">
<span id="hub-error" class="hub-error" role="alert"></span></p>
<p><label for="hub-chapter">Chapter</label>
<select id="hub-chapter">
{options}
</select></p>
<p><button type="submit">Make the link</button></p>
<p class="hub-result" role="status"></p>
</form>
<p>By hand: put the address of your hub in place of <code>{hub}</code>, and in place of <code>{chapter}</code> the name of the
chapter as it stands in the address of its page.</p>
<pre class="hub-example"><code>{example}</code></pre>
"""


class hub_form(nodes.General, nodes.Element):
    """The place of the form; it is written when the titles of all chapters are known."""


class HubDirective(SphinxDirective):
    """The directive `hub`: the form that makes a link to a chapter on a JupyterHub."""

    def run(self):
        return [hub_form()]


def link(repository, branch, hub="{hub}", chapter="{chapter}"):
    """nbgitpuller's link, which fetches the repository into a hub and opens a chapter there."""
    folder = repository.rpartition("/")[2]
    query = urlencode(
        {"repo": repository, "urlpath": f"lab/tree/{folder}/book/{chapter}.ipynb", "branch": branch}, safe="/:{}")
    return f"{hub}/hub/user-redirect/git-pull?{query}"


def write_form(translator, node):
    """Write the form, with every chapter of the book in its list."""
    env, theme = translator.builder.env, translator.config.html_theme_options
    where = theme["repository_url"], theme["repository_branch"]
    pages = [name.removesuffix(".ipynb") for name in translator.config.external_site_map]
    titles = {
        page.rpartition("/")[2]: env.titles[page].astext() for page in pages if str(env.doc2path(page)).endswith(".ipynb")}
    options = [f'<option value="{name}">{html.escape(title)}</option>' for name, title in titles.items()]
    translator.body.append(FORM.format(
        hub=EXAMPLE, link=html.escape(link(*where)), options="\n".join(options), chapter=next(iter(titles)),
        example=html.escape(link(*where, EXAMPLE, next(iter(titles))))))
    raise nodes.SkipNode


def add_buttons(app, pagename, templatename, context, doctree):
    """Complete the list of buttons above a page, and load on a page the scripts that it needs."""
    buttons = context["header_buttons"]
    for menu in buttons:
        if menu.get("label") == "launch-buttons" and "JupyterHub" not in [entry["text"] for entry in menu["buttons"]]:
            address = context["pathto"](GUIDE) + f"?chapter={pagename.rpartition('/')[2]}#{ANCHOR}"
            icon = "_static/images/logo_jupyterhub.svg"
            menu["buttons"].append({"type": "link", "text": "JupyterHub", "icon": icon, "url": address})
            menu["buttons"].sort(key=lambda entry: ORDER.index(entry["text"]) if entry["text"] in ORDER else len(ORDER))
    if doctree and context.get("page_source_suffix") == ".ipynb":
        name = context["sourcename"]
        notebook = {
            "type": "link", "text": "Notebook (.ipynb)", "icon": "fas fa-file-code",
            "url": context["pathto"](f"_sources/{name}", 1), "download": name.rpartition("/")[2],
        }
        entries = [notebook, {**PRINT, "text": PRINT["tooltip"]}]
        buttons.append({
            "type": "group", "label": "download-buttons", "icon": "fas fa-download", "tooltip": "Download this chapter",
            "buttons": entries})
    elif doctree:
        buttons.append(PRINT)
    if pagename == GUIDE:
        app.add_js_file("hub.js", loading_method="defer")
        app.add_css_file("hub.css")


def setup(app):
    """Called by Sphinx."""
    app.add_directive("hub", HubDirective)
    app.add_node(hub_form, html=(write_form, None))
    app.add_js_file("print.js", loading_method="defer")
    app.connect("html-page-context", add_buttons, priority=502)   # after the theme, which adds its buttons at 501

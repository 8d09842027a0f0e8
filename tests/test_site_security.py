"""The policy in every page: it names no other server, and what the page itself runs is listed by hash."""

import base64
import hashlib
import re

import pytest
from built_site import PAGES, html_of, site  # noqa: F401 (a fixture)
from site_browser import address, browser  # noqa: F401 (fixtures)

from tools.site.security import secured

ALL = [*PAGES, "search.html", "index.html"]
HASH = r"'sha256-[A-Za-z0-9+/]{43}='"


def policy_of(page):
    """{directive: [source]} of a parsed page."""
    tag = page.find("meta", attrs={"http-equiv": "Content-Security-Policy"})
    return {name: sources for name, *sources in (part.split() for part in tag["content"].split(";"))}


def by_hash(text):
    """How a policy names an inline script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@pytest.mark.parametrize("name", ALL)
def test_policy_names_no_other_server(site, name):
    policy = policy_of(html_of(site / name))
    assert policy["default-src"] == ["'none'"] and policy["base-uri"] == ["'none'"]
    assert "'self'" in policy["script-src"]
    for directive, sources in policy.items():
        wrong = [each for each in sources if not re.fullmatch(rf"'self'|'none'|{HASH}", each)]
        assert wrong == (["data:"] if directive == "img-src" else []), directive


@pytest.mark.parametrize("name", ALL)
def test_policy_allows_what_the_page_has_and_no_more(site, name):
    page = html_of(site / name)
    policy = policy_of(page)
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        inline = [each.string for each in page.find_all(tag) if not each.get("src")]
        assert set(policy[directive]) - {"'self'"} == {by_hash(text) for text in inline}
    attributes = [(tag.name, attribute) for tag in page.find_all(True) for attribute in tag.attrs
                  if attribute.startswith("on") or attribute == "style"]
    assert not attributes
    assert not [link for link in page.find_all(href=True) if link["href"].strip().lower().startswith("javascript:")]


@pytest.mark.parametrize("name", ALL)
def test_policy_stands_before_all_that_it_governs(site, name):
    text = (site / name).read_text(encoding="utf-8")
    assert text.index("Content-Security-Policy") < re.search(r"<(script|style|link|img|title)\b", text).start()


def test_a_page_that_does_not_declare_its_characters_is_refused():
    with pytest.raises(ValueError, match="charset"):
        secured("<html><head><title>x</title></head></html>")


def test_a_script_that_is_put_in_does_not_run(browser, address):
    page = browser.new_page()
    page.goto(f"{address}book/index.html")
    blocked = page.evaluate("""() => new Promise(resolve => {
        const seen = [];
        document.addEventListener("securitypolicyviolation", (event) => {
            seen.push(event.effectiveDirective);
            if (seen.length === 3) resolve(seen.sort());
        });
        const script = document.createElement("script");
        script.textContent = "window.broken = true";
        document.body.append(script);
        document.body.insertAdjacentHTML("beforeend", "<img src='data:image/png,' alt='' onerror='window.broken = true'>");
        document.body.insertAdjacentHTML("beforeend", "<img src='https://example.org/x.png' alt=''>");
    })""")
    assert blocked == ["img-src", "script-src-attr", "script-src-elem"]
    assert page.evaluate("window.broken") is None
    page.close()

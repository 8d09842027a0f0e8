"""What search engines and other sites are told of each page."""

import io
import re
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import yaml
from built_site import DOCUMENTS, PAGES, ROOT, html_of, site  # noqa: F401 (a fixture)
from docutils import nodes
from PIL import Image, ImageChops
from site_browser import browser  # noqa: F401 (a fixture)

from tools import stamp
from tools.site import cards, sharing

SETTINGS = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
BASE = f"{SETTINGS['html']['baseurl']}/" if SETTINGS["html"]["baseurl"] else stamp.pages(stamp.stamped())
HEAVIEST_CARD = 60_000
ONCE = ("description", "viewport", "og:title", "og:description", "og:url", "og:image", "og:image:alt", "twitter:card")


def tag(page, name):
    """The content of the page's only tag of that name."""
    found = page.head.find_all("meta", attrs={"name": name}) + page.head.find_all("meta", attrs={"property": name})
    assert len(found) == 1, f"{len(found)} tags {name}"
    return found[0]["content"]


@pytest.mark.parametrize("name", PAGES)
def test_page_says_what_it_is(site, name):
    page = html_of(site / name)
    told = {each: tag(page, each) for each in ONCE}
    assert 40 <= len(told["description"]) <= 160 or name.endswith(("claims.html", "bibliography.html")), told["description"]
    assert told["description"] == told["og:description"]
    assert not re.search(r"[$\\<>\n]|  |Colab|to do\.", told["description"])
    assert told["og:url"] == page.find("link", rel="canonical")["href"] == BASE + name
    assert len(page.find_all("link", rel="canonical")) == 1
    heading = page.article.h1.find(string=True).strip()
    assert told["og:title"].startswith(heading[:7])


@pytest.mark.parametrize("name", PAGES)
def test_page_has_a_card(site, name):
    path = site / tag(html_of(site / name), "og:image").removeprefix(BASE)
    assert path.stat().st_size < HEAVIEST_CARD
    with Image.open(path) as picture:
        assert picture.size == cards.SIZE == (1200, 630)


def test_descriptions_and_cards_differ(site):
    for name in ("description", "og:title", "og:image"):
        values = [tag(html_of(site / page), name) for page in PAGES]
        assert len(set(values)) == len(values), name


@pytest.mark.parametrize("name", PAGES)
def test_title_fits_its_card(site, name):
    """Every letter is in the font, and none touches the logo or the margins."""
    letters = cards.font(40)
    missing = bytes(letters.getmask("\uffff"))
    title = tag(html_of(site / name), "og:title")
    assert not [each for each in title if not each.isspace() and bytes(letters.getmask(each)) == missing]
    blank = cards.card("", "")
    written = cards.card("Descent: optimization for deep learning", title)
    difference = ImageChops.difference(written.convert("L"), blank.convert("L"))
    left, top, right, bottom = difference.point(lambda value: value * (value > 30)).getbbox()   # palettes differ a little
    assert left >= cards.MARGIN - 4 and top >= cards.MARGIN - 4
    assert right <= cards.SIZE[0] - cards.MARGIN - 330 and bottom <= cards.SIZE[1] - 50


def test_front_page_is_shared_under_the_name_of_the_book(site):
    for name in ("index.html", PAGES[0]):
        page = html_of(site / name)
        assert tag(page, "og:title") == "Descent: optimization for deep learning"
        assert page.find("link", rel="canonical")["href"] == BASE + PAGES[0]


def test_search_page_is_kept_out(site):
    assert tag(html_of(site / "search.html"), "robots") == "noindex"


def test_site_map_lists_every_page(site):
    places = ElementTree.parse(site / "sitemap.xml").getroot().findall("{*}url/{*}loc")
    assert sorted(place.text for place in places) == sorted(f"{BASE}{document}.html" for document in DOCUMENTS)
    assert f"Sitemap: {BASE}sitemap.xml" in (site / "robots.txt").read_text(encoding="utf-8")


# ---- the words

def test_description_is_cut_after_a_word():
    assert sharing.shorten("one  two\nthree") == "one two three"
    long = sharing.shorten("forty-two, " * 40)
    assert len(long) <= 160 and long.endswith("forty-two…")


@pytest.mark.parametrize("texts, wanted", [
    (["A motto.", "What you will be able to do. Say how far."], "Say how far."),
    (["A motto.", "A sentence that has more than sixty characters, as prose has it."], "A sentence that has more than"),
    (["Little."], "Little."),
    ([], "Title"),
])
def test_description_is_a_promise_or_the_first_prose(texts, wanted):
    document = nodes.section("", nodes.title("", "Title"), *(nodes.paragraph("", text) for text in texts))
    assert sharing.description(document).startswith(wanted)


@pytest.mark.parametrize("repository, stamped, wanted", [
    ("Some-One/A.book", "", "https://some-one.github.io/A.book/"),
    ("some-one/some-one.github.io", "", "https://some-one.github.io/"),
    ("some-one/book", "https://book.example.org", "https://book.example.org/"),
])
def test_address_of_the_site(repository, stamped, wanted):
    config = SimpleNamespace(html_theme_options={"repository_url": f"https://github.com/{repository}"}, html_baseurl=stamped)
    sharing.find_address(None, config)
    assert config.html_baseurl == wanted


# ---- the icon

def test_icon_is_the_logo(browser):
    """The PNG shows the SVG, 312 pixels wide on white, in the middle of 360."""
    page = browser.new_page(viewport={"width": 360, "height": 360})
    page.goto((ROOT / "book" / "_static" / "logo.svg").as_uri())
    page.evaluate("""() => {
        const svg = document.documentElement;
        svg.style.cssText = "width: 312px; height: 312px; position: absolute; left: 24px; top: 24px";
    }""")
    drawn = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    page.close()
    kept = cards.logo()
    difference = ImageChops.difference(drawn, kept).convert("L")
    assert kept.size == (360, 360)
    assert sum(difference.histogram()[60:]) < 400, "draw book/_static/apple-touch-icon.png again"

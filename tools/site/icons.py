"""The theme's icons as a small style sheet: only the ones that are shown, drawn as masks.

The theme would load every icon of Font Awesome as a script. The drawings are taken from that very
script, which is installed with the theme, so nothing is downloaded and nothing is drawn twice.
"""

import re
from pathlib import Path

import pydata_sphinx_theme

SCRIPT = Path(pydata_sphinx_theme.__file__).parent.joinpath(
    "theme/pydata_sphinx_theme/static/scripts/fontawesome.js"
)
NOTICE = """/* Icons: Font Awesome Free, copyright Fonticons, Inc., https://fontawesome.com
   Licence: CC BY 4.0, https://creativecommons.org/licenses/by/4.0/ */"""
MASK = (
    'content: ""; display: inline-block; width: 1em; height: 1em; background-color: currentColor; '
    "-webkit-mask: var(--icon) center / contain no-repeat; mask: var(--icon) center / contain no-repeat;"
)
DRAWING = re.compile(r'"?([\w-]+)"?:\[(\d+),(\d+),\[[^\]]*\],"(\w+)","([^"]+)"\]')
SHOWN = re.compile(r'class="[^"]*?\bfa(?:-solid|-brands|s|b)\s+fa-([\w-]+)')
THEME_ICON = re.compile(r'(--pst-icon-[\w-]+):"(.)"')
THEME_RULE = re.compile(r"([^{}]+)\{[^{}]*content:var\((--pst-icon-[\w-]+)\)[^{}]*\}")
FONT_RULES = re.compile(r'@font-face\{[^}]*Font Awesome[^}]*\}|(?:\.fa-[\w-]+:before,?)+\{content:"[^"]+"\}')


def drawings():
    """{name: (width, height, code, path)}. Solid icons come last and win over outlines of their name."""
    found = DRAWING.findall(SCRIPT.read_text(encoding="utf-8"))
    return {name: (int(width), int(height), code, path) for name, width, height, code, path in found}


def as_url(drawing):
    """The drawing as an SVG inside a CSS url()."""
    width, height, _, path = drawing
    return (
        "url(\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' "
        f"viewBox='0 0 {width} {height}'%3E%3Cpath d='{path}'/%3E%3C/svg%3E\")"
    )


def icon_styles(pages, theme_css):
    """CSS for the icons in the text of `pages`, and for those that the theme's own rules put in.

    An icon that the theme does not bring along raises a KeyError: it would be a blank on the page.
    """
    known = drawings()
    by_code = {code: (width, height, code, path) for width, height, code, path in known.values()}
    rules = THEME_RULE.findall(theme_css)
    everywhere = ", ".join(["i[class*='fa-']", "span[class*='fa-']", *(selector for selector, _ in rules)])
    lines = [NOTICE, f"{everywhere} {{ {MASK} }}"]
    for name in sorted(set(SHOWN.findall(pages))):
        width, height, *_ = known[name]
        lines.append(f".fa-{name} {{ --icon: {as_url(known[name])}; width: {width / height:.3g}em; }}")
    for variable, character in THEME_ICON.findall(theme_css):
        lines.append(f"html {{ {variable}: {as_url(by_code[f'{ord(character):x}'])}; }}")
    lines += [f"{selector} {{ --icon: var({variable}); }}" for selector, variable in rules]
    return "\n".join(lines) + "\n"


def without_icon_font(theme_css):
    """The theme's style sheet without the icon font and the letters that stand for its icons."""
    return FONT_RULES.sub("", theme_css)

"""The pictures that other sites show beside a link to a page."""

import functools
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

LOGO = Path(__file__).resolve().parents[2] / "book/_static/apple-touch-icon.png"
SIZE, MARGIN, GAP = (1200, 630), 80, 40
PAPER, INK, BLUE, ORANGE = "#ffffff", "#14304a", "#00619a", "#e0732c"

font = functools.cache(ImageFont.load_default)   # Aileron, which Pillow brings along, in any size


@functools.cache
def logo():
    """The logo on white, as it is also put on the screen of a telephone."""
    with Image.open(LOGO) as picture:
        return picture.convert("RGB")


def lines(text, letters, width):
    """The text broken into lines that are no wider than `width`."""
    broken = [""]
    for word in text.split():
        longer = f"{broken[-1]} {word}".strip()
        if letters.getlength(longer) <= width:
            broken[-1] = longer
        else:
            broken.append(word)
    return broken


def card(site, title):
    """The picture that other sites show beside a link: the book, the topic of the page and its question, the logo."""
    name, _, subtitle = site.partition(": ")
    topic, colon, question = title.partition(":") if title else (name, "", subtitle)
    image = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(image)
    image.paste(logo(), (SIZE[0] - MARGIN - logo().width + GAP, (SIZE[1] - logo().height) // 2))
    width = SIZE[0] - 2 * MARGIN - logo().width
    draw.rectangle((0, SIZE[1] - 16, *SIZE), fill=BLUE)
    draw.rectangle((0, SIZE[1] - 16, MARGIN + width, SIZE[1]), fill=ORANGE)
    if title:
        draw.text((MARGIN, MARGIN), site, BLUE, font(34), stroke_width=0.4)
    large, small = font(72), font(50)
    head, rest = lines(topic + colon * bool(title), large, width), lines(question, small, width)
    y = (SIZE[1] - 86 * len(head) - 64 * len(rest)) // 2 + (GAP if title else 0)
    for text in head:
        draw.text((MARGIN, y), text, INK, large, stroke_width=1.2)
        y += 86
    for text in rest:
        draw.text((MARGIN, y + 12), text, INK, small)
        y += 64
    return image.quantize(64, Image.Quantize.FASTOCTREE)   # a third of the bytes

"""Figures: they draw what they are given, leave matplotlib as it was, and can be told apart by everyone."""

import itertools
import struct

import IPython.display
import matplotlib
import numpy as np
import pytest
from matplotlib import colors as mcolors
from matplotlib import pyplot

from course_lib import plots
from course_lib.objectives import quadratic
from course_lib.plots import COLORS, canvas, contours, curves, intervals, show
from course_lib.training import minimize
from course_lib.update_rules import gradient_descent

BOWL = quadratic([1.0, 4.0])
TRACE = minimize(BOWL, gradient_descent(0.1), [2.0, 1.0], steps=10, every=5)


@pytest.fixture(autouse=True)
def shown(monkeypatch):
    """What is displayed: a list of (mimebundle, metadata)."""
    things = []

    def display(data, metadata=None, raw=False):
        assert raw, "without raw IPython adds a text that differs by machine"
        things.append((data, metadata))

    monkeypatch.setattr(IPython.display, "display", display)
    before = dict(matplotlib.rcParams)
    yield things
    assert pyplot.get_fignums() == [], "a figure was left open"
    assert dict(matplotlib.rcParams) == before, "matplotlib's settings were changed"


def pixels(png):
    """Return width and height as a PNG's header tells them."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])


# ---- the picture

@pytest.mark.parametrize("rows, height, width", [(1, 3.4, 5.4), (2, 2.5, 5.0)])
def test_a_figure_is_one_sharp_png_of_the_size_told(shown, rows, height, width):
    with canvas(rows, height=height, width=width) as axes:
        for ax in np.atleast_1d(axes):
            ax.plot([0, 1], [0, 1])
        assert np.size(axes) == rows and shown == []
    ((data, metadata),) = shown
    assert set(data) == {"image/png"} and set(metadata) == {"image/png"}
    told = metadata["image/png"]
    assert told == {"width": round(100 * width), "height": round(100 * height * rows)}
    assert pixels(data["image/png"]) == (2 * told["width"], 2 * told["height"])
    assert told["width"] <= 600, "wider than its letters can be read on a phone"


def test_a_picture_is_the_same_each_time_and_names_no_software(shown):
    for _ in range(2):
        with canvas() as ax:
            curves({"a": TRACE}, ax=ax)
    assert shown[0] == shown[1] and b"Software" not in shown[0][0]["image/png"]


def test_the_ground_is_opaque_and_light(shown):
    with canvas() as ax:
        assert mcolors.to_rgba(ax.figure.get_facecolor())[3] == 1
        assert luminance(ax.figure.get_facecolor()) > 0.9 and luminance(ax.get_facecolor()) > 0.9


def test_the_style_ends_with_the_block_even_if_it_fails(shown):
    with pytest.raises(ZeroDivisionError):
        with canvas():
            assert matplotlib.rcParams["axes.spines.top"] is False
            1 / 0
    assert shown == []   # and the fixture finds no open figure


def test_a_figure_of_ones_own_can_be_shown(shown):
    figure, _ = pyplot.subplots(figsize=(3, 2))
    show(figure)
    pyplot.close(figure)
    assert shown[0][1] == {"image/png": {"width": 300, "height": 200}}


# ---- contours

def test_contours_draw_levels_paths_and_starts():
    paths = {"slow": TRACE.w, "fast": TRACE.w / 2}
    with canvas() as ax:
        contours(BOWL, paths, (-3, 3), (-2, 2), ax=ax, levels=[1.0, 4.0], ylabel="second")
        assert ax.get_xlim() == (-3, 3) and ax.get_ylim() == (-2, 2) and ax.get_ylabel() == "second"
        for level, line in zip([1.0, 4.0], ax.collections[0].get_paths()):
            np.testing.assert_allclose(BOWL(line.vertices), level, rtol=2e-3)
        lines = {line.get_label(): line for line in ax.lines}
        for label, path in paths.items():
            np.testing.assert_array_equal(lines[label].get_xydata(), path)
        starts = [line.get_xydata()[0] for line in ax.lines if len(line.get_xydata()) == 1]
        np.testing.assert_array_equal(starts, [path[0] for path in paths.values()])
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["slow", "fast"]


def test_as_many_levels_as_asked_inside_the_heights():
    with canvas() as ax:
        contours(BOWL, {"_": TRACE.w}, (-3, 3), (-2, 2), ax=ax, levels=7)
        levels = ax.collections[0].levels
        assert len(levels) == 7 and (np.diff(levels) > 0).all() and 0 < levels[0] and levels[-1] <= BOWL([3.0, 2.0])
        assert ax.get_legend() is None   # a label that starts with _ asks for none


# ---- curves

def test_curves_draw_traces_arrays_and_pairs():
    x, y = np.array([0.5, 2.0]), np.array([3.0, 4.0])
    with canvas() as ax:
        curves({"trace": TRACE, "array": y, "pair": (x, y)}, ax=ax, xlabel="epochs")
        trace, array, pair = ax.lines
        np.testing.assert_array_equal(trace.get_xydata(), np.column_stack([[0, 5, 10], TRACE.loss]))
        np.testing.assert_array_equal(array.get_xydata(), [[0, 3], [1, 4]])
        np.testing.assert_array_equal(pair.get_xydata(), np.column_stack([x, y]))
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["trace", "array", "pair"]
        assert ax.get_xlabel() == "epochs" and ax.get_ylabel() == "loss"


@pytest.mark.parametrize("log, scales", [
    ("", ("linear", "linear")), ("x", ("log", "linear")), ("y", ("linear", "log")), ("xy", ("log", "log")),
])
def test_axes_are_logarithmic_where_asked(log, scales):
    with canvas() as ax:
        curves({"a": (np.array([1.0, 2.0]), np.array([1.0, 2.0]))}, ax=ax, log=log)
        assert (ax.get_xscale(), ax.get_yscale()) == scales


def test_lines_differ_by_more_than_colour():
    with canvas() as ax:
        curves({str(i): np.array([1.0, 2.0 + i]) for i in range(6)}, ax=ax)
        assert len({line.get_color() for line in ax.lines}) == 6
        assert len({repr(line._dash_pattern) for line in ax.lines}) == 6
    with canvas() as ax:
        contours(BOWL, {f"_{i}": TRACE.w + i for i in range(6)}, (-3, 9), (-3, 9), ax=ax)
        assert len({line.get_marker() for line in ax.lines if len(line.get_xydata()) > 1}) == 6


# ---- intervals

def test_intervals_draw_means_and_half_widths_from_the_top():
    rows = {"SGD": (0.9, 0.02), "Adam": (0.8, 0.05)}
    with canvas() as ax:
        intervals(rows, ax=ax, xlabel="accuracy")
        for row, (bar, (mean, half)) in enumerate(zip(ax.containers, rows.values())):
            point, _, (span,) = bar.lines
            np.testing.assert_allclose(point.get_xydata(), [[mean, row]])
            np.testing.assert_allclose(span.get_segments()[0], [[mean - half, row], [mean + half, row]])
        assert [label.get_text() for label in ax.get_yticklabels()] == list(rows)
        assert ax.yaxis_inverted() and ax.get_xlabel() == "accuracy"


# ---- colours

# Full protanopia, deuteranopia and tritanopia on linear RGB (Machado, Oliveira, Fernandes 2009).
BLINDNESS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    "none": np.eye(3),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(color):
    rgb = np.array(mcolors.to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def luminance(color):
    return XYZ[1] @ linear(color)


def lab(color, blindness):
    """Return CIE L*a*b* of a colour as it is seen."""
    seen = XYZ @ np.clip(blindness @ linear(color), 0, 1) / XYZ.sum(1)
    f = np.where(seen > 0.008856, np.cbrt(seen), 7.787 * seen + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("kind", BLINDNESS)
@pytest.mark.parametrize("pair", list(itertools.combinations(COLORS, 2)), ids="-".join)
def test_colours_can_be_told_apart(pair, kind):
    first, second = (lab(color, np.array(BLINDNESS[kind])) for color in pair)
    assert np.linalg.norm(first - second) >= 12


@pytest.mark.parametrize("color", COLORS)
def test_colours_stand_out_from_the_ground(color):
    ground = luminance(plots._STYLE["axes.facecolor"])
    assert (ground + 0.05) / (luminance(color) + 0.05) >= 3

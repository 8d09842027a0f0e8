"""Every figure of the book: one style, legible in light and dark, at phone width.

A figure is drawn on an opaque light ground (the site inverts it in dark mode), five
inches wide so that its letters can be read on a phone, in colours that colour-blind
readers can tell apart (Okabe and Ito), with a second mark (dash or marker) for each line.
"""

from contextlib import contextmanager
from io import BytesIO
from itertools import cycle

import numpy as np

__all__ = ["COLORS", "canvas", "show", "contours", "curves", "intervals"]

COLORS = ("#0072B2", "#D55E00", "#009E73", "#8F4A87", "#5C4400", "#222222")
_DASHES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (8, 2)))
_MARKERS = ("o", "s", "^", "D", "v", "P")
_WIDTH, _DPI = 5.4, 100

_STYLE = {
    "figure.dpi": _DPI,
    "figure.facecolor": "#fcfcfa",
    "axes.facecolor": "#fcfcfa",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.8,
    "font.family": ["DejaVu Sans"],
    "font.size": 12,
    "axes.labelsize": 12,
    "axes.titlesize": 12.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "legend.fontsize": 11,
    "legend.frameon": True,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "legend.facecolor": "#fcfcfa",
    "lines.linewidth": 2,
    "lines.markersize": 5,
}


@contextmanager
def canvas(rows=1, *, height=3.4, width=_WIDTH, **subplots):
    """Axes in the book's style; when the block ends, the figure is shown.

    Parameters
    ----------
    rows : int
        Panels, one above the other, so that a phone shows each in full width.
    height : float
        Of a panel, inches.
    width : float
        Of the figure, inches.
    **subplots
        Passed on to `matplotlib.pyplot.subplots`.

    Yields
    ------
    Axes, or an array of them when rows > 1
    """
    from matplotlib import pyplot, rc_context

    with rc_context(_STYLE):
        figure, axes = pyplot.subplots(
            rows, figsize=(width, height * rows), layout="constrained", **subplots
        )
        try:
            yield axes
            show(figure)
        finally:
            pyplot.close(figure)


def show(figure):
    """Show a matplotlib figure as a sharp picture, with nothing that differs by machine.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    """
    from IPython.display import display

    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=2 * _DPI, metadata={"Software": None})
    width, height = (round(inches * _DPI) for inches in figure.get_size_inches())
    display(
        {"image/png": picture.getvalue()},
        metadata={"image/png": {"width": width, "height": height}},
        raw=True,
    )


def contours(objective, paths, xlim, ylim, *, ax, levels=12, xlabel="$w_1$", ylabel="$w_2$"):
    """Level lines of a function of two parameters, with paths of runs on top.

    Parameters
    ----------
    objective : callable
        w [..., 2] -> [...].
    paths : dict
        Label -> array [steps, 2] (a trace's `w`); each ends where it leaves the picture.
    xlim, ylim : pair of floats
    ax : matplotlib Axes
    levels : int or array
        How many level lines, spaced as the square root of height, or the levels themselves.
    xlabel, ylabel : str
    """
    x, y = np.linspace(*xlim, 201), np.linspace(*ylim, 201)
    height = objective(np.stack(np.meshgrid(x, y), axis=-1))
    if np.ndim(levels) == 0:
        low, high = height.min(), height.max()
        levels = low + (high - low) * np.linspace(0.03, 1, levels) ** 2
    ax.contour(x, y, height, levels=levels, colors="#9aa5b1", linewidths=0.9)
    for (label, path), color, marker in zip(paths.items(), cycle(COLORS), cycle(_MARKERS)):
        ax.plot(path[:, 0], path[:, 1], color=color, marker=marker, markersize=4,
                linewidth=1.4, label=label)
        ax.plot(*path[0], color="#222222", marker="o", markersize=7, fillstyle="none")
    ax.set(xlim=xlim, ylim=ylim, xlabel=xlabel, ylabel=ylabel)
    ax.grid(False)
    if any(not label.startswith("_") for label in paths):
        ax.legend()


def curves(lines, *, ax, xlabel="steps", ylabel="loss", log="y"):
    """Lines against steps, told apart by colour and dash.

    Parameters
    ----------
    lines : dict
        Label -> a `Trace`, an array of losses, or a pair (x, y) of arrays.
    ax : matplotlib Axes
    xlabel, ylabel : str
    log : str
        Which axes are logarithmic: "", "x", "y" or "xy".
    """
    for (label, line), color, dash in zip(lines.items(), cycle(COLORS), cycle(_DASHES)):
        if hasattr(line, "loss"):
            line = (line.step, line.loss)
        elif not isinstance(line, tuple):
            line = (np.arange(len(line)), line)
        ax.plot(*line, color=color, linestyle=dash, label=label)
    if "x" in log:
        ax.set_xscale("log")
    if "y" in log:
        ax.set_yscale("log")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend()


def intervals(rows, *, ax, xlabel):
    """Means with their intervals, one row each; rows whose intervals overlap may be ties.

    Parameters
    ----------
    rows : dict
        Label -> pair (mean, half width), such as `mean_interval` gives.
    ax : matplotlib Axes
    xlabel : str
        What was measured, with its unit.
    """
    for row, ((label, (mean, half)), color, marker) in enumerate(
        zip(rows.items(), cycle(COLORS), cycle(_MARKERS))
    ):
        ax.errorbar(mean, row, xerr=half, color=color, marker=marker, markersize=8, capsize=5)
    ax.set(xlabel=xlabel, ylim=(len(rows) - 0.5, -0.5))
    ax.set_yticks(range(len(rows)), list(rows))

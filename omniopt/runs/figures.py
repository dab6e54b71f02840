"""The pictures of reports and notebooks, as SVG text that stays sharp on a screen, a phone and paper.

Each function takes plain lists or arrays and returns one SVG document. Pictures are narrow on purpose: shown
at the width of a phone their letters are still as large as the text around them. Labels from data are drawn
as they are, never read as markup or mathematics.
"""

from __future__ import annotations

import functools
import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from omniopt.runs.html import number, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 4.4  # inches; one column of the report
ACCENT, WARM, PALE, INK, SOFT = "#0f6e84", "#b4500f", "#e6ecef", "#1d2a33", "#5b6b76"
_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": "#b9c4cb",
    "axes.labelcolor": SOFT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "omniopt",
}


_P = ParamSpec("_P")


def _styled(draw: Callable[_P, Figure]) -> Callable[_P, str]:
    """Draw in the style of the reports, whatever style the session has set, and return the SVG."""

    @functools.wraps(draw)
    def drawn(*args: _P.args, **kwargs: _P.kwargs) -> str:
        from matplotlib import rc_context

        with rc_context(_STYLE), warnings.catch_warnings():
            # Letters that the measuring font lacks are drawn by the reader's own fonts.
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            made = io.StringIO()
            draw(*args, **kwargs).savefig(
                made, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
            )
        return made.getvalue().replace("'DejaVu Sans'", "system-ui, 'Segoe UI', Roboto, Arial, 'DejaVu Sans'")

    return drawn


@dataclass(frozen=True)
class Bar:
    """One bar with its words.

    Parameters
    ----------
    label : str
        What the bar stands for.
    value : float
        Its length, in the units of `full`.
    note : str
        What stands at its right, such as the value in words.
    full : float, optional
        Length of the pale track behind the bar; bars of one picture share the longest value where it is
        missing.
    marks : tuple of float
        Where thin strokes cross the bar: a minimum, a maximum.
    strong : bool
        Drawn in the colour that asks for attention.
    """

    label: str
    value: float
    note: str = ""
    full: float | None = None
    marks: tuple[float, ...] = ()
    strong: bool = False


@_styled
def bars(rows: Sequence[Bar]) -> Figure:
    """Draw bars below each other, each with its label and its figure on a line of its own."""
    figure, axes = _canvas(0.42 * len(rows) + 0.1)
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(len(rows), 0))
    longest = max([row.value for row in rows] + [0.0]) or 1.0
    for at, row in enumerate(rows):
        full = row.full if row.full else longest
        ink = WARM if row.strong else ACCENT
        axes.text(0, at + 0.44, shorten(row.label, 54 - len(row.note)), va="bottom", ha="left")
        axes.text(1, at + 0.44, row.note, va="bottom", ha="right", color=WARM if row.strong else SOFT)
        axes.barh(at + 0.66, 1, 0.26, color=PALE)
        axes.barh(at + 0.66, float(np.clip(row.value / full, 0, 1)), 0.26, color=ink)
        for mark in row.marks:
            x = float(np.clip(mark / full, 0.002, 0.998))
            axes.plot([x, x], [at + 0.49, at + 0.83], color=INK, linewidth=1.6)
    return figure


@_styled
def heat(values: np.ndarray, rows: Sequence[str], columns: Sequence[str], unit: str) -> Figure:
    """Draw a table of numbers as shades: what is where, and how much.

    Parameters
    ----------
    values : array of shape (rows, columns)
        Numbers ≥ 0.
    rows, columns : sequence of str
        Their labels; of the columns about every seventh is written.
    unit : str
        What the numbers count, for the scale.
    """
    from matplotlib.colors import LinearSegmentedColormap

    figure, axes = _canvas(0.32 * len(rows) + 0.95)
    shades = LinearSegmentedColormap.from_list("omniopt", ["#f3f6f7", "#8dbcc7", ACCENT, "#083b47"])
    top = float(values.max()) or 1.0
    drawn = axes.pcolormesh(values, cmap=shades, vmin=0, vmax=top, edgecolors="white", linewidth=0.8)
    axes.invert_yaxis()
    axes.set_yticks(np.arange(len(rows)) + 0.5, [shorten(row, 18) for row in rows])
    step = max(1, -(-len(columns) // 5))
    step = 7 if 5 <= step <= 7 else step  # weeks where that fits
    axes.set_xticks(np.arange(0, len(columns), step) + 0.5, columns[::step])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    scale = figure.colorbar(drawn, ax=axes, orientation="horizontal", fraction=0.08, pad=0.06, aspect=40)
    scale.set_ticks([0, top], labels=["0", f"{number(top)} {unit}"])
    scale.ax.get_xticklabels()[-1].set_horizontalalignment("right")
    scale.outline.set_visible(False)
    scale.ax.tick_params(length=0)
    return figure


@_styled
def columns(labels: Sequence[str], heights: Sequence[float], xlabel: str) -> Figure:
    """Draw upright columns with their numbers on top, for a few ordered classes."""
    figure, axes = _canvas(2.3)
    drawn = axes.bar(range(len(labels)), heights, color=ACCENT, width=0.72)
    axes.bar_label(drawn, [number(height) for height in heights], padding=2, fontsize=8.5)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_xlabel(xlabel)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0)
    axes.margins(y=0.12)
    return figure


@_styled
def calibration(predicted: Sequence[float], actual: Sequence[float], weight: Sequence[float]) -> Figure:
    """Draw predicted against actual response, with the line on which a model is right.

    Parameters
    ----------
    predicted, actual : sequence of float
        Mean prediction and share of responses of each class.
    weight : sequence of float
        Rows of each class; larger classes get larger dots.
    """
    figure, axes = _canvas(3.4)
    top = 1.08 * max([*predicted, *actual, 1e-6])
    size = 12 + 60 * np.sqrt(np.asarray(weight, float) / max([*weight, 1e-9]))
    axes.plot([0, top], [0, top], color="#8d9aa3", linewidth=1, linestyle=(0, (4, 3)), label="as predicted")
    axes.plot(predicted, actual, color=ACCENT, linewidth=1, alpha=0.5)
    axes.scatter(predicted, actual, s=size, color=ACCENT, alpha=0.85, zorder=3, linewidth=0)
    axes.set(xlim=(0, top), ylim=(0, top), xlabel="predicted response", ylabel="actual response")
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    _as_shares(axes.xaxis, 4)
    _as_shares(axes.yaxis, 4)
    return figure


@_styled
def forecast(
    labels: Sequence[str],
    predicted: Sequence[float],
    actual: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
) -> Figure:
    """Draw for each label what was predicted, and what came with the range that chance alone explains.

    Parameters
    ----------
    labels : sequence of str
        One line each.
    predicted, actual, low, high : sequence of float
        Shares, or differences of shares; low and high are the ends of the range around `actual`.
    """
    figure, axes = _canvas(0.34 * len(labels) + 0.95)
    at = np.arange(len(labels))
    least = 1.05 * min([*predicted, *low, 0.0])
    axes.hlines(at, least, 1, color=PALE, linewidth=1)
    if least < 0:
        axes.axvline(0, color="#8d9aa3", linewidth=1, linestyle=(0, (4, 3)))
    spread = np.clip([np.subtract(actual, low), np.subtract(high, actual)], 0, None)
    axes.errorbar(
        actual,
        at,
        xerr=spread,
        fmt="o",
        color=ACCENT,
        markersize=6,
        linewidth=1.4,
        label="actual, 95 % range",
    )
    axes.plot(
        predicted, at, "D", markerfacecolor="white", markeredgecolor=WARM, markersize=6, label="predicted"
    )
    axes.set_yticks(at, [shorten(label, 22) for label in labels])
    axes.set(xlim=(least, 1.05 * max([*predicted, *high, 1e-6])), ylim=(len(labels) - 0.5, -0.5))
    _as_shares(axes.xaxis, 4)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, fontsize=9, borderaxespad=0
    )
    return figure


@_styled
def effects(
    labels: Sequence[str], centre: Sequence[float], low: Sequence[float], high: Sequence[float], unit: str
) -> Figure:
    """Draw effects with their intervals, and the line of no effect.

    Parameters
    ----------
    labels : sequence of str
        One line each.
    centre, low, high : sequence of float
        Each effect, and the ends of its interval.
    unit : str
        What they count.
    """
    figure, axes = _canvas(0.34 * len(labels) + 0.75)
    at = np.arange(len(labels))
    spread = np.clip([np.subtract(centre, low), np.subtract(high, centre)], 0, None)
    axes.axvline(0, color="#8d9aa3", linewidth=1, linestyle=(0, (4, 3)))
    axes.errorbar(centre, at, xerr=spread, fmt="o", color=ACCENT, markersize=6, linewidth=1.4)
    axes.set_yticks(at, [shorten(label, 26) for label in labels])
    axes.set(ylim=(len(labels) - 0.5, -0.5), xlabel=unit)
    axes.xaxis.set_major_formatter(lambda value, _: number(value))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return figure


@_styled
def gain(
    share: Sequence[float], gained: Sequence[float], low: Sequence[float], high: Sequence[float],
    random: Sequence[float],
) -> Figure:  # fmt: skip
    """Draw what treating more and more customers gains (a Qini curve), beside an order at random.

    Parameters
    ----------
    share : sequence of float
        Of the customers, those with the highest predicted uplift first.
    gained, low, high : sequence of float
        Responses gained per customer, with the ends of their interval.
    random : sequence of float
        What an order at random gains.
    """
    figure, axes = _canvas(3.0)
    axes.axhline(0, color="#b9c4cb", linewidth=0.8)
    axes.fill_between(share, low, high, color=ACCENT, alpha=0.15, linewidth=0)
    axes.plot(share, random, color="#8d9aa3", linewidth=1, linestyle=(0, (4, 3)), label="at random")
    axes.plot(share, gained, color=ACCENT, linewidth=1.6, label="highest uplift first")
    axes.set(xlim=(0, 1), xlabel="share treated", ylabel="more responses per customer")
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    _as_shares(axes.xaxis, 4)
    _as_shares(axes.yaxis, 4)
    return figure


def shorten(label: str, length: int) -> str:
    """Cut a long label in its middle, where two labels differ least."""
    label, length = " ".join(str(label).split()), max(length, 8)
    if len(label) <= length:
        return label
    return f"{label[: length - length // 2 - 1]}…{label[len(label) - length // 2 :]}"


def _as_shares(axis: Any, ticks: int) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda share, _: percent(share).replace(".0 %", " %")))


def _canvas(height: float) -> tuple[Figure, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()

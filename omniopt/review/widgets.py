"""The controls that the planners' pages are made of: the one module that knows ipywidgets.

Labels stand above their control, so that both stay whole in a narrow window. Text from data never goes into a
widget's description, which could be read as mathematics, but into options, which are plain text, or through
`omniopt.review.pages`, which escapes it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import ipywidgets as w

from omniopt.errors import OmnioptError
from omniopt.review import pages
from omniopt.runs.html import paragraph, text

Widget: TypeAlias = Any  # what ipywidgets makes; it says nothing of its types

_WIDE = {"width": "auto", "min_width": "0"}  # fills the row; 100% would cut the right border off
_FIELD = {"width": "auto", "min_width": "15rem", "max_width": "24rem", "flex": "1 1 15rem"}
_ROW = {"flex_flow": "row wrap", "grid_gap": "4px 20px", "overflow": "visible"}


class Page(w.HTML):
    """Markup as a widget; where no kernel runs, a notebook shows the markup itself."""

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return {**super()._repr_mimebundle_(**kwargs), "text/html": self.value}


def page(html: str = "", styled: bool = False) -> Widget:
    """A part that shows markup; `show` changes it. One part of a page brings the style along."""
    part = Page(layout=_WIDE)
    part.add_class("omniopt-part")
    part.value = (pages.style() if styled else "") + pages.piece(html)
    return part


def show(part: Widget, html: str) -> None:
    """Put markup into a part made by `page`."""
    part.value = pages.piece(html) if html else ""


def note(words: str) -> Widget:
    """A line of help."""
    return page(paragraph(words, "aside"))


def heading(words: str) -> Widget:
    """A heading inside a part."""
    return page(f"<h3>{text(words)}</h3>")


def stack(*parts: Widget) -> Widget:
    """Parts below each other."""
    return w.VBox(parts, layout={**_WIDE, "overflow": "visible"})


def row(*parts: Widget, align: str = "flex-end") -> Widget:
    """Parts beside each other, and below each other where the window is narrow."""
    return w.Box(parts, layout={**_ROW, "align_items": align})


def columns(narrow: Widget, wide: Widget) -> Widget:
    """Two columns, one below the other where the window is narrow."""
    narrow.layout.flex, wide.layout.flex = "1 1 12rem", "6 1 26rem"
    for part in (narrow, wide):
        part.layout.min_width = "0"
    return row(narrow, wide, align="flex-start")


def labelled(label: str, control: Widget, field: bool = True) -> Widget:
    """A control under its label: a field in a row of fields, or as wide as what it stands in."""
    return w.VBox([w.Label(label), control], layout=_FIELD if field else _WIDE)


def titled(html: str, control: Widget) -> Widget:
    """A control under a line of markup."""
    return w.VBox([page(html), control], layout=_FIELD)


def dropdown(every: str, options: Sequence[str]) -> Widget:
    """One of several texts; the first entry, `every`, has the value ``""``."""
    return w.Dropdown(options=[(every, ""), *((option, option) for option in options)], layout=_WIDE)


def text_field(hint: str) -> Widget:
    """A line to type in."""
    return w.Text(placeholder=hint, layout=_WIDE)


def list_of_one(rows: int) -> Widget:
    """A list of which one entry is chosen."""
    return w.Select(options=[], rows=rows, layout=_WIDE)


def list_of_several(rows: int) -> Widget:
    """A list of which several entries can be marked."""
    return w.SelectMultiple(options=[], rows=rows, layout=_WIDE)


def buttons_for(options: Sequence[tuple[str, str]]) -> Widget:
    """One of a few choices, side by side."""
    return w.ToggleButtons(options=options, style={"button_width": "auto"})


def checkbox(words: str) -> Widget:
    """A tick with its words."""
    return w.Checkbox(description=words, indent=False, layout={"width": "auto"})


def button(words: str, icon: str, primary: bool = False) -> Widget:
    """A button."""
    return w.Button(description=words, icon=icon, button_style="primary" if primary else "")


def range_of(options: Sequence[tuple[str, int]]) -> Widget:
    """A slider with two handles over labelled numbers."""
    return w.SelectionRangeSlider(
        options=options, index=(0, len(options) - 1), continuous_update=False, layout=_WIDE
    )


def slider(value: float, high: float, step: float) -> Widget:
    """A slider from 0, in whole numbers where value and step are whole."""
    whole = float(value).is_integer() and float(step).is_integer()
    kind = w.IntSlider if whole else w.FloatSlider
    value, high, step = (round(n) if whole else n for n in (value, high, step))
    form = ",d" if whole else f",.{max(0, math.ceil(-math.log10(step)))}f"
    return kind(value, min=0, max=high, step=step, continuous_update=False, layout=_WIDE, readout_format=form)


def told(said: Widget) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Wrap a handler so that what goes wrong is put in words into the part `said`, never a traceback."""

    def wrap(handler: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(handler)
        def handled(*args: Any) -> None:
            show(said, "")
            try:
                handler(*args)
            except OmnioptError as error:
                show(said, pages.in_words(error))

        return handled

    return wrap

"""Pieces of a page: numbers in words, tables, tiles, figures; and the page, made of an executed notebook.

Whatever comes from data passes `text` on its way into a page; nothing else may carry ``<`` or ``&`` into it.
The page needs no network and runs no script: its content security policy forbids both.
"""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

DASH = "–"
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True, repr=False)
class Fragment:
    """A piece of HTML that a notebook shows.

    Parameters
    ----------
    html : str
        The markup; text from data in it is escaped already.
    """

    html: str

    def __repr__(self) -> str:
        return f"<{len(self.html):,} characters of HTML>"

    def _repr_html_(self) -> str:
        # The style comes along, so that a single cell run in JupyterLab looks like the page.
        return f'<style>{css()}</style><div class="omniopt">{self.html}</div>'


@cache
def css() -> str:
    """The style of report pages."""
    return (Path(__file__).with_name("report.css")).read_text(encoding="utf-8")


def plain(value: object) -> str:
    """Write any value as text; what is missing becomes a dash."""
    missing = (
        value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))
    )
    return DASH if missing else str(value)


def text(value: object) -> str:
    """Write any value as escaped text; what is missing becomes a dash."""
    return html.escape(plain(value))


def number(value: Any, digits: int | None = None) -> str:
    """Write a number for people: thousands separated, no more digits than can be read at a glance.

    Parameters
    ----------
    value : number or None
        Missing values become a dash.
    digits : int, optional
        Decimals; without it, none from 1,000 on, fewer as the number grows.

    Examples
    --------
    >>> number(1234567.8), number(12.3456), number(0.000123), number(7), number(None)
    ('1,234,568', '12.35', '0.000123', '7', '–')
    """
    if value is None or value is pd.NA or not math.isfinite(value):
        return DASH
    if digits is None:
        size = abs(value)
        if float(value).is_integer() or size >= 1000:
            digits = 0
        elif size >= 100:
            digits = 1
        elif size >= 1:
            digits = 2
        else:
            return f"{value:.3g}" if size >= 1e-4 else f"{value:.1e}"
    return f"{round(value, digits) + 0.0:,.{digits}f}"  # adding zero makes a rounded -0.0 a plain 0


def percent(share: Any, digits: int = 1) -> str:
    """Write a share as a percentage; tiny shares keep two significant digits."""
    if share is None or share is pd.NA or not math.isfinite(share):
        return DASH
    if share != 0 and abs(share) < 0.0005:
        return f"{100 * share:.2g} %"
    return f"{100 * share:,.{digits}f} %"


def table(
    frame: pd.DataFrame, formats: Mapping[str, Callable[[Any], str]] | None = None, *, fold: str | None = None
) -> str:
    """Make an HTML table of a frame; numbers stand right, text is escaped.

    Parameters
    ----------
    frame : DataFrame
        The columns' names are the headings.
    formats : mapping, optional
        Column → function that writes a value; `number` for numeric columns and `text` for the others
        where it says nothing. A written number stands right too.
    fold : str, optional
        Put the table behind this heading, to be opened by a click.
    """
    formats = dict(formats or {})
    numeric = {c for c in frame.columns if pd.api.types.is_numeric_dtype(frame[c]) or c in formats}
    write = {c: formats.get(c, number if c in numeric else plain) for c in frame.columns}
    side = {c: ' class="n"' if c in numeric else "" for c in frame.columns}
    head = "".join(f"<th{side[c]}>{text(c)}</th>" for c in frame.columns)
    cells = [[f"<td{side[c]}>{text(write[c](v))}</td>" for v in frame[c]] for c in frame.columns]
    rows = "".join(f"<tr>{''.join(row)}</tr>" for row in zip(*cells, strict=True))
    made = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    return f"<details><summary>{text(fold)}</summary>{made}</details>" if fold else made


def tiles(figures: Iterable[tuple[str, str, str]]) -> str:
    """Show key figures side by side.

    Parameters
    ----------
    figures : iterable of (label, figure, note)
        Plain text; it is escaped here.
    """
    made = (
        f'<div class="tile"><div class="label">{text(label)}</div><div class="figure">{text(figure)}</div>'
        f'<div class="note">{text(note)}</div></div>'
        for label, figure, note in figures
    )
    return f'<div class="tiles">{"".join(made)}</div>'


def picture(svg: str, caption: str) -> str:
    """Put a picture on the page, as an image that cannot run anything.

    Parameters
    ----------
    svg : str
        The picture, as `omniopt.runs.figures` makes it.
    caption : str
        Plain text: what the picture shows. It is also read out to those who cannot see it.
    """
    data = base64.b64encode(svg.encode("utf-8")).decode("ascii")
    return (
        f"<figure><figcaption>{text(caption)}</figcaption>"
        f'<img alt="{text(caption)}" src="data:image/svg+xml;base64,{data}"></figure>'
    )


def words(markdown: str) -> str:
    """Set Markdown as HTML, word for word; HTML in it is shown as text, pictures by their names."""
    import mistune

    class Words(mistune.HTMLRenderer):
        def image(self, text: str, url: str, title: str | None = None) -> str:
            return text

        def heading(self, text: str, level: int, **attributes: object) -> str:
            return f"<h3>{text}</h3>"

    return str(mistune.create_markdown(renderer=Words(escape=True), plugins=["table"])(markdown))


def side_by_side(*pieces: str) -> str:
    """Put pieces next to each other where the window is wide, below each other where it is not."""
    return f'<div class="columns">{"".join(pieces)}</div>'


def paragraph(sentence: str, kind: str = "") -> str:
    """A paragraph of plain text; `kind` may be ``good``, ``bad`` or ``aside``."""
    return f'<p class="{kind}">{text(sentence)}</p>' if kind else f"<p>{text(sentence)}</p>"


def page(notebook: Path, title: str) -> str:
    """Make one self-contained page of an executed notebook, without its code.

    Parameters
    ----------
    notebook : Path
        The executed notebook.
    title : str
        The window's title, plain text.

    Returns
    -------
    str
        A whole HTML document. It needs no network and runs no script.
    """
    import nbformat
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(
        template_name="basic",
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )
    made = nbformat.read(notebook, as_version=4)
    for cell in (cell for cell in made.cells if "outputs" in cell):
        # Warnings are for those who run notebooks, and may name folders; they stay in the notebook.
        cell["outputs"] = [output for output in cell["outputs"] if output.get("name") != "stderr"]
        for output in cell["outputs"]:
            # Every piece brings the style along for JupyterLab; the page needs it once.
            data = output.get("data", {})
            if "text/html" in data:
                data["text/html"] = data["text/html"].replace(f"<style>{css()}</style>", "")
    body, _ = exporter.from_notebook_node(made)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{css()}</style></head>"
        f'<body class="report"><main class="omniopt">{body}</main></body></html>\n'
    )

"""What if: sliders for limits and caps, and the run beside the plan that they give."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omniopt.errors import OmnioptError
from omniopt.review import pages, widgets
from omniopt.review.data import FinishedRun
from omniopt.review.scenario import Knob, Outcome, WhatIf, write_comparison
from omniopt.runs.html import number, paragraph


def what_if(
    run: str | Path = "",
    reports: str | Path = "reports",
    changes: Any = None,
    decisions: bool = False,
    *,
    project: str | Path = "",
    gap: float = 1e-4,
    time_limit: float | None = 120,
    comparison: str | Path = "",
) -> WhatIfPage:
    """Open a finished run to be solved again with changes; solve at once if some are given.

    Parameters
    ----------
    run, reports : str or Path
        See `omniopt.review.review`.
    changes : mapping or str, optional
        Rule → its new maximum, or a mapping of keys of the rule, or ``{"scale": factor}``; also as JSON text.
    decisions : bool
        Apply the vetoes and locks saved beside the run.
    project : str or Path
        The project file, where the run does not name one or it has moved.
    gap : float
        Solve until this gap is proven,
    time_limit : float or None
        or until this many seconds are over.
    comparison : str or Path
        Where to write the comparison as JSON; empty for nowhere.

    Returns
    -------
    WhatIfPage

    Raises
    ------
    BadInput
        When there is no such run. What is wrong with the rest is said on the page instead.
    """
    page = WhatIfPage(FinishedRun.open(run, reports), project, gap, time_limit, comparison)
    page.start(changes, decisions)
    return page


class WhatIfPage:
    """Sliders, and two plans side by side; the parts are for a notebook's cells to show.

    Parameters
    ----------
    run : FinishedRun
    project, gap, time_limit, comparison
        See `what_if`.

    Attributes
    ----------
    overview, controls, result : Widget
    outcome : Outcome or None
        What the last solve gave.
    """

    def __init__(
        self,
        run: FinishedRun,
        project: str | Path = "",
        gap: float = 1e-4,
        time_limit: float | None = 120,
        comparison: str | Path = "",
    ) -> None:
        self.run, self._comparison = run, comparison
        self.outcome: Outcome | None = None
        self.overview = widgets.page(pages.overview(run), styled=True)
        self.result, self._said = widgets.page(), widgets.page()
        self._decisions = widgets.checkbox("apply vetoes and locks")
        self._button = widgets.button("Solve", "play", primary=True)
        self._button.on_click(lambda _: self.solve())
        self._rest: dict[str, dict[str, Any]] = {}
        self._what_if: WhatIf | None = None
        try:
            self._what_if = WhatIf(run, project, gap, time_limit)
        except OmnioptError as error:
            self._fail(error)
        self._button.disabled = self._what_if is None
        knobs = self._what_if.knobs() if self._what_if else []
        self._sliders = [
            (knob, widgets.slider(*(n * _unit(knob) for n in (knob.value, knob.high, knob.step))))
            for knob in knobs
        ]
        rows = [widgets.titled(pages.knob(knob), slider) for knob, slider in self._sliders]
        self.controls = widgets.stack(
            widgets.row(*rows, align="flex-start"), self._decisions, self._button, self._said
        )

    def start(self, changes: Any = None, decisions: bool = False) -> None:
        """Set the sliders to changes given as parameters, and solve if there are any."""
        if self._what_if is None:
            return
        try:
            given = self._what_if.understood({} if changes is None else changes)
        except OmnioptError as error:
            self._fail(error)
            return
        self._rest = {name: dict(change) for name, change in given.items()}
        for knob, slider in self._sliders:
            value = self._rest.get(knob.name, {}).get(knob.key)
            if isinstance(value, int | float) and value >= 0:
                slider.max = max(slider.max, value * _unit(knob))
                slider.value = value * _unit(knob)
                del self._rest[knob.name][knob.key]
        self._decisions.value = bool(decisions)
        if given or decisions:
            self.solve()
        else:
            widgets.show(self.result, paragraph("Nothing was changed yet.", "aside"))

    def changes(self) -> dict[str, dict[str, Any]]:
        """What the sliders, and the parameters beyond them, change; by rule."""
        found = {name: dict(change) for name, change in self._rest.items() if change}
        for knob, slider in self._sliders:
            if slider.value != knob.value * _unit(knob):
                value = slider.value / _unit(knob)
                found.setdefault(knob.name, {})[knob.key] = int(value) if value.is_integer() else value
        return found

    def solve(self) -> None:
        """Solve with what is set, and show the outcome or, in words, why there is none."""
        if self._what_if is None:
            return
        self._button.disabled = True
        widgets.show(self._said, paragraph("Solving …", "aside"))
        try:
            self.outcome = self._what_if.solve(self.changes(), self._decisions.value, self._progress)
            widgets.show(self.result, pages.two_plans(self.outcome))
            widgets.show(self._said, "")
            self._write(self.outcome.as_json() | {"error": None})
        except OmnioptError as error:
            self._fail(error)
        finally:
            self._button.disabled = False

    def _progress(self, _: str, objective: float, bound: float) -> None:
        sign = 1 if self.run.maximises else -1  # the solver always maximises
        found, best = (number(sign * n) if math.isfinite(n) else "…" for n in (objective, bound))
        words = f"Solving: {found} found so far, {best} is the best that may be possible"
        widgets.show(self._said, paragraph(words, "aside"))

    def _fail(self, error: OmnioptError) -> None:
        self.outcome = None
        widgets.show(self._said, "")
        widgets.show(self.result, pages.in_words(error))
        self._write({"error": str(error)})

    def _write(self, content: Mapping[str, Any]) -> None:
        if not str(self._comparison):
            return
        try:
            write_comparison(self._comparison, {"from": self.run.name, **content})
        except OmnioptError as error:
            widgets.show(self._said, pages.in_words(error))


def _unit(knob: Knob) -> float:
    """Scales are shown in percent."""
    return 100.0 if knob.key == "scale" else 1.0

from __future__ import annotations

import json
from pathlib import Path

import pytest
from widget_parts import inside, one, words

from omniopt.review import FinishedRun, overrides, widgets
from omniopt.review.what_if_page import WhatIfPage, what_if


@pytest.fixture
def page(run: FinishedRun, tmp_path: Path) -> WhatIfPage:
    made = WhatIfPage(run, comparison=tmp_path / "comparison.json")
    made.start()
    return made


def slider(page: WhatIfPage, rule: str):
    return next(widget for knob, widget in page._sliders if knob.name == rule)


def test_nothing_is_solved_before_something_changes(page: WhatIfPage, tmp_path: Path) -> None:
    assert "Nothing was changed yet" in words(page.result)
    assert page.changes() == {} and page.outcome is None
    assert not (tmp_path / "comparison.json").exists()


def test_a_slider_and_the_button_give_the_two_plans(page: WhatIfPage, tmp_path: Path) -> None:
    slider(page, "total budget").value = 40
    slider(page, "call desk").value = 50
    assert page.changes() == {"total budget": {"max": 40}, "call desk": {"scale": 0.5}}
    one(page.controls, "Button").click()
    assert page.outcome is not None and page.outcome.after.objective < page.outcome.before.objective
    assert "total budget at most 40 instead of" in words(page.result)
    assert "call desk at 50 % of its maximum" in words(page.result)
    assert page.result.value.count("data:image/svg+xml") == 2 and page.result.value.count("<table") == 2
    said = json.loads((tmp_path / "comparison.json").read_text())
    assert said["from"] == "first" and said["error"] is None
    assert said["what_if"]["objective"] == page.outcome.after.objective
    assert not one(page.controls, "Button").disabled


def test_parameters_set_the_sliders_and_solve(run: FinishedRun) -> None:
    page = what_if(run.folder, changes={"total budget": 1000, "partner guarantee": {"min": 5}, "pressure": 1})
    assert slider(page, "total budget").value == 1000 <= slider(page, "total budget").max
    assert slider(page, "pressure").value == 1
    assert page.changes() == {
        "partner guarantee": {"min": 5}, "total budget": {"max": 1000}, "pressure": {"max": 1},
    }  # fmt: skip
    assert page.outcome is not None and page.outcome.changes == page.changes()


def test_progress_is_told_while_solving(page: WhatIfPage, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    show = widgets.show
    monkeypatch.setattr(widgets, "show", lambda part, html: (told.append(html), show(part, html)))
    slider(page, "total budget").value = 40
    page.solve()
    assert page.outcome is not None
    assert any(f"Solving: {page.outcome.after.objective:.1f} found so far" in html for html in told)
    assert "Solving" not in words(page.controls)


def test_the_tick_applies_the_decisions(page: WhatIfPage) -> None:
    overrides.add(page.run, "veto", page.run.contacts.head(1), "no")
    one(page.controls, "Checkbox").value = True
    page.solve()
    assert page.outcome is not None and page.outcome.vetoes == 1 and "With 1 veto" in words(page.result)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"partner guarantee": {"min": 1000}}, "partner guarantee"),
        ({"total budgt": 1}, "Did you mean 'total budget'?"),
        ("{", "cannot be read as JSON"),
    ],
)
def test_what_goes_wrong_is_said_on_the_page(run: FinishedRun, tmp_path: Path, changes, said: str) -> None:
    page = what_if(run.folder, changes=changes, comparison=tmp_path / "c.json")
    assert said in words(page.result) and page.outcome is None
    assert said in json.loads((tmp_path / "c.json").read_text())["error"]
    if "min" in str(changes):
        assert "No plan keeps all the rules: " in words(page.result)
    page._rest = {}
    slider(page, "total budget").value = 40
    page.solve()
    assert page.outcome is not None and "total budget at most 40" in words(page.result)


def test_a_project_that_is_gone_leaves_a_page_that_says_so(run: FinishedRun) -> None:
    (run.folder.parent.parent / "omniopt.yaml").unlink()
    page = what_if(run.folder, changes={"total budget": 40})
    assert "omniopt.yaml" in words(page.result)
    assert one(page.controls, "Button").disabled and page.changes() == {}
    assert "Contacts" in words(page.overview)


def test_a_comparison_that_cannot_be_written_is_said(run: FinishedRun) -> None:
    page = what_if(
        run.folder, changes={"total budget": 40}, comparison=run.folder / "plan.parquet" / "c.json"
    )
    assert page.outcome is not None and "cannot be written" in words(page.controls)


def test_every_slider_stands_at_the_runs_own_value(page: WhatIfPage) -> None:
    sliders = [w for w in inside(page.controls) if type(w).__name__ in ("IntSlider", "FloatSlider")]
    assert len(sliders) == len(page._sliders) > 3
    for knob, widget in page._sliders:
        assert widget.value == pytest.approx(knob.value * (100 if knob.key == "scale" else 1))

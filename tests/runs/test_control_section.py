"""The report's section on control groups and exploration."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from omniopt.runs import control
from omniopt.runs.notebook import Run


def _section(folder: Path, told: dict[str, Any] | None) -> str:
    run = Run(None, folder)  # type: ignore[arg-type]
    run.keep(control.NAME, told)
    result: Any = SimpleNamespace(run=run, aim="value", offer=lambda name: f"Offer {name}")
    return control.section(result)._repr_html_()


def _told(balance: float) -> dict[str, Any]:
    row = {"share": 0.05, "treated": 950, "control": 50, "rate": 0.1, "detectable_rate": 0.122,
           "money": None, "detectable_money": None}  # fmt: skip
    return {
        "groups": [{"name": "exploration", "unit": "customer", "drawn": 12, "without_draw": 3}],
        "powers": [row | {"name": "control group"}, row | {"name": "control group of offer x"}],
        "strata": [{"stratum": "a", "customers": 500, "held_out": 45, "share": 0.09},
                   {"stratum": "b", "customers": 500, "held_out": 5, "share": 0.01}],
        "balance": balance,
        "costs": {"control": {"estimate": 10.0, "at_most": 10.5}},
    }  # fmt: skip


def test_the_section_says_what_groups_tell_and_cost(tmp_path: Path) -> None:
    said = _section(tmp_path, _told(0.4))
    for words in ("10.00 of value", "10.50 at most", "all offers", "Offer x", "12.20 %", "12 contacts",
                  "For 3 customers", "no more than chance explains"):  # fmt: skip
        assert words in said, words


def test_unequal_strata_are_a_warning(tmp_path: Path) -> None:
    assert "more than chance explains: look at how ids" in _section(tmp_path, _told(1e-9))


def test_without_a_control_group_the_section_says_how_to_get_one(tmp_path: Path) -> None:
    assert "learning: {control: {share: 0.05}}" in _section(tmp_path, None)

"""The report's section on what each rule costs, and over which bounds a limit's price holds."""

from __future__ import annotations

from typing import Any

import pandas as pd

from omniopt.runs import figures
from omniopt.runs.html import Fragment, number, paragraph, picture, side_by_side, table, text
from omniopt.runs.report import Result

_SHOWN = 16  # bars in the picture; the table holds the rest
_WORDS = {
    "contact": "rule for each customer", "conflict": "conflict", "requires": "requirement",
    "guarantee": "minimum", "limit": "limit",
}  # fmt: skip


def rule_costs(result: Result) -> Fragment:
    """What the plan would gain without each rule, and which rules change nothing."""
    values = result.run.frame("rule_values")
    said = _notes(result.certificate.get("notes") or [])
    if values is None:
        words = "This run did not solve again without each rule; with the parameter rule_values it does."
        return Fragment(paragraph(words, "aside") + said)
    if values.empty:
        return Fragment(paragraph("The policy has no rules for each customer and no minimums.") + said)
    values = values.sort_values(["gain_at_least", "gain_at_most"], ascending=False, kind="stable")
    dear = values[values["gain_at_least"] > 0]
    words = "Each rule was left out alone, and the plan made anew. " + (
        f"The dearest is {dear['rule'].iloc[0]}: without it the plan would gain "
        f"{_between(dear['gain_at_least'].iloc[0], dear['gain_at_most'].iloc[0])}."
        if len(dear)
        else "No gain is proven for any of them."
    )
    drawn = [
        figures.Bar(row.rule, row.gain_at_most, _between(row.gain_at_least, row.gain_at_most))
        for row in values.head(_SHOWN).itertuples()
    ]
    made = pd.DataFrame({
        "without": values["rule"],
        "kind": values["kind"].map(_WORDS),
        "gains at least": values["gain_at_least"],
        "at most": values["gain_at_most"],
        "proven": values["status"].map(_proven),
    })  # fmt: skip
    some = f"The {_SHOWN} dearest rules" if len(values) > _SHOWN else "Rules"
    shown = side_by_side(
        picture(figures.bars(drawn), f"{some}: what the plan would gain without each"),
        table(made, {"gains at least": number, "at most": number}),
    )
    return Fragment(paragraph(words, "good") + shown + said)


def ranges(result: Result, rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Columns for the table of limits: where the price holds, and the prices on either side.

    Empty where nobody has asked.
    """
    if all(rule.get("degenerate") is None for rule in rows):
        return {}
    held = [rule.get("price_range") or (None, None) for rule in rows]
    priced = [bool(rule.get("price_range")) for rule in rows]
    found = {
        "price holds from": [ends[0] if p else None for ends, p in zip(held, priced, strict=True)],
        "to": [ends[1] if p else None for ends, p in zip(held, priced, strict=True)],
    }
    if any(rule.get("degenerate") for rule in rows):
        for name, key in (("if raised", "price_more"), ("if lowered", "price_less")):
            found[name] = [_size(rule.get(key)) if rule.get("degenerate") else None for rule in rows]
    return found


def _size(price: float | None) -> float | None:
    return None if price is None else abs(price)


def _between(low: float, high: float) -> str:
    """A gain's two bounds in words; one number where they look the same."""
    if number(low) == number(high):
        return number(high)
    return f"at most {number(high)}" if low <= 0 else f"{number(low)} to {number(high)}"


def _proven(status: str) -> str:
    """How well a gain is known, in words."""
    return {
        "optimal": "exactly", "within_gap": "within the gap", "stopped_early": "stopped by time",
    }.get(status, "changes nothing")  # fmt: skip


def _notes(notes: list[str]) -> str:
    """What the certificate notes about rules that match, change or bind nothing."""
    if not notes:
        return ""
    items = "".join(f"<li>{text(note[:1].upper() + note[1:])}.</li>" for note in notes)
    return f"<h3>Rules to look at</h3><ul>{items}</ul>"

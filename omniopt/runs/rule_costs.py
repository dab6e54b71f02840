"""The report's section on what each rule costs, and over which bounds a limit's price holds."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from omniopt.runs import figures
from omniopt.runs.html import Fragment, number, paragraph, picture, plain, side_by_side, table, text
from omniopt.runs.report import Result

_SHOWN = 16  # bars in the picture; the table holds the rest
_NOTHING = 1e-6  # of the objective
_WORDS = {
    "contact": "contact rule", "conflict": "conflict", "requires": "requirement",
    "guarantee": "minimum", "limit": "limit",
}  # fmt: skip


def rule_costs(result: Result) -> Fragment:
    """What the plan would gain without each rule, and which rules change nothing."""
    values = result.run.frame("rule_values")
    said = _notes(result.certificate.get("notes") or [], {e["name"] for e in result.certificate["rules"]})
    if values is None:
        words = "This run did not solve again without each rule; with the parameter rule_values it does."
        return Fragment(paragraph(words, "aside") + said)
    if values.empty:
        return Fragment(paragraph("The policy has no rules for each customer and no minimums.") + said)
    values = values.sort_values(["gain_at_least", "gain_at_most"], ascending=False, kind="stable")
    dear = values[values["gain_at_least"] > 0]
    # what rounding leaves open is nothing
    least = _NOTHING * max(1.0, abs(result.certificate["objective"]))
    gains = [
        _between(*both, least) for both in zip(values["gain_at_least"], values["gain_at_most"], strict=True)
    ]
    words = "Each rule was left out alone, and the plan made anew. " + (
        f"The dearest is {dear['rule'].iloc[0]}: without it the plan would gain {gains[0]}."
        if len(dear)
        else "No gain is proven for any of them."
    )
    drawn = [
        figures.Bar(rule, most, gain)
        for rule, most, gain in list(zip(values["rule"], values["gain_at_most"], gains, strict=True))[:_SHOWN]
    ]
    made = pd.DataFrame({
        "without": values["rule"],
        "kind": values["kind"].map(_WORDS),
        "gain": gains,
        "proven": values["status"].map(_proven),
    })  # fmt: skip
    some = f"The {_SHOWN} dearest rules" if len(values) > _SHOWN else "Rules"
    shown = side_by_side(
        picture(figures.bars(drawn), f"{some}: what the plan would gain without each"),
        table(made, {"gain": plain}),
    )
    return Fragment(paragraph(words, "good") + shown + said)


def ranges(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Columns for the table of limits: where the price holds, and the prices on either side.

    Empty where they are not known.
    """
    if all(rule.get("degenerate") is None for rule in rows):
        return {}
    found: dict[str, list[Any]] = {}
    held = [_held(rule) for rule in rows]
    if any(held):
        found["price holds"] = held
    if any(rule.get("degenerate") for rule in rows):
        for name, key in (("if raised", "price_more"), ("if lowered", "price_less")):
            found[name] = [_size(rule.get(key)) if rule.get("degenerate") else None for rule in rows]
    return found


def _held(rule: dict[str, Any]) -> str | None:
    """From where to where a price holds, with as many decimals as show it; not for ratios and cells.

    Theirs is of a sum that the reader does not see.
    """
    held = rule.get("price_range")
    if not held or "vacuous" in rule or "opened" in rule:
        return None
    low, high = held
    wide = math.inf if low is None or high is None else high - low
    digits = None if wide > 10 else min(max(math.ceil(1 - math.log10(wide)), 0), 6) if wide > 1e-9 else None
    if low is None:
        return f"up to {number(high)}"
    if high is None:
        return f"from {number(low)}"
    return f"{number(low, digits)} to {number(high, digits)}" if wide > 1e-9 else "nowhere"


def _size(price: float | None) -> float | None:
    return None if price is None else abs(price)


def _between(low: float, high: float, least: float) -> str:
    """A gain's two bounds in words; one number where they look the same, none below the least."""
    if high <= least:
        return "0"
    if number(low) == number(high):
        return number(high)
    return f"at most {number(high)}" if low <= least else f"{number(low)} to {number(high)}"


def _proven(status: str) -> str:
    """How well a gain is known, in words."""
    return {
        "optimal": "exactly", "within_gap": "within the gap", "stopped_early": "stopped by time",
    }.get(status, "changes nothing")  # fmt: skip


def _notes(notes: list[str], rules: set[str]) -> str:
    """What the certificate notes: first of rules that match, change or bind nothing, then the rest."""
    of_rules = [note for note in notes if any(f"'{rule}'" in note for rule in rules)]
    others = [note for note in notes if note not in of_rules]
    return "".join(
        f"<h3>{title}</h3><ul>"
        + "".join(f"<li>{text(note[:1].upper() + note[1:])}.</li>" for note in told)
        + "</ul>"
        for title, told in (("Rules to look at", of_rules), ("Also noted", others))
        if told
    )

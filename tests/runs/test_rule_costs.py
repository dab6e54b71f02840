"""The report's section on what rules cost, and the columns on prices in the table of limits."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html import unescape
from typing import Any

import pandas as pd
from handmade import CERTIFICATE, EVIL

from omniopt.runs import rule_costs, sections
from omniopt.runs.html import Fragment
from omniopt.runs.report import Result

VALUES = pd.DataFrame(
    {
        "rule": ["pressure", EVIL, "quota"], "kind": ["contact", "conflict", "guarantee"],
        "objective_without": [80.0, 69.0, 69.0], "bound_without": [80.5, 69.2, 69.0],
        "gain_at_least": [11.25, 0.0, 0.0], "gain_at_most": [11.5, 0.2, 0.0],
        "status": ["within_gap", "stopped_early", "changes nothing"], "seconds": [1.0, 2.0, 0.0],
    }
)  # fmt: skip
RANGE = {"price_range": [4.0, 9.5], "degenerate": True, "price_more": 1.25, "price_less": 2.5}


def words_of(piece: Fragment) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", piece.html)).split())


def drawn_in(piece: Fragment) -> list[str]:
    return [base64.b64decode(data).decode() for data in re.findall(r"base64,([^\"]+)", piece.html)]


def with_values(result: Result, frame: pd.DataFrame) -> Result:
    result.run.keep("rule_values", frame)
    return result


def with_limits(result: Result, **changes: Any) -> Result:
    first, *others = CERTIFICATE["rules"]
    blank = dict.fromkeys(RANGE) | {"degenerate": False if changes else None}
    others = [o | blank if o["kind"] == "limit" else o for o in others]
    return replace(result, certificate=CERTIFICATE | {"rules": [first | (changes or blank), *others]})


def test_gains_are_told_with_both_bounds_dearest_first(result: Result) -> None:
    piece = rule_costs.rule_costs(with_values(result, VALUES))
    said = words_of(piece)
    assert "The dearest is pressure: without it the plan would gain 11.25 to 11.50." in said
    assert said.index("pressure") < said.index("quota")
    for words in (
        "within the gap",
        "stopped by time",
        "changes nothing",
        "contact rule",
        "minimum",
    ):
        assert words in said
    [bars] = drawn_in(piece)
    assert "at most 0.2" in bars and EVIL not in piece.html


def test_nothing_is_claimed_where_no_gain_is_proven(result: Result) -> None:
    said = words_of(rule_costs.rule_costs(with_values(result, VALUES.iloc[1:])))
    assert "No gain is proven for any of them." in said and "dearest is" not in said


def test_without_values_the_parameter_is_named(result: Result) -> None:
    assert "with the parameter rule_values it does" in words_of(rule_costs.rule_costs(result))


def test_a_policy_without_such_rules(result: Result) -> None:
    said = words_of(rule_costs.rule_costs(with_values(result, VALUES.iloc[:0])))
    assert "no rules for each customer and no minimums" in said


def test_notes_are_rules_to_look_at(result: Result) -> None:
    notes = ["limit 'a' binds nowhere", f"rule '{EVIL}' drops nothing"]
    noted = replace(result, certificate=CERTIFICATE | {"notes": notes})
    piece = rule_costs.rule_costs(noted)
    assert "Limit 'a' binds nowhere." in words_of(piece) and EVIL not in piece.html
    assert "Rules to look at" not in words_of(rule_costs.rule_costs(result))


def test_notes_of_no_rule_stand_apart(result: Result) -> None:
    name = CERTIFICATE["rules"][0]["name"]
    notes = ["too many candidates to list those not chosen", f"limit '{name}' binds nowhere"]
    said = words_of(rule_costs.rule_costs(replace(result, certificate=CERTIFICATE | {"notes": notes})))
    first, second = said.split("Also noted")
    assert f"Limit '{name}' binds nowhere." in first.split("Rules to look at")[1]
    assert "Too many candidates to list those not chosen." in second


def test_limits_show_where_their_price_holds(result: Result) -> None:
    said = words_of(sections.limits(with_limits(result, **RANGE)))
    for words in ("price holds", "4.0 to 9.5", "if raised", "1.25", "if lowered", "2.5", "two prices meet"):
        assert words in said
    plain = words_of(sections.limits(with_limits(result, **RANGE | {"degenerate": False})))
    assert "price holds" in plain and "if raised" not in plain and "two prices" not in plain


def test_the_range_of_a_price_is_told_so_that_it_can_be_seen() -> None:
    ends = ([1999.7268, 2000.61], [None, 8.0], [8.0, None], [3.0, 3.0], [100, 2500.5])
    told = ["1,999.73 to 2,000.61", "up to 8", "from 8", "nowhere", "100 to 2,500"]
    rows: list[dict[str, Any]] = [{"degenerate": False, "price_range": list(pair)} for pair in ends]
    assert rule_costs.ranges(rows)["price holds"] == told
    assert rule_costs.ranges([rows[0] | {"vacuous": False}]) == {}


def test_limits_say_nothing_of_ranges_that_nobody_asked_for(result: Result) -> None:
    assert "price holds" not in words_of(sections.limits(with_limits(result)))
    assert "price holds" not in words_of(sections.limits(result))

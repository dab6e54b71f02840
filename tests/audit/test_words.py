"""Every word of the language in a world made by hand: the truth is accepted, every lie is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small import WORLDS, World, entries


@pytest.mark.parametrize("name", WORLDS)
def test_the_truth_is_accepted(name: str, tmp_path: Path) -> None:
    world = WORLDS[name]().write(tmp_path)
    result = world.verify()
    assert result.ok, str(result)
    assert result.objective == world.certificate["objective"]
    assert result.bound_proven == pytest.approx(world.certificate["bound_from_prices"])


Lie = tuple[str, Callable[[World], Any], list[str]]


def say(name: str, key: str, value: object, number: int = 0) -> Callable[[World], Any]:
    """Write something else into a rule's entry."""
    return lambda world: world.edit(lambda c: entries(c, name)[number].update({key: value}))


def top(**values: object) -> Callable[[World], Any]:
    return lambda world: world.edit(lambda c: c.update(values))


def rank(number: int, **values: object) -> Callable[[World], Any]:
    return lambda world: world.edit(lambda c: c["ranks"][number].update(values))


def rule(section: str, number: int, **keys: object) -> Callable[[World], Any]:
    return lambda world: world.change(lambda policy: policy[section][number].update(keys))


def without(name: str, number: int = 0) -> Callable[[World], Any]:
    return lambda world: world.edit(lambda c: c["rules"].remove(entries(c, name)[number]))


def more(*rows: tuple) -> Callable[[World], Any]:
    """Rows that the plan should not have, beside those that it has."""
    return lambda world: world.choose(*sorted([*world.plan, *rows], key=lambda row: (row[0], row[4], row[1])))


def less(*keys: tuple[str, str]) -> Callable[[World], Any]:
    return lambda world: world.choose(*[row for row in world.plan if row[:2] not in keys])


def add_window(world: World) -> None:
    """The window from day 5 holds what that from day 4 holds, and is not listed."""
    same = lambda c: {**entries(c, "load")[5], "group": {"from": 5}}  # noqa: E731
    world.edit(lambda c: c["rules"].append(same(c)))


LIES: dict[str, list[Lie]] = {
    "rolling": [
        (
            "a window too full with history",
            more(("v", "a2", "loan", "email", 2, 3.0, 3.0, 0.0)),
            ["broken for 3 days from day 0: 3 is used, at most 2", "from day 1: 3 is used"],
        ),
        (
            "a window too empty",
            less(("u", "a3")),
            ["rule 'steady': broken for 3 days from day 2: 0 is reached, at least 1 is required"],
        ),
        ("a window left out", without("load", 3), ["rule 'load': the certificate has no entry for from=2"]),
        ("a window too many", add_window, ["rule 'load': the policy has no such limit for from=5"]),
        (
            "another day",
            say("load", "group", {"from": 5}, 5),
            ["no entry for from=4", "no such limit for from=5"],
        ),
        ("history forgotten", say("load", "history", 0.0, 1), ["history is 1 for from day 0"]),
        ("history not counted", say("load", "used", 1.0, 1), ["used is 2 for from day 0"]),
        ("a history nobody had", say("steady", "history", 1.0, 1), ["rule 'steady': history is 0"]),
        ("a slack", say("load", "slack", 1.0, 0), ["slack is 0 for from day -1"]),
        (
            "a minimum beside history",
            rule("limits", 1, min=2),
            ["rule 'steady': broken for 3 days from day 2: 1 is reached, at least 2"],
        ),
        ("longer windows", rule("limits", 0, rolling_days=4), ["rule 'load': broken for 4 days from day 0"]),
        ("rows counted twice", top(coupling_rows=10), ["column coupling_rows: it says 10, there are 9"]),
        ("a price", say("load", "price", 2.5, 1), ["column bound_from_prices: the prices prove 11.5"]),
    ],
    "cells": [
        (
            "a cell half full",
            less(("v", "n1")),
            ["broken for customer.region n: 1 is reached, none or at least 2 is required"],
        ),
        (
            "a cell opened for one",
            more(("y", "n1", "new", "email", 1, 3.0, 3.0, 3.0)),
            ["broken for customer.region s: 1 is reached", "opened: the group is open", "fixed_cost is 10"],
        ),
        ("a cell said shut", say("launch", "opened", False), ["opened: the group is open"]),
        ("a cell said open", say("launch", "opened", True, 1), ["opened: the group is not open"]),
        ("a word for open", say("letters", "opened", "yes"), ["opened: the group is open"]),
        ("a cost not paid", say("launch", "fixed_cost", 0.0), ["fixed_cost is 5, the certificate says 0.0"]),
        ("costs left out", top(fixed_cost=0.0), ["fixed_cost is 5, the certificate says 0.0"]),
        ("penalties left out", top(penalties=0.0), ["penalties is 2, the certificate says 0.0"]),
        (
            "an objective before costs",
            top(objective=14.0, bound=14.0),
            ["column objective: it says 14, the plan's contacts give 9"],
        ),
        ("a miss", say("guarantee", "missed_by", 0.0), ["missed_by is 1, the certificate says 0.0"]),
        ("a penalty", say("guarantee", "penalty_paid", 1.0), ["penalty_paid is 2, the certificate says 1.0"]),
        (
            "a price beyond the penalty",
            say("guarantee", "price", -3.0),
            ["rule 'guarantee': the price -3 proves nothing: a unit may be missed for 2"],
        ),
        ("a cheaper miss", rule("limits", 1, penalty=1), ["penalty_paid is 1", "objective: it says 9"]),
        (
            "a miss that is not for sale",
            rule("limits", 1, penalty=None),
            ["broken: 2 is reached, at least 3"],
        ),
        (
            "a rule only watched",
            say("guarantee", "report_only", True),
            ["rule 'guarantee': the rule is no rule for the report only"],
        ),
        ("a rule not only watched", say("watch", "report_only", False), ["the rule is for the report only"]),
        ("a price of watching", say("watch", "price", -1.0), ["rule 'watch': price is 0"]),
        ("a watched miss", say("watch", "missed_by", 0.0), ["rule 'watch': missed_by is 2"]),
        ("a row that is watched", top(coupling_rows=8), ["column coupling_rows: it says 8, there are 7"]),
        ("a ratio without costs", say("hurdle", "used", 4.0), ["rule 'hurdle': used is 1.777777778"]),
        (
            "a ratio that costs break",
            rule("limits", 2, min=2),
            ["rule 'hurdle': broken: the ratio is 1.7777"],
        ),
        ("a bound from nowhere", top(bound_from_prices=10.0), ["the prices prove 18, not 10"]),
    ],
    "people": [
        (
            "one of two",
            less(("bob", "a4")),
            ["rule 'two or none': broken: customer bob has 1 contacts in the horizon, at least 2 or none"],
        ),
        (
            "nobody welcomed",
            less(("cal", "a3")),
            ["rule 'welcome': broken: customer cal has 0 contacts in the horizon, at least 1"],
        ),
        (
            "a card without the account",
            more(("ann", "a2", "card", "call", 6, 8.0, 8.0, 0.0)),
            ["rule 'account first': broken: customer ann has a2 on 2026-12-01 without what it needs"],
        ),
        (
            "a home too full",
            more(
                ("ann", "a2", "card", "call", 6, 8.0, 8.0, 0.0),
                ("ann", "a3", "account", "email", 2, -1.0, -1.0, 0.0),
            ),
            ["rule 'home': broken: household h1 has 4 contacts in the horizon, at most 3"],
        ),
        (
            "two agents",
            more(("cal", "a1", "loan", "email", 5, -2.0, -2.0, 0.0)),
            ["rule 'one agent': broken: customer cal has 2 values of action.agent in the horizon, at most 1"],
        ),
        (
            "a week too full with a commitment",
            rule("contact", 0, max=2),
            ["rule 'weekly': broken: customer bob has 3 contacts in the week of 2026-11-30, at most 2"],
        ),
        (
            "months for weeks",
            rule("contact", 0, every="month"),
            ["rule 'weekly': used is 2, the certificate says 3"],
        ),
        (
            "a longer way to the account",
            rule("requires", 0, days=3),
            ["column advantage: it says 1, at the certificate's prices it is 8"],
        ),
        ("a count of the week", say("weekly", "used", 2), ["rule 'weekly': used is 3"]),
        ("a count of the home", say("home", "used", 3), ["rule 'home': used is 2"]),
        ("a room of the home", say("home", "slack", 0), ["rule 'home': slack is 1"]),
        ("agents at the cap", say("one agent", "at_cap", 1), ["rule 'one agent': at_cap is 2"]),
        ("a lower minimum", say("welcome", "min", 0), ["rule 'welcome': min is 1"]),
        ("a maximum where there is none", say("welcome", "max", 5), ["rule 'welcome': max is nothing"]),
        ("room above the minimum", say("two or none", "slack", 1), ["rule 'two or none': slack is 0"]),
        ("a card that was not sold", say("account first", "used", 1), ["rule 'account first': used is 0"]),
        (
            "a requirement left out",
            without("account first"),
            ["rule 'account first': the certificate has no"],
        ),
        (
            "a bound without the minimum",
            top(bound=5.0, objective=5.0, bound_from_prices=5.0),
            ["column objective: it says 5", "the prices prove 6, not 5"],
        ),
        (
            "an advantage without the minimum",
            lambda world: world.edit_plan(lambda p: p.assign(advantage=[1.0, 1.0, 0.0])),
            ["row 3, column advantage: it says 0, at the certificate's prices it is 3"],
        ),
        (
            "a minimum nobody can keep",
            rule("contact", 2, min=4),
            ["customer cal has 1", "no set of contacts"],
        ),
    ],
    "ranks": [
        ("ranks left out", top(ranks=[]), ["column ranks: there are 2 ranks to tell of, it tells of 0"]),
        (
            "a better best",
            rank(0, best=25.0, bound=25.0),
            ["the plan is worth 19, and keeps 25 not within 0.1"],
        ),
        (
            "a best that the plan beats",
            rank(1, best=3.0, bound=3.0),
            ["rule 'objective 2': the plan is worth 2, more than the best, 3"],
        ),
        ("another share", rank(0, within=0.2), ["column within, rule 'objective 1': it says 0.2"]),
        (
            "another sense",
            rank(1, sense="maximise"),
            ["column sense, rule 'objective 2': it says 'maximise'"],
        ),
        ("another objective", rank(1, objective_expr="cost"), ["column objective_expr, rule 'objective 2'"]),
        ("fewer contacts", rank(1, objective=1.0), ["column objective, rule 'objective 2': it says 1"]),
        ("a gap", rank(1, gap=0.5), ["column gap, rule 'objective 2': it says 0.5"]),
        (
            "a bound that is no bound",
            rank(1, bound=2.5, gap=0.2, status="stopped_early"),
            ["column bound, rule 'objective 2': the bound 2.5 lies above the best 2"],
        ),
        ("a status", rank(1, status="within_gap"), ["column status, rule 'objective 2': it says within_gap"]),
        ("optimal after giving up value", top(status="optimal"), ["column status: it says optimal"]),
        (
            "a bound that prices do not prove",
            rank(1, bound_from_prices=1.9),
            ["column bound_from_prices, rule 'objective 2': the prices prove 1.8, not 1.9"],
        ),
        (
            "a price of the wrong sign",
            rank(1, rank_prices=[0.1]),
            ["the price 0.1 of an earlier objective has the wrong sign"],
        ),
        (
            "prices of too many rows",
            rank(1, prices=[0.0, 0.0]),
            ["column prices, rule 'objective 2': there must"],
        ),
        ("no prices of ranks", rank(1, rank_prices=None), ["column rank_prices, rule 'objective 2'"]),
        ("prices in words", rank(1, prices=["low"]), ["column prices, rule 'objective 2': it says 'low'"]),
        (
            "other prices than the rules'",
            rank(0, prices=[0.5]),
            ["rule 'most': the first objective's prices are not the rule's"],
        ),
        (
            "two bounds",
            rank(0, bound_from_prices=21.0),
            ["column bound_from_prices: it says 20.0, the first"],
        ),
        (
            "one rank less in the policy",
            lambda world: world.change(lambda policy: policy["objective"].pop()),
            ["there are 0 ranks to tell of, it tells of 2"],
        ),
        ("ranks that are none", top(ranks=["first", "second"]), ["column ranks: there are 2 ranks"]),
    ],
    "refusals": [
        (
            "a contact too soon",
            more(("ann", "a1", "loan", "call", 2, 1.0, 1.0, 1.0)),
            ["customer ann, action a1 is chosen, but is no candidate: rest"],
        ),
        (
            "a call on a line that is down",
            more(("dan", "a1", "loan", "call", 2, 1.0, 1.0, 1.0)),
            ["customer dan, action a1 is chosen, but is no candidate: line down"],
        ),
        (
            "a shorter rest",
            lambda world: world.change(lambda policy: policy["eligibility"][0].update(for_days=31)),
            ["customer ann, action a2 is chosen, but is no candidate: rest", "dropped is 2"],
        ),
        (
            "a longer memory",
            lambda world: world.change(
                lambda policy: policy["eligibility"][0]["after"].update(within_days=11)
            ),
            ["customer bob, action a1 is chosen, but is no candidate: rest"],
        ),
        (
            "any refusal",
            lambda world: world.change(lambda policy: policy["eligibility"][0].update(drop_same="all")),
            ["customer cal, action a1 is chosen, but is no candidate: rest"],
        ),
        ("a count", say("rest", "dropped", 2), ["rule 'rest': dropped is 1"]),
        ("a reason", top(dropped={"rest": 2}), ["1 candidates are dropped for 'line down'"]),
    ],
}


@pytest.mark.parametrize(("name", "lie"), [(name, lie[0]) for name, lies in LIES.items() for lie in lies])
def test_every_lie_is_found(name: str, lie: str, tmp_path: Path) -> None:
    world = WORLDS[name]().write(tmp_path)
    _, tell, expected = next(one for one in LIES[name] if one[0] == lie)
    tell(world)
    result = world.verify()
    said = "\n".join(map(str, result.findings))
    assert not result.ok
    for words in expected:
        assert words in said, said


# What the inputs do not determine, what may be left empty, and targets that any plan without a gap meets.
UNCHECKED = {"source", "customers", "changes", "group", "gap_target"}
JUNK = [None, True, 0, -1, 1e400, "x", [], {}, [1], {"a": 1}, [{}], [["a"]], 10**400]


def places(value: object, path: tuple = ()) -> list[tuple]:
    """Every place in a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, part in inside for place in [(*path, key), *places(part, (*path, key))]]


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_no_junk_in_a_certificate_ends_in_a_traceback(name: str, tmp_path: Path) -> None:
    world = WORLDS[name]().write(tmp_path)
    text = (tmp_path / "certificate.json").read_text()
    passed = []
    for k, place in enumerate(places(json.loads(text))):
        for junk in (JUNK[k % len(JUNK)], JUNK[(5 * k + 3) % len(JUNK)]):
            said = json.loads(text)
            part = said
            for key in place[:-1]:
                part = part[key]
            true, part[place[-1]] = part[place[-1]], junk
            (tmp_path / "certificate.json").write_text(json.dumps(said))
            if world.verify().ok and junk != true:
                passed.append(place[-1])
    assert set(passed) <= UNCHECKED

"""A plan that is true is accepted; every lie about it is found, and the right place is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import mini
import pandas as pd
import pytest
from mini import CERTIFICATE, edit, edit_plan, edit_policy, rule

from omniopt.audit import verify

Lie = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return mini.make(tmp_path)


def test_a_true_plan_is_accepted(folder: Path) -> None:
    result = verify(folder)
    assert result.ok, str(result)
    assert result.objective == result.bound_proven == result.solver_bound == 37.0
    assert [name for name, _, _ in result.checks][-1] == "bound from the prices"
    assert "findings" not in str(result)


def at_row(customer: str, action: str) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda frame: (frame["customer_id"] == customer) & (frame["action_id"] == action)


def set_cell(customer: str, action: str, column: str, value: object) -> Lie:
    def change(frame: pd.DataFrame) -> None:
        frame.loc[at_row(customer, action)(frame), column] = value

    return lambda folder: edit_plan(folder, change)


def swap(customer: str, old: str, new: tuple) -> Lie:
    """Put another contact in the place of one, and keep everything else."""
    offer, channel, date, value, cost = new[1:]

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        row = at_row(customer, old)(frame)
        cells = [new[0], offer, channel, pd.Timestamp(date), value, cost, value - cost]
        for column, cell in zip(
            ("action_id", "offer_id", "channel", "date", "value", "cost", "objective"), cells, strict=True
        ):
            frame.loc[row, column] = cell
        return frame.sort_values(["customer_id", "date", "action_id"])

    return lambda folder: edit_plan(folder, change)


def put(key: str, value: object) -> Lie:
    return lambda folder: edit(folder, lambda c: c.update({key: value}))


def put_rule(name: str, key: str, value: object, **group: str) -> Lie:
    return lambda folder: edit(folder, lambda c: rule(c, name, **group).update({key: value}))


def add_row(*cells: object) -> Lie:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        row = dict(zip(frame.columns, cells, strict=True))
        return pd.concat([frame, pd.DataFrame([row])]).sort_values(["customer_id", "date", "action_id"])

    return lambda folder: edit_plan(folder, change)


def row(customer: str, action: str, offer: str, channel: str, date: str, value: float, cost: float) -> tuple:
    return (
        customer,
        action,
        offer,
        channel,
        pd.Timestamp(date),
        None,
        value,
        cost,
        float("nan"),
        value - cost,
        0.0,
    )


def lock_out(folder: Path) -> None:
    edit(folder, lambda c: c.update(changes={"locks": [["bob", "a4", "promised"]]}))


def veto(folder: Path) -> None:
    edit(folder, lambda c: c.update(changes={"vetoes": [["cal", "a4", "complained"]]}))


def touch_customers(folder: Path) -> None:
    path = folder.parent / "customers.csv"
    path.write_text(path.read_text().replace("cal,s", "cal,w").replace("\ncal", "\r\ncal"))
    capacity = folder.parent / "capacity.csv"
    capacity.write_text(capacity.read_text() + "w,10\n")


def drop_rule(name: str) -> Lie:
    return lambda folder: edit(folder, lambda c: c.update(rules=[r for r in c["rules"] if r["name"] != name]))


LIES: dict[str, tuple[Lie, list[str]]] = {
    "a row too many": (
        add_row(*row("bob", "a4", "card", "call", "2026-12-01", 11, 5)),
        [
            "rule 'call desk': broken for customer.region n: 20 is used, at most 10",
            "column objective: it says 37",
        ],
    ),
    "a row too few": (
        lambda folder: edit_plan(folder, lambda f: f.iloc[1:]),
        ["column objective: it says 37, the plan's contacts give 28", "rule 'budget': used is 11"],
    ),
    "a row twice": (
        lambda folder: edit_plan(folder, lambda f: f.iloc[[0, 0, 1, 2, 3]]),
        ["plan.parquet, row 2: customer ann, action a1 is chosen twice"],
    ),
    "a customer who does not exist": (
        add_row(*row("zoe", "a1", "loan", "email", "2026-11-23", 1, 1)),
        ["plan.parquet, row 5: customer zoe, action a1: there is no such candidate"],
    ),
    "a swapped date": (
        set_cell("ann", "a3", "date", pd.Timestamp("2026-11-25")),
        ["plan.parquet, row 2, column date: it says 2026-11-25, the inputs give 2026-11-24"],
    ),
    "another channel": (
        set_cell("bob", "a2", "channel", "call"),
        ["plan.parquet, row 3, column channel: it says call, the inputs give email"],
    ),
    "a fallback that is none": (
        set_cell("bob", "a2", "fallback", "call"),
        ["plan.parquet, row 3, column fallback: it says call, the inputs give nothing"],
    ),
    "rows in another order": (
        lambda folder: edit_plan(folder, lambda f: f.iloc[[1, 0, 2, 3]]),
        ["not sorted by customer_id, date, action_id"],
    ),
    "a changed cost": (
        set_cell("cal", "a4", "cost", 4.0),
        ["plan.parquet, row 4, column cost: it says 4, the inputs give 5"],
    ),
    "a changed objective in a row": (
        set_cell("cal", "a4", "objective", 16.0),
        ["plan.parquet, row 4, column objective: it says 16, the inputs give 15"],
    ),
    "a changed advantage": (
        set_cell("cal", "a4", "advantage", 15.0),
        ["plan.parquet, row 4, column advantage: it says 15, at the certificate's prices it is 11"],
    ),
    "an objective raised by a thousandth": (
        put("objective", 37.001),
        ["column objective: it says 37.001", "column bound: the bound 37 lies below the objective 37.001"],
    ),
    "a bound below the objective": (
        put("bound", 36.9),
        ["column bound: the bound 36.9 lies below the objective 37", "column gap"],
    ),
    "a gap that is wrong": (put("gap", 1e-5), ["column gap: it says 1e-05; objective and bound give 0"]),
    "optimal with a gap": (
        lambda folder: edit(
            folder, lambda c: c.update(bound=37.002, bound_from_prices=37.002, gap=0.002 / 37.002)
        ),
        ["column status: it says optimal", "is called within_gap"],
    ),
    "within a gap that is larger": (
        lambda folder: edit(folder, lambda c: c.update(status="within_gap", bound=38.0, gap=1 / 38)),
        ["column status: it says within_gap", "is called stopped_early"],
    ),
    "a bound the prices do not prove": (
        lambda folder: [put("bound_from_prices", 36.5)(folder)],
        ["column bound_from_prices: the prices prove 37, not 36.5"],
    ),
    "a changed price": (
        put_rule("call desk", "price", 0.2, customer_region="n"),
        ["column bound_from_prices: the prices prove 41, not 37"],
    ),
    "a price of the wrong sign": (
        put_rule("call desk", "price", -0.6, customer_region="n"),
        ["rule 'call desk': the price -0.6 needs a minimum, and the row has none"],
    ),
    "a decomposed bound that is only said": (
        lambda folder: [
            put("solver", "decomposed")(folder),
            put_rule("call desk", "price", 0.65, customer_region="n")(folder),
            put("bound_from_prices", 37.0)(folder),
            put_rule("call desk", "price", 0.55, customer_region="n")(folder),
        ],
        ["column bound: the prices prove 37.5, the bound 37 is not proven"],
    ),
    "a changed input": (
        touch_customers,
        ["customers.csv: the input is not the one the plan was made from"],
    ),
    "an input nobody named": (
        lambda folder: edit(folder, lambda c: c["inputs"].pop("history")),
        ["table history, column inputs: the certificate does not name this input"],
    ),
    "wrong number of rows": (
        lambda folder: edit(folder, lambda c: c["inputs"]["history"].update(rows=3)),
        ["table history: it says 3 rows, there are 2"],
    ),
    "an ineligible contact": (
        swap("ann", "a3", ("a2", "card", "email", "2026-11-25", 8.0, 1.0)),
        ["customer ann, action a2 is chosen, but is no candidate: card holders"],
    ),
    "no consent": (
        swap("cal", "a4", ("a1", "loan", "email", "2026-11-23", 99.0, 1.0)),
        ["customer cal, action a1 is chosen, but is no candidate: no consent for email"],
    ),
    "a window broken only through history": (
        add_row(*row("bob", "a1", "loan", "email", "2026-11-23", 6, 1)),
        ["rule 'pressure': broken: customer bob has 3 contacts in 7 days from 2026-11-20, at most 2"],
    ),
    "a conflict": (
        add_row(*row("cal", "a3", "loan", "call", "2026-11-24", 9, 5)),
        ["rule 'calls apart': broken: customer cal has both a3 on 2026-11-24 and a4 on 2026-12-01"],
    ),
    "a ratio": (
        lambda folder: edit_policy(folder, lambda p: p["limits"][2].update(min=4.1)),
        ["rule 'hurdle': broken: the ratio is 4.0833", "rule 'hurdle': min is 4.1, the certificate says 1.5"],
    ),
    "a share": (
        lambda folder: edit_policy(folder, lambda p: p["limits"][3].update(max=0.4)),
        ["rule 'call share': broken: the ratio is 0.5, its max is 0.4"],
    ),
    "a minimum": (
        lambda folder: edit_policy(folder, lambda p: p["limits"][0].update(min=12.5, max=20)),
        ["rule 'budget': broken: 12 is reached, at least 12.5 is required"],
    ),
    "a capacity exceeded by one": (
        lambda folder: edit_policy(folder, lambda p: p["limits"][0].update(max=11)),
        ["rule 'budget': broken: 12 is used, at most 11 is allowed"],
    ),
    "a rule left out": (drop_rule("hurdle"), ["rule 'hurdle': the certificate has no entry with a min"]),
    "a contact rule left out": (drop_rule("pressure"), ["rule 'pressure': the certificate has no entry"]),
    "a conflict left out": (drop_rule("calls apart"), ["rule 'calls apart': the certificate has no entry"]),
    "a group left out": (
        lambda folder: edit(folder, lambda c: c["rules"].remove(rule(c, "call desk", customer_region="s"))),
        ["rule 'call desk': the certificate has no entry for customer.region=s"],
    ),
    "a rule too many": (
        lambda folder: edit(folder, lambda c: c["rules"].append({**rule(c, "budget"), "name": "made up"})),
        ["rule 'made up': the policy has no such limit"],
    ),
    "an entry twice": (
        lambda folder: edit(folder, lambda c: c["rules"].append(rule(c, "budget"))),
        ["rule 'budget': two entries"],
    ),
    "a used value": (
        put_rule("budget", "used", 11.0),
        ["rule 'budget': used is 12, the certificate says 11.0"],
    ),
    "a slack": (put_rule("hurdle", "slack", 30.0), ["rule 'hurdle': slack is 31, the certificate says 30.0"]),
    "a bound of a rule": (
        put_rule("budget", "max", 13.0),
        ["rule 'budget': max is 12, the certificate says 13.0"],
    ),
    "a missed limit": (
        put_rule("budget", "missed_by", 1.0),
        ["rule 'budget': missed_by is 0, the certificate says 1.0"],
    ),
    "a contact rule's count": (put_rule("pressure", "used", 1), ["rule 'pressure': used is 2"]),
    "a contact rule's cap": (put_rule("pressure", "max", 3), ["rule 'pressure': max is 2"]),
    "customers at the cap": (put_rule("pressure", "at_cap", 3), ["rule 'pressure': at_cap is 2"]),
    "too few dropped": (
        put("dropped", {"no consent for email": 1, "card holders": 2}),
        ["column dropped: 2 candidates are dropped for 'no consent for email', the certificate says 1"],
    ),
    "an eligibility count": (put_rule("card holders", "dropped", 1), ["rule 'card holders': dropped is 2"]),
    "the number of candidates": (put("candidates", 12), ["column candidates: it says 12, there are 8"]),
    "the number of customers": (put("customers", 4), ["column customers: it says 4, there are 3"]),
    "the number of rows": (put("coupling_rows", 4), ["column coupling_rows: it says 4, there are 5"]),
    "another sense": (put("sense", "minimise"), ["column sense: it says 'minimise'"]),
    "another horizon": (put("horizon", None), ["column horizon: it says None"]),
    "a solver nobody knows": (put("solver", "oracle"), ["column solver: 'oracle' is no solver"]),
    "a veto ignored": (veto, ["customer cal, action a4 is chosen, but is no candidate: veto"]),
    "a lock ignored": (lock_out, ["customer bob, action a4 is locked, but the plan does not have it"]),
    "a change of a rule nobody has": (
        put("changes", {"limits": {"bugdet": {"max": 1}}}),
        ["rule 'bugdet': the certificate changes a rule the policy does not have"],
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_every_lie_is_found(folder: Path, name: str) -> None:
    lie, expected = LIES[name]
    lie(folder)
    result = verify(folder)
    said = "\n".join(map(str, result.findings))
    assert not result.ok
    for words in expected:
        assert words in said


BROKEN: dict[str, tuple[Lie, str]] = {
    "no certificate": (lambda f: (f / "certificate.json").unlink(), "there is no certificate"),
    "no JSON": (lambda f: (f / "certificate.json").write_text("{"), "certificate.json: it cannot be read"),
    "a list": (lambda f: (f / "certificate.json").write_text("[]"), "it is no mapping"),
    "no plan": (lambda f: (f / "plan.parquet").unlink(), "there is no plan"),
    "no parquet": (lambda f: (f / "plan.parquet").write_text("nothing"), "plan.parquet: it cannot be read"),
    "a column less": (
        lambda f: edit_plan(f, lambda p: p.drop(columns="cost")),
        "column cost: the column is missing",
    ),
    "a column more": (lambda f: edit_plan(f, lambda p: p.assign(x=1)), "column x: a plan has no such column"),
    "no project": (put("project", None), "names no project file"),
    "a project that is gone": (put("project", "../nowhere"), "nowhere"),
    "no objective": (put("objective", None), "column objective: it says nothing where a number must be"),
    "an infinite bound": (put("bound", float("inf")), "column bound: it says inf"),
    "a price that is text": (put_rule("budget", "price", "low"), "rule 'budget': it says 'low'"),
    "no rules": (put("rules", {}), "column rules: it holds no list of rules"),
    "an entry that is text": (lambda f: edit(f, lambda c: c["rules"].append("x")), "an entry is no mapping"),
    "no inputs": (put("inputs", []), "does not say what it was made from"),
    "changes that are text": (put("changes", "none"), "changes"),
    "locks that are numbers": (
        put("changes", {"locks": [1]}),
        "'locks' is not a list of customer and action",
    ),
    "dropped that is a list": (put("dropped", [1]), "dropped"),
    "an unknown status": (put("status", "perfect"), "'perfect' is no status"),
    "infeasible": (put("status", "infeasible"), "there is a plan, though the certificate says infeasible"),
    "a table that is gone": (lambda f: (f.parent / "offers.csv").unlink(), "offers"),
    "cells that are text": (lambda f: edit_plan(f, lambda p: p.assign(cost="x")), "column cost"),
    "dates that are text": (lambda f: edit_plan(f, lambda p: p.assign(date="soon")), "column date"),
    "an empty plan": (lambda f: edit_plan(f, lambda p: p.iloc[:0]), "column objective"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_damaged_folder_is_told_in_words(folder: Path, name: str) -> None:
    damage, expected = BROKEN[name]
    damage(folder)
    result = verify(folder)
    assert not result.ok
    assert expected in str(result)


def test_a_tighter_bound_of_the_exact_solver_is_its_word(folder: Path) -> None:
    """Prices that prove less than the solver claims are no fault, but it is said."""
    edit(folder, lambda c: rule(c, "call desk", customer_region="n").update(price=0.5))
    edit(folder, lambda c: c.update(bound_from_prices=38.0))
    edit_plan(folder, lambda f: f.assign(advantage=[9.0, 2.0, 1.0, 11.0]))
    result = verify(folder)
    assert result.ok, str(result)
    assert result.bound_proven == 38.0 and result.solver_bound == 37.0
    assert "that rest is the solver's word" in str(result)


def test_changes_of_the_certificate_are_applied(folder: Path) -> None:
    """A plan of a changed policy is checked under the changed policy, and the change is said."""
    edit_policy(folder, lambda p: p["limits"][0].update(max=5))
    assert not verify(folder).ok
    edit(folder, lambda c: c.update(changes={"limits": {"budget": {"max": 12}}}))
    result = verify(folder)
    assert result.ok, str(result)
    assert "max of budget" in str(result)


def test_vetoes_and_locks_that_are_kept(folder: Path) -> None:
    edit(folder, lambda c: c.update(changes={"vetoes": [["bob", "a3", ""]], "locks": [["ann", "a1", ""]]}))
    edit(folder, lambda c: c.update(candidates=7, dropped={**CERTIFICATE["dropped"], "veto": 1}))
    edit(folder, lambda c: c["rules"][-1].update(pairs=1))
    result = verify(folder)
    assert result.ok, str(result)
    assert "1 vetoes, 1 locks" in str(result)


def test_the_report_as_plain_values(folder: Path) -> None:
    put("objective", 38.0)(folder)
    plain = verify(folder).to_dict()
    assert plain["ok"] is False and plain["objective"] == 37.0
    assert any("column objective" in finding for finding in plain["findings"])


JUNK = [None, True, 0, -1, 1e400, "x", [], {}, [1], {"a": 1}, {"a": {"b": [2]}}, [{}], [["a"]], 10**400]


def places(value: object, path: tuple = ()) -> list[tuple]:
    """Every place in a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, part in inside for place in [(*path, key), *places(part, (*path, key))]]


@pytest.mark.slow
def test_no_junk_in_a_certificate_ends_in_a_traceback(folder: Path) -> None:
    """Whatever stands anywhere in it, the check says what is wrong, or that nothing that matters is."""
    text = (folder / "certificate.json").read_text()
    matters = {
        "objective",
        "bound",
        "bound_from_prices",
        "gap",
        "candidates",
        "coupling_rows",
        "used",
        "price",
    }
    for k, place in enumerate(places(json.loads(text))):
        for junk in (JUNK[k % len(JUNK)], JUNK[(5 * k + 3) % len(JUNK)]):
            certificate = json.loads(text)
            part = certificate
            for key in place[:-1]:
                part = part[key]
            true, part[place[-1]] = part[place[-1]], junk
            (folder / "certificate.json").write_text(json.dumps(certificate))
            result = verify(folder)
            if place[-1] in matters and (junk != true or isinstance(junk, bool)) and place[0] != "seconds":
                assert not result.ok, (place, junk)

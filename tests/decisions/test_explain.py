"""Why a customer got what it got: by the plan's prices, of its own rows alone."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest
import tiny
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from portions import slow_after

import omniopt as oo
from omniopt.cli import cli
from omniopt.decisions.explain import explain
from omniopt.errors import BadInput, Infeasible

QUICK = settings(
    max_examples=12, deadline=None, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip


@pytest.mark.parametrize("solver", ["exact", "decomposed"])
@pytest.mark.parametrize("part", slow_after(1, 4))
@settings(QUICK)
@given(number=st.integers(0, 10**9))
def test_says_of_each_customer_what_the_whole_plan_says(solver: str, part: int, number: int) -> None:
    case = tiny.make(Random(4 * number + part))
    note(str(case))
    try:
        plan = oo.optimize(case.project(), gap=0.0, solver=solver, price_ranges=False)
    except Infeasible:
        return
    everybody = [*plan.contacts["customer_id"], *plan.alternatives["customer_id"]]
    for customer in sorted(set(everybody)):
        found = explain(plan, customer).contacts.set_index("action_id")
        mine = plan.contacts[plan.contacts["customer_id"] == customer].set_index("action_id")
        others = plan.alternatives[plan.alternatives["customer_id"] == customer].set_index("action_id")
        assert set(found.index[found["planned"]]) == set(mine.index)
        near = {"rel": 1e-6, "abs": 1e-6}
        assert found["worth"][others.index].to_numpy() == pytest.approx(others["worth"].to_numpy(), **near)
        known = mine["advantage"].notna()
        loss = found["loss"][mine.index][known].to_numpy()
        assert loss == pytest.approx(mine["advantage"][known].to_numpy(), **near)


ACTIONS = pd.DataFrame(
    {
        "action_id": ["call", "mail", "card"], "offer_id": ["loan", "loan", "card"],
        "channel": ["call", "mail", "mail"], "date": [3, 4, 9], "minutes": [10.0, 0.0, 0.0],
    }
)  # fmt: skip
POLICY = {
    "objective": "value - cost",
    "eligibility": [{"name": "adults", "drop": {"customer.age": {"lt": 18}}}],
    "limits": [
        {"name": "desk", "where": {"channel": "call"}, "per": ["customer.region"], "measure": "minutes",
         "max": 10},
        {"name": "mails", "where": {"channel": "mail"}, "max": 1, "rolling_days": 3},
    ],
    "contact": [{"name": "one loan", "where": {"offer": "loan"}, "max": 1}],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project in files, and its plan beside it."""
    values = {"ann": [9, 6, 5], "bob": [8, 1, 2], "cat": [7, 4, 1], "kid": [50, 50, 50]}
    rows = [(c, a, v, 1) for c, own in values.items() for a, v in zip(ACTIONS["action_id"], own, strict=True)]
    candidates = pd.DataFrame(rows, columns=["customer_id", "action_id", "value", "cost"])
    candidates.to_parquet(tmp_path / "candidates.parquet", row_group_size=3)
    ACTIONS.to_csv(tmp_path / "actions.csv", index=False)
    people = {
        "customer_id": list(values),
        "age": [40, 50, 60, 9],
        "region": ["north", "north", "south", "south"],
    }
    pd.DataFrame(people).to_csv(tmp_path / "customers.csv", index=False)
    tables = {name: f"{name}.csv" for name in ("actions", "customers")} | {"candidates": "candidates.parquet"}
    (tmp_path / "omniopt.yaml").write_text(
        str({"version": 1, "name": "loans", "tables": tables, "policy": POLICY,
             "horizon": {"start": "2026-11-23", "days": 14}}), encoding="utf-8"
    )  # fmt: skip
    oo.optimize(oo.Project.load(tmp_path), solver="exact").save(tmp_path / "out")
    return tmp_path


def test_charges_add_up_and_forbidding_rules_are_named(folder: Path) -> None:
    found = explain(folder / "out", "ann")
    contacts = found.contacts.set_index("action_id")
    charged = found.charges.groupby("action_id")["charged"].sum().reindex(contacts.index, fill_value=0.0)
    assert (contacts["objective"] - contacts["worth"]).to_numpy() == pytest.approx(charged.to_numpy())
    assert list(contacts.index[contacts["planned"]]) == ["mail", "card"]
    assert contacts["against"]["call"] == "one loan"
    assert found.planned_worth == pytest.approx(contacts["worth"][contacts["planned"]].sum())
    assert found.best_worth >= found.planned_worth - 1e-9
    only = explain(folder / "out", "ann", "card")
    assert list(only.contacts["action_id"]) == ["card"] and only.as_dict()["customer_id"] == "ann"


def test_the_price_of_a_full_desk_is_charged_in_its_region(folder: Path) -> None:
    charges = explain(folder / "out", "bob").charges
    desk = charges[charges["rule"] == "desk"]
    assert desk["group"].tolist() == [{"customer.region": "north"}]
    assert (desk["uses"] == 10).all() and (desk["price"] > 0).all()


def test_who_was_taken_out_is_told_why(folder: Path) -> None:
    found = explain(folder / "out", "kid")
    assert found.contacts.empty and set(found.dropped["reason"]) == {"adults"} and len(found.dropped) == 3


def test_refuses_what_is_not_there_and_tables_that_have_changed(folder: Path) -> None:
    with pytest.raises(BadInput, match="customer 'eve' has no candidate"):
        explain(folder / "out", "eve")
    with pytest.raises(BadInput, match="no candidate with offer 'lone'"):
        explain(folder / "out", "ann", "lone")
    with pytest.raises(BadInput, match="holds no finished plan"):
        explain(folder, "ann")
    ACTIONS.assign(minutes=np.float64(1)).to_csv(folder / "actions.csv", index=False)
    with pytest.raises(BadInput, match="the table has changed since the plan was made"):
        explain(folder / "out", "ann")
    (folder / "omniopt.yaml").write_text((folder / "omniopt.yaml").read_text("utf-8") + "\n", "utf-8")
    with pytest.raises(BadInput, match="the project file has changed since the plan was made"):
        explain(folder / "out", "ann")


def test_a_household_is_judged_together(folder: Path) -> None:
    people = pd.read_csv(folder / "customers.csv").assign(household_id=[7.0, 7.0, 8.0, 9.0])
    people.to_parquet(folder / "customers.parquet")
    text = (folder / "omniopt.yaml").read_text("utf-8").replace("customers.csv", "customers.parquet")
    one_home = "'unit': 'household', 'name': 'one loan'"
    (folder / "omniopt.yaml").write_text(text.replace("'name': 'one loan'", one_home), "utf-8")
    plan = oo.optimize(oo.Project.load(folder), solver="exact")
    plan.save(folder / "out")
    found = explain(folder / "out", "ann")
    both = plan.contacts["customer_id"].isin(["ann", "bob"])
    assert found.best_worth == pytest.approx(explain(folder / "out", "bob").best_worth)
    assert (plan.contacts["offer_id"][both] == "loan").sum() == 1


def test_the_command_says_it_in_words_and_in_json(folder: Path) -> None:
    asked = ["explain", str(folder / "out"), "--customer", "ann"]
    said = CliRunner().invoke(cli, asked)
    assert said.exit_code == 0
    lines = said.stdout.splitlines()
    assert lines[0].startswith("customer ann: at the plan's prices the best set is worth ")
    assert lines[1].startswith("  planned  mail: 5.00 ")
    assert any("call: 8.00" in line and "[north]" in line and "against one loan" in line for line in lines)
    told = json.loads(CliRunner().invoke(cli, [*asked, "--offer", "card", "--json"]).stdout)
    assert told["ok"] and [contact["action_id"] for contact in told["contacts"]] == ["card"]
    refused = CliRunner().invoke(cli, ["explain", str(folder / "out"), "--customer", "eve"])
    assert refused.exit_code == 2 and "customer 'eve' has no candidate" in refused.stderr

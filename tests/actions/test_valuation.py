"""What a contact changes and what it may cost by annoying, worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from bank import FOUR_WEEKS, table
from hypothesis import given as drawn
from hypothesis import strategies as st

import omniopt as oo
from omniopt.errors import Faults
from omniopt.knowledge.annoyance import WEIGHT, unsubscribe_rates
from omniopt.tables import Tables, read_tables

HISTORY = table(
    "customer_id offer_id channel date outcome",
    "ann loan email -3 delivered",
    "ann loan email -1 unsubscribed",
    "bob loan call -50 delivered",
)
#: One of three unsubscribed; one of two on e-mail, none of one on call.
EMAIL, CALL = (1 + WEIGHT / 3) / (2 + WEIGHT), (WEIGHT / 3) / (1 + WEIGHT)


def given(**changed: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {
        "customers": table("customer_id worth name", "ann 10 Ann", "bob 100 Bob"),
        "actions": table("action_id offer_id channel date", "m loan email 1", "n loan call 2"),
        "offers": table("offer_id value", "loan 100"),
        "channels": table("channel unit_cost delivery_rate fallback", "email 1 0.75 call", "call 8 0.5 -"),
        "scores": table(
            "customer_id offer_id channel p_response uplift",
            "ann loan email 0.5 0.1", "ann loan call 0.25 0.2",
            "bob loan email 0.5 -0.3", "bob loan call 0.25 -0.1",
        ),
        "history": HISTORY,
    } | changed  # fmt: skip


def project(
    objective: str = "value", loss: Any = "customer.worth", days: int = 30, **changed: Any
) -> oo.Project:
    policy = {"objective": objective, "limits": [{"name": "all", "min": 4}]}
    said = None if loss is None else {"loss": loss, "days": days}
    return oo.Project.from_frames(policy, horizon=FOUR_WEEKS, annoyance=said, **given(**changed))


def rows(made: oo.Project, solver: str = "exact") -> pd.DataFrame:
    return oo.optimize(made, solver=solver).contacts.set_index(["customer_id", "action_id"])


def test_incremental_response_and_value_count_both_legs() -> None:
    """Ann's e-mail: 0.75 · 0.1 + 0.25 · 0.5 · 0.2 = 0.1; Bob's: 0.75 · −0.3 + 0.25 · 0.5 · −0.1 = −0.2375."""
    found = rows(project())
    assert found["incremental_response"].tolist() == pytest.approx([0.1, 0.1, -0.2375, -0.05])
    assert found["incremental_value"].tolist() == pytest.approx([10, 10, -23.75, -5])
    assert found["response"].tolist() == pytest.approx([0.40625, 0.125, 0.40625, 0.125])


def test_annoyance_is_the_chance_to_unsubscribe_times_the_customers_own_loss() -> None:
    """Ann had two contacts in the days before, of which history has no case: the channel's rate. Bob's call
    lies 51 days back, so his contacts come under no pressure."""
    email_0 = (0 + WEIGHT * EMAIL) / (1 + WEIGHT)
    call_0 = (0 + WEIGHT * CALL) / (1 + WEIGHT)
    chances = [
        0.75 * EMAIL + 0.25 * 0.5 * CALL, 0.5 * CALL,
        0.75 * email_0 + 0.25 * 0.5 * call_0, 0.5 * call_0,
    ]  # fmt: skip
    found = rows(project())
    assert found["annoyance"].tolist() == pytest.approx(list(np.array(chances) * [10, 10, 100, 100]))


def test_a_commitment_is_pressure_once_it_lies_before_the_contact() -> None:
    planned = table(
        "customer_id offer_id channel date outcome planned",
        *(f"{' '.join(map(str, row))} false" for row in HISTORY.to_numpy().tolist()),
        "bob loan email 1 - true",
    )
    before, after = rows(project(loss=1))["annoyance"], rows(project(loss=1, history=planned))["annoyance"]
    email_1 = (1 + WEIGHT * EMAIL) / (1 + WEIGHT)
    assert after["bob", "m"] == before["bob", "m"]  # the same day is not before
    assert after["bob", "n"] == pytest.approx(0.5 * CALL) != before["bob", "n"]
    assert email_1 > EMAIL


def test_scores_may_bring_the_chance_to_unsubscribe() -> None:
    scores = given()["scores"].assign(p_unsubscribe=[0.01, 0.02, 0.03, 0.04])
    tables = given(scores=scores)
    del tables["history"]
    policy = {"objective": "value - annoyance", "limits": [{"name": "all", "min": 4}]}
    made = oo.Project.from_frames(policy, horizon=FOUR_WEEKS, annoyance={"loss": 25}, **tables)
    found = rows(made)["annoyance"]
    expected = [0.75 * 0.01 + 0.125 * 0.02, 0.5 * 0.02, 0.75 * 0.03 + 0.125 * 0.04, 0.5 * 0.04]
    assert found.tolist() == pytest.approx([25 * q for q in expected])


@pytest.mark.parametrize("solver", ["exact", "decomposed"])
def test_both_solvers_and_the_check_agree(solver: str, tmp_path: Any) -> None:
    made = project("incremental_value - cost - annoyance")
    plan = oo.optimize(made, solver=solver)
    expected = rows(project("value"))
    gain = expected["incremental_value"] - expected["cost"] - expected["annoyance"]
    assert plan.objective == pytest.approx(gain.sum())
    plan.save(tmp_path)
    from omniopt.audit import verify

    assert verify(tmp_path, made).ok
    for column in ("annoyance", "incremental_value", "incremental_response"):
        frame = plan.contacts.copy()
        frame.loc[0, column] += 0.5
        frame.to_parquet(tmp_path / "plan.parquet")
        assert column in str(verify(tmp_path, made))
        frame.drop(columns=column).to_parquet(tmp_path / "plan.parquet")
        assert f"column {column}: the column is missing" in str(verify(tmp_path, made))


def test_a_plan_without_them_has_no_such_columns(tmp_path: Any) -> None:
    made = project(loss=None, scores=given()["scores"].drop(columns="uplift"))
    plan = oo.optimize(made)
    assert set(plan.contacts).isdisjoint({"annoyance", "incremental_value", "incremental_response"})
    plan.save(tmp_path)
    plan.contacts.assign(annoyance=1.0).to_parquet(tmp_path / "plan.parquet")
    from omniopt.audit import verify

    assert "a plan has no such column" in str(verify(tmp_path, made))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"loss": "customer.wroth"}, "no column of numbers customer.wroth. Did you mean 'customer.worth'?"),
        ({"loss": "customer.name"}, "there is no column of numbers customer.name"),
        ({"customers": table("customer_id worth", "ann -", "bob -1")}, "customer ann has no worth"),
        ({"customers": table("customer_id worth", "ann -", "bob -1")}, "customer bob has a negative worth"),
        ({"history": HISTORY.iloc[:1]}, "no past contact ended in unsubscribed"),
        ({"loss": -1}, "write an amount of money from 0 on, or customer.<column>"),
        ({"loss": float("nan")}, "write an amount of money from 0 on"),
        ({"loss": "worth"}, "write an amount of money from 0 on"),
        ({"days": 0}, "annoyance.days"),
        ({"objective": "value - anoyance"}, "Did you mean 'annoyance'?"),
        ({"scores": given()["scores"].assign(uplift=[0.1, 2, 0, -1.5])}, "2 is no change of a probability"),
        ({"scores": given()["scores"].assign(uplift=[0.1, None, 0, 0])}, "column uplift: the cell is empty"),
        ({"scores": given()["scores"].assign(p_unsubscribe=-1)}, "-1 is no probability"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("solver", ["exact", "decomposed"])
def test_what_is_missing_or_wrong_is_named(changed: dict[str, Any], words: str, solver: str) -> None:
    with pytest.raises(oo.BadInput) as error:
        oo.optimize(project(**{"objective": "value - annoyance", **changed}), solver=solver)
    assert words.casefold() in str(error.value).casefold()


def test_given_candidates_bring_annoyance_themselves() -> None:
    tables = {
        "actions": table("action_id offer_id channel", "m loan email"),
        "candidates": table("customer_id action_id value annoyance", "ann m 5 2", "bob m 5 7"),
    }
    policy = {"objective": "value - annoyance"}
    plan = oo.optimize(oo.Project.from_frames(policy, **tables))
    assert plan.objective == 3 and plan.contacts["annoyance"].tolist() == [2]
    with pytest.raises(oo.BadInput, match="a column annoyance of candidates"):
        oo.optimize(oo.Project.from_frames(policy, annoyance={"loss": 1}, **tables))


# ---- the rates


def read(history: pd.DataFrame) -> Tables:
    faults = Faults()
    tables = read_tables({**given(), "history": history}, None, None, {}, faults)
    faults.raise_if_any()
    return tables


past = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob"]), st.sampled_from(["email", "call"]), st.integers(-40, 0),
        st.sampled_from(["sent", "delivered", "bounced", "unsubscribed", "responded"]),
    ),
    min_size=1, max_size=25, unique_by=lambda row: row[:3],
)  # fmt: skip


@drawn(past, st.integers(1, 40), st.randoms())
def test_the_rates_are_those_of_a_plain_count(cells: list[tuple], days: int, random: Any) -> None:
    cells.append(("bob", "email", -41, "unsubscribed"))
    random.shuffle(cells)
    frame = pd.DataFrame(cells, columns=["customer_id", "channel", "date", "outcome"]).assign(offer_id="loan")
    counted = [c for c in cells if c[3] not in ("sent", "bounced")]
    under = [
        min(4, sum(o[0] == c[0] and c[2] - days <= o[2] < c[2] and o[3] != "bounced" for o in cells))
        for c in counted
    ]
    gone = [c[3] == "unsubscribed" for c in counted]
    whole = sum(gone) / len(gone)
    found = unsubscribe_rates(read(frame), days)
    for cell in found.cells.itertuples():
        mine = [i for i, c in enumerate(counted) if c[1] == cell.channel]
        own = (sum(gone[i] for i in mine) + WEIGHT * whole) / (len(mine) + WEIGHT)
        here = [i for i in mine if under[i] == cell.pressure]
        lost = sum(gone[i] for i in here)
        assert (cell.contacts, cell.unsubscribed) == (len(here), lost)
        assert cell.rate == pytest.approx((lost + WEIGHT * own) / (len(here) + WEIGHT))
    assert found.of(pd.Series(["post"]), np.zeros(1)) == pytest.approx(whole)

"""A plan checked lot by lot is judged as it is when everything is in memory at once."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import small
import worlds
import yaml
from mini import TABLES, edit, edit_plan, make, sign
from portions import slow_after

import omniopt as oo
from omniopt.audit import inputs, lots, verify
from omniopt.audit.allowed import Permission
from omniopt.audit.arrays import exact_sums
from omniopt.audit.given import Given
from omniopt.errors import Faults
from omniopt.project import Project
from omniopt.tables import read_table

MONDAY = datetime.date(2026, 11, 23)


def judged(folder: Path) -> dict[str, Any]:
    """What the check says, but for the last bits of its sums."""
    said = verify(folder).to_dict()
    said["bound_proven"] = pytest.approx(said["bound_proven"], rel=1e-12)
    return said


def read_inputs(policy: dict[str, Any], **tables: pd.DataFrame) -> inputs.Inputs:
    horizon = {"start": MONDAY, "days": 14}
    project = Project.from_frames({"objective": "value", **policy}, horizon=horizon, **tables)
    read = project.read()
    return inputs.Inputs(read, project.policy, inputs.build_world(read, {}, MONDAY, 14), [], [])


@pytest.mark.parametrize("size", [1, 5, 20])
@pytest.mark.parametrize("seed", slow_after(2, 6))
def test_lots_of_any_size_give_one_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, size: int
) -> None:
    plan = oo.optimize(oo.Project.load(worlds.make(tmp_path, seed, everything=True)))
    plan.save(tmp_path / "out")
    whole = judged(tmp_path / "out")
    assert whole["ok"], whole
    monkeypatch.setattr(lots, "LOT", size)
    assert judged(tmp_path / "out") == whole


def short_of_a_row(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.iloc[1:]


def one_twice(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame.iloc[[0]], frame])


def of_a_stranger(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(customer_id=["ann", "ann", "bob", "zoe"])


def of_one_without_consent(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(action_id=["a1", "a3", "a2", "a1"])


def too_many(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(action_id=["a1", "a3", "a2", "a3"])


def a_price(certificate: dict[str, Any]) -> None:
    certificate["rules"][2]["price"] = 0.1


def a_count(certificate: dict[str, Any]) -> None:
    certificate["dropped"]["card holders"] = 3


@pytest.mark.parametrize(
    "lie", [short_of_a_row, one_twice, of_a_stranger, of_one_without_consent, too_many, a_price, a_count]
)
def test_a_lie_is_told_in_the_same_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: Callable[[Any], Any]
) -> None:
    folder = make(tmp_path)
    (edit if lie in (a_price, a_count) else edit_plan)(folder, lie)
    whole = judged(folder)
    assert not whole["ok"]
    monkeypatch.setattr(lots, "LOT", 1)
    assert judged(folder) == whole


@pytest.mark.parametrize("world", [small.rolling, small.cells])
def test_windows_and_cells_are_put_together_from_lots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: Callable[[], small.World]
) -> None:
    monkeypatch.setattr(lots, "LOT", 1)
    result = world().write(tmp_path).verify()
    assert result.ok, str(result)


def test_candidates_in_a_folder_of_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In any order, their ids as dictionaries; a row that stands there twice is named."""
    monkeypatch.setattr(lots, "LOT", 1)
    folder = make(tmp_path)
    frame = read_table(tmp_path / "candidates.csv", "candidates", Faults())
    (tmp_path / "parts").mkdir()

    def write(rows: pd.DataFrame, name: str) -> None:
        table = pa.Table.from_pandas(rows, preserve_index=False)
        for k, column in enumerate(("customer_id", "action_id")):
            table = table.set_column(k, column, table[column].dictionary_encode())
        pq.write_table(table, tmp_path / "parts" / f"{name}.parquet")

    write(frame.iloc[[7, 3, 1, 11, 0]], "a")
    write(frame.iloc[[2, 4, 5, 6, 8, 9, 10]], "b")
    project = yaml.safe_load((tmp_path / "omniopt.yaml").read_text())
    project["tables"]["candidates"] = "parts"
    (tmp_path / "omniopt.yaml").write_text(yaml.safe_dump(project))
    sign(folder)
    assert verify(folder).ok, str(verify(folder))
    write(frame.iloc[[3]], "c")
    assert any("stands in row 2 already" in str(finding) for finding in verify(folder).findings)


def test_a_limit_may_take_its_number_from_the_candidates(tmp_path: Path) -> None:
    """Such a table of candidates has to be read as a frame."""
    folder = make(tmp_path)
    (tmp_path / "candidates.csv").write_text(
        "\n".join(f"{row},{'seats' if k == 0 else 12}" for k, row in enumerate(TABLES["candidates"].split()))
    )
    policy = yaml.safe_load((tmp_path / "policy.yaml").read_text())
    policy["limits"].append(
        {"name": "own", "per": ["customer", "action"], "max": {"table": "candidates", "column": "seats"}}
    )
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(policy))
    sign(folder)
    said = [str(finding) for finding in verify(folder).findings]
    assert not any("could not be checked" in words for words in said), said


def test_a_household_is_never_parted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lots, "LOT", 3)
    people = [f"c{k:02d}" for k in range(12)]
    customers = pd.DataFrame({"customer_id": people, "household_id": list("abcdefabcdef")})
    actions = pd.DataFrame({"action_id": ["x", "y"], "offer_id": "o", "channel": "email"})
    rows = pd.DataFrame([(c, a, 1.0) for c in people for a in ("x", "y")])
    rows.columns = ["customer_id", "action_id", "value"]
    policy = {"contact": [{"name": "home", "unit": "household", "max": 1}]}
    given = read_inputs(policy, customers=customers, actions=actions, candidates=rows)
    found = lots.Lots(given)
    assert len(found) > 2
    home = customers["household_id"].to_numpy()
    seen = [set(home[lot.living.rows.customer]) for lot in found]
    assert sum(len(homes) for homes in seen) == 6
    assert sum(len(lot.living) for lot in found) == 24
    # Each lot is looked up by its own customers only.
    for k, lot in enumerate(found):
        assert (found.number[lot.living.rows.customer] == k).all()
        assert (np.diff(given.key(lot.living.rows)) > 0).all()


def test_consents_hold_from_their_first_day_to_the_last_of_any() -> None:
    tables = {
        "customers": pd.DataFrame({"customer_id": ["ann", "bob"]}),
        "channels": pd.DataFrame({"channel": ["email", "sms"], "requires_consent": [True, True]}),
        "actions": pd.DataFrame({"action_id": ["x"], "offer_id": "o", "channel": "email", "date": [1]}),
        "candidates": pd.DataFrame({"customer_id": ["ann"], "action_id": ["x"], "value": [1.0]}),
        "consents": pd.DataFrame(
            {
                "customer_id": ["ann", "ann", "ann", "bob"],
                "channel": ["email", "email", "sms", "email"],
                "purpose": ["a", "b", "a", "a"],
                "granted": True,
                "valid_from": [2, 3, 9, None],
                "valid_to": [6, 4, None, 1],
            }
        ),
    }
    allowed = Permission(read_inputs({}, **tables))
    days = np.arange(1, 11)

    def held(customer: int, channel: int) -> list[int]:
        return days[allowed.consent(np.full(10, customer), np.full(10, channel), days)].tolist()

    assert held(0, 0) == [2, 3, 4, 5, 6]
    assert held(0, 1) == [9, 10]
    assert held(1, 0) == [1]
    assert held(1, 1) == []


def test_rows_of_some_customers_next_to_each_other_or_not() -> None:
    table = Given(
        np.array([0, 2, 2, 3, 5]), np.array([0, 1, 1, 0, 1]), np.array([4, 7]), {"m": np.arange(5.0)}
    )
    for customers, rows in (([0, 1, 2], [0, 1, 2]), ([0, 3], [0, 1, 3, 4]), ([], [])):
        customer, action, measures = table.rows(np.array(customers, dtype=np.int64))
        assert customer.tolist() == [[0, 0, 2, 3, 3][k] for k in rows]
        assert action.tolist() == [[4, 7, 7, 4, 7][k] for k in rows]
        assert measures["m"].tolist() == rows


def test_what_a_decomposed_plan_owes_to_the_exact_solver_must_be_said(tmp_path: Path) -> None:
    """The prices prove 18, and no plan is worth more than 9."""
    world = small.cells().write(tmp_path)
    world.edit(lambda c: c.update(solver="decomposed"))
    assert any("is not proven" in str(finding) for finding in world.verify().findings)
    world.edit(lambda c: c.update(bound_by="exact"))
    assert world.verify().ok, str(world.verify())
    world.edit(lambda c: c.update(bound_by="hope"))
    assert "'hope' proves no bound" in str(world.verify())


def test_a_million_equal_terms_are_added_up_to_the_last_bit() -> None:
    code = np.arange(3_000_000) % 3
    sums = exact_sums(code, np.where(code == 2, 0.1, 1e9), 4)
    assert sums.tolist() == [1e15, 1e15, 100_000.0, 0.0]
    assert exact_sums(code[:0], np.zeros(0), 2).tolist() == [0.0, 0.0]

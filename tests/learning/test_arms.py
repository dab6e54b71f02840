"""The table of who is in which arm: the check finds whatever is not as the policy's keys have it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from held_out import LEARNING, project

import omniopt as oo
from omniopt.audit.verify import verify
from omniopt.tables import read_parquet, write_parquet


def _lies(folder: Path, change: Any, name: str = "experiment.parquet") -> None:
    if name.endswith("json"):
        told = json.loads((folder / name).read_text())
        change(told)
        (folder / name).write_text(json.dumps(told))
    else:
        write_parquet(change(read_parquet(folder / name)), folder / name)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("certificate.json", lambda c: c["learning"][0].update(in_group=1)),
        ("certificate.json", lambda c: c.pop("learning")),
        ("certificate.json", lambda c: c["learning"][-1].update(share=0.2)),
        ("plan.parquet", lambda f: f.assign(probability=1.0)),
        ("plan.parquet", lambda f: f[f["probability"] == 1.0]),
        ("plan.parquet", lambda f: f.drop(columns="probability")),
        ("experiment.parquet", lambda f: f.iloc[1:]),
        ("experiment.parquet", lambda f: f.assign(arm="treated")),
        ("experiment.parquet", lambda f: f.assign(probability=0.5)),
        ("experiment.parquet", lambda f: f.drop(columns="arm")),
        ("experiment.parquet", lambda f: f.assign(stratum=f["stratum"].where(f.index != 7, "elsewhere"))),
        ("experiment.parquet", lambda f: f.assign(date=f["date"] + pd.Timedelta(days=1))),
        ("experiment.parquet", lambda f: f.assign(date=7)),
        ("experiment.parquet", lambda f: f.assign(arm=f["arm"].where(f.index != 7, "held"))),
        ("experiment.parquet", lambda f: f.assign(probability=f["probability"].astype("str") + "?")),
        ("experiment.parquet", lambda f: pd.concat([f, f.iloc[5:6]])),
        ("experiment.parquet", lambda f: pd.concat([f, f.iloc[5:6].assign(customer_id="nobody")])),
        ("experiment.parquet", lambda f: pd.concat([f, f.iloc[-1:].assign(offer_id="w")])),
        ("experiment.parquet", lambda f: f.head(0)),
    ],
)
def test_the_check_finds_lies(name: str, change: Any, tmp_path: Path) -> None:
    made = project(LEARNING)
    oo.optimize(made).save(tmp_path)
    _lies(tmp_path, lambda f: f.sample(frac=1, random_state=1))  # which is no lie
    assert not verify(tmp_path, made).findings
    _lies(tmp_path, change, name)
    assert {fault.file for fault in verify(tmp_path, made).findings} >= {name}


@pytest.mark.parametrize("start", ["2026-11-23", None])
def test_strata_of_several_columns_are_the_same_to_the_check(start: str | None, tmp_path: Path) -> None:
    learning = {"control": {"share": 0.2, "by": ["customer.region", "customer.age", "customer.member"]}}
    made = project(learning)
    own = {
        "region": np.where(np.arange(120) % 7 == 0, None, made.frames["customers"]["region"]),
        "age": pd.array([None if i % 5 == 0 else 20 + i % 3 for i in range(120)], dtype="Int64"),
        "member": np.arange(120) % 2 == 0,
    }
    frames = made.frames | {"customers": made.frames["customers"].assign(**own)}
    horizon = None if start is None else {"start": start, "days": 7}
    made = oo.Project.from_frames(made.policy, horizon=horizon, **frames)
    plan = oo.optimize(made)
    assert {", , True", "north, , False", "south, 21.0, True"} <= set(plan.experiment["stratum"])
    plan.save(tmp_path)
    assert verify(tmp_path, made).findings == []


@pytest.mark.parametrize("kept", [0, 7, 300, -50])
def test_a_damaged_table_is_told_in_words(kept: int, tmp_path: Path) -> None:
    made = project(LEARNING)
    oo.optimize(made).save(tmp_path)
    file = tmp_path / "experiment.parquet"
    file.write_bytes(file.read_bytes()[:kept])
    told = [str(fault) for fault in verify(tmp_path, made).findings]
    assert any(fault.startswith("experiment.parquet: it cannot be read: ") for fault in told)

"""The benchmarks run: their problems are what they say, and rivals solve the same model as omniopt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import assignment
import commands
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import rivals
import scale
import synthetic

import omniopt as oo
from omniopt.decisions.problem import build_problem

GAP = 1e-4


# ---- synthetic


@pytest.mark.parametrize("case", list(synthetic.CASES))
def test_a_project_in_files_is_the_one_in_memory(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthetic, "LOT", 40)
    here = synthetic.project(100, case, round_to=0.25).read()
    there = oo.Project.load(synthetic.write(tmp_path, 100, case, round_to=0.25)).read()
    assert len(list((tmp_path / "candidates").iterdir())) == 3
    for name in ("customers", "actions", "candidates"):
        pd.testing.assert_frame_equal(getattr(here, name), getattr(there, name))
    assert here.candidates is not None
    keys = here.candidates[["customer_id", "action_id"]]
    assert keys.equals(keys.sort_values(["customer_id", "action_id"], ignore_index=True))
    assert not keys.duplicated().any()
    assert (keys.groupby("customer_id").size() == synthetic.campaign(100, case).each).all()
    assert np.array_equal(np.round(here.candidates["value"] * 4), here.candidates["value"] * 4)


@pytest.mark.parametrize(
    ("case", "asked", "rows"),
    [("one", 50, 51), ("one", None, 71), ("one", 300, 301), ("windows", None, 117), ("lags", None, 32)],
)
def test_limits_are_about_as_many_as_asked_for(case: str, asked: int | None, rows: int) -> None:
    assert len(build_problem(synthetic.project(20, case, asked)).coupling) == rows


def test_limits_bind() -> None:
    plan = oo.optimize(synthetic.project(200), gap=0.02, solver="exact")
    priced = {rule["name"] for rule in plan.certificate["rules"] if rule["price"]}
    assert priced >= {"budget", "offer quota", "reach", "regional budget", "letter shop"}


def test_ids_are_written_as_dictionaries(tmp_path: Path) -> None:
    part = synthetic.write(tmp_path, 10) / "candidates" / "part-00000.parquet"
    group = pq.ParquetFile(part).metadata.row_group(0)
    assert group.column(0).has_dictionary_page and group.column(1).has_dictionary_page


# ---- public instances


INSTANCE = {
    "table1": """Activity,Day,Channel,TargetProducts,Cost
1,3,call center,1;11,9.1
2,4,direct mail,2,1.4
3,9,direct mail,1;11,1.4
""",
    "table2": """Customer,Activity,ExpectedProfit,ResponseProbability
1,1,10,0.5
1,2,4,0.1
1,3,5,0.1
2,2,6,0.2
2,3,7,0.2
3,1,9,0.4
""",
    "table3": """Index,Type,StartDay,EndDay,Channels,TargetProducts,Bound
1,Budget,1,10,call center; direct mail,ALL,14.0
2,Maximum contact,1,10,ALL,ALL,2.0
3,Minimum sales,1,10,ALL,11,0.4
4,Maximum assignment,1,5,direct mail,ALL,1.0
""",
    "table4": """Index,Channel1,TargetProduct1,Channel2,TargetProduct2,Lag
1,direct mail,ALL,direct mail,ALL,6
""",
}


def test_an_assignment_instance_becomes_a_project(tmp_path: Path) -> None:
    for name, text in INSTANCE.items():
        (tmp_path / f"{name}.csv").write_text(text)
    plan = oo.optimize(oo.Project.load(assignment.write(tmp_path, tmp_path / "project")), gap=0)
    assert plan.objective == 22.0  # the first customer's call, and two later letters
    assert [rule["used"] for rule in plan.certificate["rules"][:3]] == pytest.approx([11.9, 0.8, 0.0])


@pytest.mark.parametrize("name", ["GS1", "GS2", "GS1_prime"])
def test_public_instances_are_read(name: str, shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "instances" / "customer-assignment" / name
    if not source.is_dir():
        pytest.skip("the customer-assignment instances are not there")
    problem = build_problem(oo.Project.load(assignment.write(source, tmp_path)))
    assert len(problem) == {"GS2": 82_167}.get(name, 29_476)
    assert len(problem.coupling) == 8


# ---- rivals


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> tuple[rivals.Arrays, oo.Plan]:
    project = synthetic.project(12)
    file = tmp_path_factory.mktemp("model") / "model.npz"
    rivals.save(build_problem(project), file)
    return rivals.Arrays(file), oo.optimize(project, gap=0, solver="exact")


@pytest.mark.parametrize("name", ["pulp_cbc", "pulp_highs", "highs_arrays"])
def test_rivals_find_the_same_optimum(name: str, arrays: tuple[rivals.Arrays, oo.Plan]) -> None:
    found = rivals.RIVALS[name](arrays[0], 0.0, 60.0, 1)
    if "absent" in found:
        pytest.skip(found["absent"])
    assert found["objective"] == pytest.approx(arrays[1].objective)
    assert found["rows_broken_by"] < 1e-9 and not found["cut_off"]


def test_the_relaxation_lies_above(arrays: tuple[rivals.Arrays, oo.Plan]) -> None:
    pytest.importorskip("ortools", reason="the extra bench is not installed")
    found = rivals.pdlp(arrays[0], GAP, 60.0, 1)
    assert found["lp_objective"] > arrays[1].objective * (1 - GAP)


@pytest.mark.parametrize("name", ["greedy", "arbitration"])
def test_greedy_plans_keep_the_limits(name: str, arrays: tuple[rivals.Arrays, oo.Plan]) -> None:
    found = rivals.RIVALS[name](arrays[0], 0.0, 60.0, 1)
    assert found["rows_broken_by"] < 1e-9
    assert 0 < found["objective"] <= arrays[1].objective


# ---- commands


def test_a_process_is_timed_and_ended() -> None:
    status, seconds, _, said = commands.python("-c", "print('here')", cores=1)
    assert (status, said) == (0, "here\n") and seconds > 0
    status, seconds, _, _ = commands.python("-c", "import time; time.sleep(60)", seconds=0.2)
    assert status < 0 and seconds < 30


@pytest.mark.slow
def test_a_case_is_set_beside_its_target(tmp_path: Path) -> None:
    case = scale.Case(1e-2, yardsticks=1.0, memory_gb=100.0, customers=100)
    found: dict[str, Any] = scale.run(case, tmp_path, 1, 2, 60.0, verify=True)
    assert found["verify"]["exit"] == 0
    assert [found["target"][name]["met"] for name in ("gap", "yardsticks", "memory_gb")] == [
        True,
        False,
        True,
    ]


@pytest.mark.slow
def test_side_by_side_prints_one_object() -> None:
    script = str(commands.ROOT / "benchmarks" / "side_by_side.py")
    asked = ("--customers", "12", "--solver", "exact", "--rivals", "highs_arrays", "greedy")
    status, _, _, said = commands.python(script, *asked)
    found = json.loads(said[said.index("{") :])
    assert status == 0
    assert found["highs_arrays"]["below_our_bound"] < GAP
    assert found["greedy"]["below_our_bound"] >= 0

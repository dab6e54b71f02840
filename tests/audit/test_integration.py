"""Plans of the optimiser stand up to the check, and a lie told about one is found from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import worlds
from click.testing import CliRunner
from mini import edit, edit_plan
from portions import slow_after

import omniopt as oo
from omniopt.audit import verify
from omniopt.cli import cli
from omniopt.errors import Infeasible

IMPOSSIBLE = (19, 29, 48, 58, 61, 76, 91)  # worlds whose policy asks for more than there is


def optimised(root: Path, seed: int, everything: bool = False) -> oo.Plan:
    return oo.optimize(oo.Project.load(worlds.make(root, seed, everything)))


def assert_stands(tmp_path: Path, seed: int, everything: bool = False) -> None:
    plan = optimised(tmp_path, seed, everything)
    plan.save(tmp_path / "out")
    result = verify(tmp_path / "out")
    assert result.ok, str(result)
    assert result.objective == pytest.approx(plan.objective)
    assert result.bound_proven is not None and result.bound_proven >= plan.objective - 1e-6


@pytest.mark.parametrize("seed", slow_after(8, 16))
def test_a_plan_of_the_optimiser_stands(tmp_path: Path, seed: int) -> None:
    assert_stands(tmp_path, seed)


@pytest.mark.parametrize("seed", slow_after(6, 12))
def test_a_plan_under_every_kind_of_rule_stands(tmp_path: Path, seed: int) -> None:
    assert_stands(tmp_path, seed, everything=True)


@pytest.mark.slow
@pytest.mark.parametrize("ten", range(10))
def test_many_plans_under_every_kind_of_rule_stand(tmp_path: Path, ten: int) -> None:
    for seed in range(10 * ten + 12, 10 * ten + 22):
        root = tmp_path / str(seed)
        root.mkdir()
        assert_stands(root, seed, everything=True)


@pytest.mark.slow
@pytest.mark.parametrize("seed", sorted({*range(16, 120)} - {*IMPOSSIBLE}))
def test_many_plans_of_the_optimiser_stand(tmp_path: Path, seed: int) -> None:
    assert_stands(tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", IMPOSSIBLE)
def test_no_plan_is_made_where_the_policy_asks_for_too_much(tmp_path: Path, seed: int) -> None:
    with pytest.raises(Infeasible, match="cannot be met|cannot be kept together|asks for at least"):
        optimised(tmp_path, seed)


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project and its plan, made from the command line."""
    root = tmp_path_factory.mktemp("project")
    project = worlds.make(root, 0)
    policy = {
        "objective": "value - cost",
        "eligibility": [{"name": "minors", "drop": {"customer.age": {"lt": 18}}}],
        "limits": [
            {"name": "budget", "measure": "cost", "max": 6.5},
            {"name": "calls", "where": {"channel": "call"}, "max": 3},
        ],
        "contact": [{"name": "pressure", "max": 1, "days": 5}],
        "conflicts": [
            {"name": "apart", "first": {"channel": "call"}, "then": {"channel": "call"}, "days": 30}
        ],
    }
    text = project.read_text()
    project.write_text(text[: text.index("policy:")] + "policy: " + json.dumps(policy) + "\n")
    status, said = run("optimize", project, "--out", root / "out")
    assert status == 0, said
    return root


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy to lie about."""
    for file in [*made.glob("*.csv"), *made.glob("*.yaml")]:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "out").mkdir()
    for file in (made / "out").iterdir():
        (tmp_path / "out" / file.name).write_bytes(file.read_bytes())
    return tmp_path / "out"


def test_the_truth_ends_with_status_0(folder: Path) -> None:
    status, said = run("verify", folder)
    assert status == 0, said
    status, said = run("verify", folder, "--json")
    assert status == 0 and json.loads(said)["ok"] is True


def price(certificate: dict) -> None:
    rule = next(r for r in certificate["rules"] if r["kind"] == "limit" and r["price"])
    rule["price"] = 10.0 + 3.0 * abs(rule["price"])


def used(certificate: dict) -> None:
    next(r for r in certificate["rules"] if r["kind"] == "limit")["used"] += 0.5


def later(frame: pd.DataFrame) -> None:
    frame.loc[0, "date"] += pd.Timedelta(days=1)


def touch(folder: Path) -> None:
    path = folder.parent / "candidates.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")


def change(key: str, add: float, **more: object) -> Callable[[Path], object]:
    return lambda folder: edit(folder, lambda c: c.update({key: c["objective"] + add, **more}))


def rewrite(frame: Callable[[pd.DataFrame], pd.DataFrame | None]) -> Callable[[Path], object]:
    return lambda folder: edit_plan(folder, frame)


def budget(amount: str) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        file = folder.parent / "omniopt.yaml"
        file.write_text(file.read_text().replace("6.5", amount))

    return write


LIES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a row too few": (rewrite(lambda p: p.iloc[1:]), "objective"),
    "a row twice": (rewrite(lambda p: p.iloc[[0, *range(len(p))]]), "is chosen twice"),
    "another date": (rewrite(later), "row 1, column date"),
    "a changed cost": (rewrite(lambda p: p.assign(cost=p["cost"] - 0.5)), "column cost"),
    "a changed advantage": (rewrite(lambda p: p.assign(advantage=p["advantage"] + 1)), "column advantage"),
    "an objective raised": (change("objective", 1e-3), "column objective"),
    "a bound below the objective": (change("bound", -0.01), "lies below the objective"),
    "optimal with a gap": (change("bound", 1.0, status="optimal"), "column status"),
    "a changed price": (lambda f: edit(f, price), "column bound_from_prices"),
    "a used value": (lambda f: edit(f, used), "used is"),
    "a rule left out": (lambda f: edit(f, lambda c: c["rules"].pop(0)), "the certificate has no entry"),
    "rows in another order": (touch, "candidates.csv: the input is not the one the plan was made from"),
    "a looser policy": (budget("7.5"), "max is 7.5"),
    "a stricter policy": (budget("1.0"), "rule 'budget': broken"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_ends_with_status_2(folder: Path, name: str) -> None:
    lie, expected = LIES[name]
    lie(folder)
    status, said = run("verify", folder)
    assert status == 2
    assert expected in said
    assert "Traceback" not in said


def test_changes_vetoes_and_locks_stand(made: Path, tmp_path: Path) -> None:
    project = oo.Project.load(made / "omniopt.yaml")
    first = oo.optimize(project).contacts
    vetoes = first.iloc[[0]][["customer_id", "action_id"]].assign(reason="complained")
    locks = first.iloc[[-1]][["customer_id", "action_id"]].assign(reason="promised")
    plan = oo.optimize(
        project.with_limit("budget", max=9.0).with_contact("pressure", days=9).with_decisions(vetoes, locks)
    )
    plan.save(tmp_path / "out")
    result = verify(tmp_path / "out")
    assert result.ok, str(result)
    assert "max of budget, days of pressure, 1 vetoes, 1 locks" in str(result)
    edit(tmp_path / "out", lambda c: c["changes"].update(vetoes=[]))
    assert not verify(tmp_path / "out").ok


def test_a_project_of_frames_is_given_along(tmp_path: Path) -> None:
    frames = {
        "actions": pd.DataFrame(
            {"action_id": ["a", "b"], "offer_id": "o", "channel": "email", "date": [1, 2]}
        ),
        "candidates": pd.DataFrame(
            {"customer_id": [1, 1, 2], "action_id": ["a", "b", "a"], "value": [1.0, 2.0, 3.0]}
        ),
    }
    policy = {"objective": "value", "contact": [{"name": "one", "max": 1}]}
    project = oo.Project.from_frames(policy, **frames)
    oo.optimize(project).save(tmp_path)
    assert verify(tmp_path, project).ok, str(verify(tmp_path, project))
    assert "Call verify with the project" in str(verify(tmp_path))
    other = {**frames, "candidates": frames["candidates"].assign(value=[1.0, 2.0, 4.0])}
    assert not verify(tmp_path, oo.Project.from_frames(policy, **other)).ok


def test_minimise_has_a_bound_from_below(tmp_path: Path) -> None:
    actions = pd.DataFrame({"action_id": list("abc"), "offer_id": "o", "channel": "email", "date": [1, 2, 3]})
    pairs = [(c, a) for c in range(5) for a in "abc"]
    candidates = pd.DataFrame(pairs, columns=["customer_id", "action_id"])
    candidates["cost"] = [1.0 + (7 * k % 5) for k in range(15)]
    policy = {
        "objective": {"minimise": "cost"},
        "limits": [{"name": "reach", "min": 4}],
        "contact": [{"name": "one", "max": 1}],
    }
    project = oo.Project.from_frames(policy, actions=actions, candidates=candidates)
    plan = oo.optimize(project)
    plan.save(tmp_path)
    result = verify(tmp_path, project)
    assert result.ok, str(result)
    assert result.objective == 5.0
    edit(tmp_path, lambda c: c.update(bound=c["objective"] + 0.5))
    assert "lies above the objective" in str(verify(tmp_path, project))

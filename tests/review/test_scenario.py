from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import omniopt as oo
from omniopt.decisions.large import decide
from omniopt.errors import BadInput, Infeasible
from omniopt.review import FinishedRun, overrides
from omniopt.review.scenario import WhatIf, _step, write_comparison


@pytest.fixture
def what_if(run: FinishedRun) -> WhatIf:
    return WhatIf(run)


def pairs(frame: pd.DataFrame) -> set[tuple[str, str]]:
    return set(frame[overrides.KEY].itertuples(index=False, name=None))


def test_a_changed_limit_and_cap_give_what_optimize_gives(what_if: WhatIf, project: Path) -> None:
    outcome = what_if.solve({"total budget": 40, "pressure": {"max": 1}})
    loaded = oo.Project.load(project)
    alone = oo.optimize(loaded.with_limit("total budget", max=40).with_contact("pressure", max=1))
    assert outcome.after.objective == alone.objective < outcome.before.objective
    assert pairs(outcome.after.contacts) == pairs(alone.contacts)
    assert outcome.before.objective == what_if.run.certificate["objective"]


def test_a_large_problem_stays_in_memory(what_if: WhatIf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["omniopt.decisions.optimize"], "LARGE", 0)
    first = what_if.solve({"total budget": 40})
    assert first.after.certificate["solver"] == "decomposed"
    monkeypatch.setattr(decide, "build_large", None)
    second = what_if.solve({"total budget": 35, "pressure": {"max": 1}})
    assert second.after.objective < first.after.objective


def test_a_scaled_table_is_scaled_for_one_limit_and_one_solve(what_if: WhatIf, project: Path) -> None:
    outcome = what_if.solve({"call desk": {"scale": 0.5}})
    capacity = pd.read_csv(project / "capacity.csv")
    capacity.assign(minutes=capacity["minutes"] * 0.5).to_csv(project / "capacity.csv", index=False)
    halved = oo.optimize(oo.Project.load(project))
    assert outcome.after.objective == pytest.approx(halved.objective)
    rules = outcome.after.rules
    assert (
        rules.loc[rules["name"] == "call desk", "max"].sum()
        == halved.rules.loc[halved.rules["name"] == "call desk", "max"].sum()
    )
    assert what_if.solve({}).table["difference"].abs().max() < 1e-9  # the project itself kept its capacities


def test_a_number_can_be_scaled_too(what_if: WhatIf) -> None:
    budget = next(r["max"] for r in what_if.policy["limits"] if r["name"] == "total budget")
    halved = what_if.solve({"total budget": {"scale": 0.5}}).after
    assert halved.objective == what_if.solve({"total budget": budget / 2}).after.objective


def test_vetoes_and_locks_are_applied_when_asked_for(what_if: WhatIf) -> None:
    run = what_if.run
    vetoed, locked = run.contacts.tail(2), run.alternatives[run.alternatives["customer_id"] == "C001"].head(1)
    overrides.add(run, "veto", vetoed, "no")
    overrides.add(run, "lock", locked, "promised")
    without, applied = what_if.solve({}), what_if.solve({}, decisions=True)
    assert without.table["difference"].abs().max() < 1e-9 and (without.vetoes, without.locks) == (0, 0)
    assert (applied.vetoes, applied.locks) == (2, 1)
    assert not pairs(applied.after.contacts) & pairs(vetoed)
    assert pairs(locked) <= pairs(applied.after.contacts)
    assert applied.words[0].startswith("With 2 vetoes and 1 lock, ")


def test_a_lock_that_no_plan_can_keep_is_named_as_the_cause(what_if: WhatIf) -> None:
    both = what_if.run.contacts[overrides.KEY].drop_duplicates("customer_id").head(1)
    same_day = what_if.run.alternatives.merge(both["customer_id"])
    overrides.add(what_if.run, "lock", same_day, "all of them")
    with pytest.raises(Infeasible, match=r"locks apply too: taking one back may help\."):
        what_if.solve({}, decisions=True)


def test_unsound_decisions_are_not_applied(what_if: WhatIf) -> None:
    customer, action = what_if.run.contacts[overrides.KEY].iloc[0]
    path = overrides.path_of(what_if.run)
    path.parent.mkdir()
    path.write_text(
        f"kind,customer_id,action_id,reason\nveto,{customer},{action},a\nlock,{customer},{action},b\n"
    )
    with pytest.raises(BadInput, match="both vetoed"):
        what_if.solve({}, decisions=True)
    assert what_if.solve({}).table["difference"].abs().max() < 1e-9


def test_the_decisions_of_the_run_itself_stay(project: Path) -> None:
    first = FinishedRun(project / "reports" / "first")
    vetoed = first.contacts.head(1)
    changed = oo.Project.load(project).with_limit("total budget", max=45).with_decisions(vetoed, None)
    oo.optimize(changed).save(project / "reports" / "second")
    second = WhatIf(FinishedRun(project / "reports" / "second"))
    assert next(knob.value for knob in second.knobs() if knob.name == "total budget") == 45
    overrides.add(second.run, "veto", second.run.contacts.head(1), "x")
    outcome = second.solve({}, decisions=True)
    assert not pairs(outcome.after.contacts) & (pairs(vetoed) | pairs(second.run.contacts.head(1)))
    assert second.solve({}).table["difference"].abs().max() < 1e-9


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ('{"total budget": ', "cannot be read as JSON"),
        ([40], "changes must map rules"),
        ("[40]", "changes must map rules"),
        ({"total budgt": 40}, "Did you mean 'total budget'?"),
        ({"total budget": "40"}, "'max' is '40', not a number"),
        ({"total budget": True}, "'max' is True, not a number"),
        ({"total budget": float("nan")}, "'max' is nan, not a number"),
        ({"total budget": {"scale": -1}}, "'scale' is -1, not a number"),
        ({"total budget": {"mx": 1}}, "'mx' cannot be changed"),
        ({"partner guarantee": {"scale": 2}}, "has no maximum that could be scaled"),
        ({"pressure": {"scale": 2}}, "has no maximum that could be scaled"),
        ({"pressure": 1.5}, "takes a whole number"),
    ],
)
def test_changes_that_make_no_sense_are_said_in_words(what_if: WhatIf, changes: Any, words: str) -> None:
    with pytest.raises(BadInput, match=".") as caught:
        what_if.solve(changes)
    assert words in str(caught.value)


def test_all_faults_of_changes_are_told_at_once(what_if: WhatIf) -> None:
    with pytest.raises(BadInput) as caught:
        what_if.solve({"total budgt": "x", "presure": 1})
    assert len(caught.value.faults) == 3


def test_json_text_is_understood(what_if: WhatIf) -> None:
    assert (
        what_if.understood('{"total budget": 40}')
        == {"total budget": {"max": 40}}
        == what_if.understood({"total budget": 40})
    )
    assert what_if.understood("") == what_if.understood({}) == {}


def test_no_plan_is_an_error_in_words(what_if: WhatIf) -> None:
    with pytest.raises(Infeasible):
        what_if.solve({"partner guarantee": {"min": 1000}})


@pytest.mark.parametrize(("gap", "limit"), [(-1, 1), (2, 1), ("x", 1), (1e-4, 0), (1e-4, "x"), (True, 1)])
def test_gap_and_time_are_checked(run: FinishedRun, gap: Any, limit: Any) -> None:
    with pytest.raises(BadInput, match=r"gap|time_limit"):
        WhatIf(run, gap=gap, time_limit=limit)


def test_every_maximum_has_a_knob(what_if: WhatIf) -> None:
    knobs = {knob.name: knob for knob in what_if.knobs()}
    assert knobs["call desk"].key == "scale" and knobs["call desk"].value == 1
    assert knobs["pressure"].section == "contact" and knobs["pressure"].step == 1
    assert knobs["sms share"].what == "share of contacts"
    assert "partner guarantee" not in knobs  # it has a minimum only
    assert "own cap" not in knobs  # each customer's own
    for knob in knobs.values():
        assert 0 <= knob.value < knob.high and knob.step > 0


@pytest.mark.parametrize(
    ("most", "counted", "step"),
    [
        (50_000, False, 2000),
        (90, False, 2),
        (0.4, False, 0.02),
        (8, True, 1),
        (1234, True, 12),
        (1, False, 0.05),
    ],
)
def test_sliders_stop_at_round_numbers(most: float, counted: bool, step: float) -> None:
    assert _step(most, counted) == pytest.approx(step)
    if not counted:
        assert most / _step(most, counted) == pytest.approx(round(most / _step(most, counted)))


def test_changed_tables_are_noticed_and_both_plans_solved_with_them(what_if: WhatIf, project: Path) -> None:
    offers = pd.read_csv(project / "offers.csv")
    offers["value"] *= 2
    offers.to_csv(project / "offers.csv", index=False)
    outcome = what_if.solve({})
    assert what_if.changed_inputs == ["offers"]
    assert outcome.before.objective == outcome.after.objective > what_if.run.certificate["objective"]
    assert "offers changed" in outcome.words[-1]


def test_a_project_that_is_gone_or_was_never_a_file(run: FinishedRun, project: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    project.rename(moved)
    run = FinishedRun(moved / "reports" / "first")
    run.certificate["project"] = None
    with pytest.raises(BadInput, match="tables in memory"):
        WhatIf(run)
    assert WhatIf(run, project=moved).solve({}).table["difference"].abs().max() < 1e-9
    run.certificate["project"] = "../../nowhere.yaml"
    with pytest.raises(BadInput, match=r"nowhere\.yaml"):
        WhatIf(run)


def test_words_say_how_much_and_what_is_proven(what_if: WhatIf) -> None:
    outcome = what_if.solve({"total budget": 40})
    lost = outcome.before.objective - outcome.after.objective
    assert f"{lost:.2f} less" in outcome.words[0] and "total budget at most 40 instead of" in outcome.words[0]
    assert outcome.words[2] == f"For certain, the best possible loses {lost:.2f}."
    assert what_if.solve({}).words[0].endswith("no difference.")


def test_a_comparison_is_strict_json_and_whole(what_if: WhatIf, tmp_path: Path) -> None:
    outcome = what_if.solve({"total budget": 40})
    path = tmp_path / "made" / "comparison.json"
    write_comparison(path, outcome.as_json())
    read = json.loads(path.read_text(), parse_constant=lambda word: pytest.fail(word))
    assert read["what_if"]["objective"] == outcome.after.objective
    assert read["run"]["contacts"] == len(outcome.before.contacts)
    assert read["changes"] == {"total budget": {"max": 40}}
    assert read["table"][0]["measure"] == "objective"
    assert [p.name for p in path.parent.iterdir()] == ["comparison.json"]
    with pytest.raises(BadInput, match="cannot be written"):
        write_comparison(path / "below", {})


def test_less_is_better_where_the_policy_minimises(project: Path) -> None:
    policy = project / "policy.yaml"
    policy.write_text(policy.read_text().replace("objective: value - cost", "objective: {minimise: cost}"))
    oo.optimize(oo.Project.load(project)).save(project / "reports" / "cheap")
    what_if = WhatIf(FinishedRun(project / "reports" / "cheap"))
    outcome = what_if.solve({"partner guarantee": {"min": 8}})
    assert outcome.after.objective > outcome.before.objective
    assert "more" in outcome.words[0] and "best possible loses" in outcome.words[2]

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from omniopt.errors import BadInput
from omniopt.project import CONTACT_KEYS, LIMIT_KEYS, Project, read_yaml
from omniopt.rules.policy import Contact, Limit

ACTIONS = pd.DataFrame({"action_id": ["a", "b"], "offer_id": ["o", "p"], "channel": ["email", "sms"]})
CANDIDATES = pd.DataFrame(
    {"customer_id": [1, 2], "action_id": ["a", "b"], "value": [1.0, 2.0], "cost": [1, 2]}
)
POLICY = {
    "objective": "value",
    "limits": [{"name": "budget", "measure": "cost", "max": 3, "min": 1}, {"name": "calls", "max": 9}],
    "contact": [{"name": "pressure", "max": 2, "days": 7}],
}


def project(**more: object) -> Project:
    return Project.from_frames(POLICY, actions=ACTIONS, candidates=CANDIDATES, **more)  # type: ignore[arg-type]


def faults_of(call: object, *args: object, **kwargs: object) -> str:
    with pytest.raises(BadInput) as caught:
        call(*args, **kwargs)  # type: ignore[operator]
    return str(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ACTIONS.to_csv(tmp_path / "actions.csv", index=False)
    CANDIDATES.to_parquet(tmp_path / "candidates.parquet")
    (tmp_path / "omniopt.yaml").write_text(
        "version: 1\nname: two\nhorizon: {start: 2026-11-23, days: 28}\n"
        "tables: {actions: actions.csv, candidates: candidates.parquet}\npolicy: rules/policy.yaml\n"
    )
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "policy.yaml").write_text("objective: value\n")
    return tmp_path


def test_load_takes_the_file_or_its_folder(folder: Path) -> None:
    for path in (folder, str(folder), folder / "omniopt.yaml"):
        loaded = Project.load(path)
        assert loaded.spec.name == "two"
        assert loaded.spec.seed == 0
        assert loaded.file == folder / "omniopt.yaml"
        assert loaded.root == folder
        assert loaded.policy == {"objective": "value"}
        assert loaded.policy_name == "policy.yaml"
        assert loaded.spec.horizon is not None
        assert loaded.spec.horizon.start == datetime.date(2026, 11, 23)


def test_paths_are_relative_to_the_file_and_not_to_where_we_stand(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    assert len(Project.load(folder).read().candidates) == 2  # type: ignore[arg-type]


def test_inputs_say_what_was_read(folder: Path) -> None:
    inputs = Project.load(folder).read().inputs
    for name, file in {
        "actions": "actions.csv",
        "candidates": "candidates.parquet",
        "project": "omniopt.yaml",
        "policy": "rules/policy.yaml",
    }.items():
        assert inputs[name]["sha256"] == hashlib.sha256((folder / file).read_bytes()).hexdigest()
        assert inputs[name]["source"] == file
    assert inputs["candidates"]["rows"] == 2
    json.dumps(inputs)


def test_inputs_are_the_files_as_they_were_read(folder: Path) -> None:
    loaded = Project.load(folder)
    before = hashlib.sha256((folder / "rules" / "policy.yaml").read_bytes()).hexdigest()
    (folder / "rules" / "policy.yaml").write_text("objective: cost\n")
    assert loaded.policy == {"objective": "value"}
    assert loaded.read().inputs["policy"]["sha256"] == before


def test_an_inline_policy_has_no_file(folder: Path) -> None:
    file = folder / "omniopt.yaml"
    file.write_text(file.read_text().replace("rules/policy.yaml", "{objective: cost}"))
    loaded = Project.load(folder)
    assert loaded.policy == {"objective": "cost"}
    assert loaded.policy_name == "omniopt.yaml"
    assert "policy" not in loaded.read().inputs


def test_tables_are_read_once_and_shared_with_variants(folder: Path) -> None:
    loaded = Project.load(folder)
    assert loaded.with_decisions(None, None).read() is loaded.read()


def test_frames_need_no_files() -> None:
    made = project(horizon={"start": "2026-11-23", "days": 7}, seed=3, name="mine")
    tables = made.read()
    assert tables.candidates is not None
    assert tables.candidates["customer_id"].tolist() == ["1", "2"]
    assert tables.inputs["candidates"]["source"] == "in memory"
    assert set(tables.inputs) == {"actions", "candidates"}
    assert made.spec.seed == 3


def test_frames_with_a_policy_in_a_file(folder: Path) -> None:
    file = folder / "rules" / "policy.yaml"
    made = Project.from_frames(file, actions=ACTIONS, candidates=CANDIDATES)
    assert made.policy == {"objective": "value"}
    assert made.policy_name == "policy.yaml"
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    assert made.read().inputs["policy"] == {"sha256": sha256, "source": str(file)}


def test_frames_keep_what_was_given() -> None:
    before = CANDIDATES.copy()
    project().read()
    pd.testing.assert_frame_equal(CANDIDATES, before)


def test_frames_of_the_wrong_kind() -> None:
    text = faults_of(Project.from_frames, [1], actions=ACTIONS, candidates={"a": 1})
    assert "table candidates: a dict is no DataFrame" in text
    assert "the policy is a list" in text
    assert "horizon.days" in faults_of(project, horizon={"start": "2026-11-23", "days": 0})
    assert "horizon.start" in faults_of(project, horizon={"start": 20261123, "days": 1})


def test_with_limit_changes_a_copy() -> None:
    made = project()
    changed = made.with_limit("budget", max=np.int64(5), min=None).with_limit("calls", max=1)
    changed = changed.with_contact("pressure", days=14)
    assert changed.effective_policy() == {
        "objective": "value",
        "limits": [{"name": "budget", "measure": "cost", "max": 5}, {"name": "calls", "max": 1}],
        "contact": [{"name": "pressure", "max": 2, "days": 14}],
    }
    assert made.effective_policy() == POLICY
    assert json.loads(json.dumps(changed.changes)) == {
        "limits": {"budget": {"max": 5, "min": None}, "calls": {"max": 1}},
        "contact": {"pressure": {"days": 14}},
    }


def test_a_later_change_adds_to_an_earlier_one() -> None:
    changed = project().with_limit("budget", max=5).with_limit("budget", min=2)
    assert changed.changes["limits"] == {"budget": {"max": 5, "min": 2}}


def test_changes_by_a_misspelt_name() -> None:
    text = faults_of(project().with_limit, "budgte", maxx=1)
    assert "'budgte'" in text and "Did you mean 'budget'?" in text
    assert "'maxx'" in text and "Did you mean 'max'?" in text
    assert "'name'" in faults_of(project().with_limit, "budget", name="other")
    assert "'presure'" in faults_of(project().with_contact, "presure", max=1)


def test_every_key_of_a_rule_can_be_changed() -> None:
    assert set(Limit.model_fields) - {"name"} <= set(LIMIT_KEYS)
    assert set(Contact.model_fields) - {"name"} <= set(CONTACT_KEYS)


def test_changes_to_a_policy_that_has_no_rules() -> None:
    made = Project.from_frames({"objective": "value", "limits": 3}, actions=ACTIONS, candidates=CANDIDATES)
    assert "no limit 'budget'" in faults_of(made.with_limit, "budget", max=1)


def test_decisions_of_people() -> None:
    vetoes = pd.DataFrame({"customer_id": [1], "action_id": ["a"], "reason": ["complaint"]})
    locks = pd.DataFrame({"action_id": ["b"], "customer_id": [2.0]})
    made = project().with_limit("budget", max=5).with_decisions(vetoes, locks)
    assert made.changes == {
        "limits": {"budget": {"max": 5}},
        "vetoes": [["1", "a", "complaint"]],
        "locks": [["2", "b", ""]],
    }
    assert made.with_decisions(None, vetoes.iloc[:0]).changes == {"limits": {"budget": {"max": 5}}}


def test_decisions_that_are_wrong() -> None:
    frame = pd.DataFrame({"customer": ["1"], "action_id": ["a"]})
    assert "table vetoes, column customer_id" in faults_of(project().with_decisions, frame, None)
    frame = pd.DataFrame({"customer_id": ["1", None], "action_id": ["a", "a"]})
    assert "table locks, row 2, column customer_id" in faults_of(project().with_decisions, None, frame)
    frame = frame.iloc[:1]
    assert "vetoed too" in faults_of(project().with_decisions, frame, frame)


def test_dates_of_days() -> None:
    made = project(horizon={"start": datetime.date(2026, 11, 23), "days": 7})
    assert made.date_of(1) == np.datetime64("2026-11-23")
    assert made.date_of(np.int32(8)) == np.datetime64("2026-11-30")
    days = made.date_of(pd.Series([1, None, 0], dtype="Int32"))
    assert days.dtype == np.dtype("datetime64[D]")
    assert (
        days[0] == np.datetime64("2026-11-23")
        and np.isnat(days[1])
        and days[2] == np.datetime64("2026-11-22")
    )
    assert made.date_of(np.array([2], np.int32))[0] == np.datetime64("2026-11-24")
    assert project().date_of(4) == 4


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x: NO", "NO"),
        ("x: on", "on"),
        ("x: 08:30", "08:30"),
        ("x: 007", "007"),
        ("x: 1_000", "1_000"),
        ("x: 1e-4", 1e-4),
        ("x: 1.", 1.0),
        ("x: -3", -3),
        ("x: .5", 0.5),
        ("x: '7'", "7"),
        ("x: true", True),
        ("x: ~", None),
        ("x:", None),
        ("x: -", None),
        ("x: 2026-11-23", datetime.date(2026, 11, 23)),
        ("x: .nan", ".nan"),
        ("x: [a, b]", ["a", "b"]),
    ],
)
def test_yaml_changes_no_word(text: str, value: object, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(text)
    if text == "x: -":
        assert "x.yaml, line 1" in faults_of(read_yaml, file)
        return
    read = read_yaml(file)["x"]
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\na: 2",
        "a: {b: 1, b: 2}",
        "? [a, b]\n: 1",
        "a: &x [1]\nb: *x",
        "a: !!python/name:os.system ''",
        "a: 2026-13-45",
        "[" * 3000,
        "a: 'open",
        "\x01: 1",
        "- a",
        "",
        "just words",
    ],
)
def test_yaml_that_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(text)
    assert "x.yaml" in faults_of(read_yaml, file)


def test_a_folder_without_a_project(tmp_path: Path) -> None:
    assert "omniopt.yaml: there is no such file" in faults_of(Project.load, tmp_path)

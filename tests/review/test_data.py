from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

import omniopt as oo
from omniopt.errors import BadInput
from omniopt.review import FinishedRun
from omniopt.review.data import Filter, finished_runs


def said(call, *args) -> str:
    with pytest.raises(BadInput) as caught:
        call(*args)
    return str(caught.value)


def test_a_run_is_opened_by_folder_by_name_or_as_the_newest(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = project / "reports"
    shutil.copytree(reports / "first", reports / "second")
    os.utime(reports / "first" / "certificate.json", (1, 1))
    assert FinishedRun.open(reports=reports).name == "second"
    # what the manifest says counts more than a file's time, which copying changes
    for name, finished in (("first", "2026-11-22T10:00:00Z"), ("second", "2026-11-21T10:00:00Z")):
        (reports / name / "manifest.json").write_text(json.dumps({"finished": finished}))
    assert FinishedRun.open("", reports).name == "first"
    assert FinishedRun.open("second", reports).name == "second"
    assert FinishedRun.open(reports / "second").name == "second"
    (project / "notebooks").mkdir()
    for place in (project, project / "notebooks"):
        monkeypatch.chdir(place)
        assert FinishedRun.open().folder == reports / "first"


def test_only_finished_runs_are_offered(project: Path) -> None:
    reports = project / "reports"
    (reports / "first.review").mkdir()
    for unfinished in (".second.running", "failed/third", "fourth"):
        (reports / unfinished).mkdir(parents=True)
        (reports / unfinished / "certificate.json").write_text("{}")
    shutil.copy(reports / "first" / "plan.parquet", reports / ".second.running")
    assert [run.name for run in finished_runs(reports)] == ["first"]


def test_a_run_that_is_not_there_is_said_in_words(project: Path, tmp_path: Path) -> None:
    reports = project / "reports"
    assert "There is no run 'frist'" in said(FinishedRun.open, "frist", reports)
    assert "Did you mean 'first'?" in said(FinishedRun.open, "frist", reports).replace("did", "Did")
    (tmp_path / "empty").mkdir()
    assert "No finished run" in said(FinishedRun.open, "", tmp_path / "empty")
    assert "no folder of runs" in said(FinishedRun.open, "", tmp_path / "nowhere")
    assert "has no plan.parquet and no certificate.json" in said(FinishedRun, tmp_path / "empty")


def test_broken_files_are_said_in_words(run: FinishedRun) -> None:
    (run.folder / "certificate.json").write_text("{not json")
    assert "first/certificate.json: cannot be read" in said(FinishedRun, run.folder)
    (run.folder / "alternatives.parquet").write_bytes(b"PAR1 nonsense")
    assert "first/alternatives.parquet: cannot be read" in said(lambda: run.alternatives)
    (run.folder / "plan.parquet").write_bytes(b"")
    (run.folder / "certificate.json").write_text("{}")
    assert "first/plan.parquet: cannot be read" in said(FinishedRun, run.folder)


def test_opening_reads_the_plan_and_the_certificate_alone(run: FinishedRun) -> None:
    for name in ("alternatives", "dropped"):
        (run.folder / f"{name}.parquet").unlink()
    again = FinishedRun(run.folder)
    assert len(again.matching(Filter())) == len(run.contacts)
    assert len(again.limits) == len(run.limits)


@pytest.mark.parametrize(
    "wanted",
    [
        Filter(),
        Filter(channel="sms"),
        Filter(offer="travel", last=4),
        Filter(channel="email", offer="loan"),
        Filter(first=4, last=4),
        Filter(customer=" c01"),
        Filter(customer="C.*"),
        Filter("sms", "travel", 2, 9, "1"),
    ],
)
def test_filters_keep_what_they_say(run: FinishedRun, wanted: Filter) -> None:
    start = pd.Timestamp("2026-11-30")
    by_hand = [
        row.Index
        for row in run.contacts.itertuples()
        if (not wanted.channel or row.channel == wanted.channel)
        and (not wanted.offer or row.offer_id == wanted.offer)
        and (wanted.first is None or (row.date - start).days + 1 >= wanted.first)
        and (wanted.last is None or (row.date - start).days + 1 <= wanted.last)
        and wanted.customer.strip().lower() in row.customer_id.lower()
    ]
    assert run.matching(wanted).index.tolist() == by_hand


def test_contacts_are_counted_by_channel_and_day(run: FinishedRun) -> None:
    counts = run.by_channel_and_day(run.contacts, 1, 14)
    assert counts.shape == (run.contacts["channel"].nunique(), 14)
    assert counts.to_numpy().sum() == len(run.contacts)
    for row in run.contacts.itertuples():
        same = run.contacts[(run.contacts["channel"] == row.channel) & (run.contacts["day"] == row.day)]
        assert counts.loc[row.channel, row.day] == len(same)
    # days outside the span asked for do not slip in, and a filter does not make channels disappear
    some = run.by_channel_and_day(run.matching(Filter(channel="sms")), 2, 3)
    assert list(some.columns) == [2, 3] and list(some.index) == list(counts.index)
    assert some.drop(index="sms").to_numpy().sum() == 0


def test_one_customer_has_all_three_sides(run: FinishedRun) -> None:
    one = run.customer("C001")
    for part, table in ((one.chosen, "plan"), (one.next_best, "alternatives"), (one.dropped, "dropped")):
        whole = run.table(table)
        assert part["action_id"].tolist() == whole[whole["customer_id"] == "C001"]["action_id"].tolist()
        assert len(part)
    assert not set(one.next_best["action_id"]) & set(one.chosen["action_id"])
    assert "Customer 'C1' is not in this run" in said(run.customer, "C1")


def test_customers_are_found_by_a_part_of_their_id(run: FinishedRun) -> None:
    everybody = set(run.contacts["customer_id"]) | set(run.alternatives["customer_id"])
    assert set(run.customers_like("")) == everybody
    assert run.customers_like("c01") == sorted(c for c in everybody if c.startswith("C01"))
    assert run.customers_like("", at_most=3) == run.customers_like("")[:3]
    assert run.customers_like("(") == []


def test_the_dearest_limits_come_first(run: FinishedRun) -> None:
    prices = run.limits["price"].abs().tolist()
    assert prices == sorted(prices, reverse=True) and prices[0] > 0
    assert set(run.limits["kind"]) == {"limit"}


def test_a_run_without_dates_counts_days(project: Path, tmp_path: Path) -> None:
    candidates = pd.DataFrame({"customer_id": ["a", "a", "b"], "action_id": ["x", "y", "x"]})
    candidates = candidates.assign(value=[3.0, 2.0, 1.0], cost=1.0)
    actions = pd.DataFrame(
        {"action_id": ["x", "y"], "offer_id": ["o", "o"], "channel": ["c", "c"], "date": [2, 5]}
    )
    policy = {"objective": "value", "limits": [{"name": "budget", "measure": "cost", "max": 2}]}
    plan = oo.optimize(oo.Project.from_frames(policy, actions=actions, candidates=candidates))
    plan.save(tmp_path / "run")
    run = FinishedRun(tmp_path / "run")
    assert run.start is None and run.days == (2, 5)
    assert run.contacts["day"].tolist() == [2, 5]
    assert run.day_label(2) == "day 2"
    assert run.objective == "value"


def test_days_have_their_dates(run: FinishedRun) -> None:
    assert run.days == (1, 14)
    assert run.day_label(1) == "Mon 30 Nov"
    assert run.day_label(2, "{0.day} {0:%b}") == "1 Dec"
    assert (
        run.contacts["date"] == pd.Timestamp("2026-11-29") + pd.to_timedelta(run.contacts["day"], unit="D")
    ).all()

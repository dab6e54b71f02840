"""What is linked, learnt and measured, broken in one place at a time: told in words, and nothing is left."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from afterwards import RUN_ID, make, outcomes
from broken import contents, lay
from broken_learning import DAMAGED, LEARNING, LEARNT, LINKED, OUTCOMES, SOURCES
from test_bad_input import assert_told, say

from omniopt.tables import read_parquet, write_parquet


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "shop"
    make(folder)
    return folder


def test_the_good_projects_are_good(tmp_path: Path) -> None:
    assert say(lay(tmp_path / "learning", None, LEARNING), "check") == (0, "")
    assert say(lay(tmp_path / "linked", None, LINKED), "check") == (0, "")


def test_there_are_enough() -> None:
    assert len(LEARNT) + len(SOURCES) + len(OUTCOMES) + len(DAMAGED) >= 100


@pytest.mark.parametrize("name", [*LEARNT, *SOURCES])
def test_it_is_told_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    change = (LEARNT | SOURCES)[name]
    project = lay(tmp_path / "p", change, LEARNING if name in LEARNT else LINKED)
    before = contents(tmp_path)
    for command in ("check", "optimize"):
        out = [] if command == "check" else ["--out", str(tmp_path / "out")]
        status, text = say(project, command, *out)
        assert status == 2, text
        assert_told(text, change)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", OUTCOMES)
def test_outcomes_are_refused(name: str, shop: Path, tmp_path: Path) -> None:
    old, new, words = OUTCOMES[name]
    good = outcomes().to_csv(index=False)
    text = new if old is None else good.replace(old, new, -1 if name.startswith("nothing") else 1)
    _refused(shop, tmp_path, text, words)


def test_an_outcome_twice_is_refused(shop: Path, tmp_path: Path) -> None:
    good = outcomes().to_csv(index=False)
    _refused(shop, tmp_path, good + good.splitlines()[1] + "\n", ("column customer_id", "earlier row"))


@pytest.mark.parametrize("file", DAMAGED)
def test_a_damaged_run_is_refused(file: str, shop: Path, tmp_path: Path) -> None:
    _refused(shop, tmp_path, outcomes().to_csv(index=False), (file, "damaged"), file)


@pytest.mark.parametrize("option", [("--append", "customers.csv"), ("--append", "h.txt"), ("--plan", "none")])
def test_a_refusal_leaves_no_measure_behind(option: tuple[str, str], shop: Path, tmp_path: Path) -> None:
    more = (option[0], str(tmp_path / "shop" / option[1]))
    _refused(shop, tmp_path, outcomes().to_csv(index=False), (option[1],), more=more)


def test_a_customer_in_two_arms_is_refused(shop: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(shop, tmp_path / "made"))
    file = copy / "reports" / RUN_ID / "experiment.parquet"
    arms = read_parquet(file)
    arms.loc[3, "customer_id"] = arms.loc[2, "customer_id"]
    write_parquet(arms, file)
    _refused(copy, tmp_path, outcomes().to_csv(index=False), ("row 4", "column customer_id"))


def _refused(
    shop: Path,
    folder: Path,
    text: str,
    words: tuple[str, ...],
    damaged: str = "",
    more: tuple[str, ...] = (),
) -> None:
    run = Path(shutil.copytree(shop, folder / "shop")) / "reports" / RUN_ID
    (folder / "o.csv").write_text(text)
    if damaged:
        (run / damaged).write_text("{")
    before = contents(folder)
    status, said = say(run, "measure", "--outcomes", str(folder / "o.csv"), *more)
    assert status == 2, said
    for word in words:
        assert word in said, said
    assert contents(folder) == before

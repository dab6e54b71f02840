"""The whole way through the command line on the starter project, and the page that comes of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from handmade import EVIL

CHECKOUT = Path(__file__).resolve().parents[2]


def omniopt(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "omniopt", *arguments]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment, timeout=300)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The starter, with an offer whose name would be a program if anyone let it."""
    folder = tmp_path_factory.mktemp("whole") / "project"
    shutil.copytree(CHECKOUT / "data" / "starter", folder)
    offers = pd.read_csv(folder / "offers.csv")
    offers.assign(name=[EVIL, *offers["offer_id"][1:]]).to_csv(folder / "offers.csv", index=False)
    (folder / "NOTICE.md").write_text(f"Everything here is made up. {EVIL}")
    return folder


@pytest.fixture(scope="module")
def run(project: Path) -> Path:
    """A finished run."""
    done = omniopt("run", ".", "-p", "gap", "0.001", "--json", cwd=project)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "a log stays quiet"
    answer = json.loads(done.stdout)
    return project / answer["folder"]


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    return (run / "report.html").read_text(encoding="utf-8")


def test_a_run_folder_is_whole(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert names >= {
        "01_customers.ipynb", "02_scores.ipynb", "03_allocate.ipynb", "04_report.ipynb", "plan.parquet",
        "certificate.json", "dropped.parquet", "alternatives.parquet", "manifest.json", "verification.json",
        "report.html", "lists",
    }  # fmt: skip
    assert sorted(path.name for path in run.parent.iterdir() if path.is_dir()) == [run.name]
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["run_id"] == run.name and manifest["parameters"] == {"gap": 0.001}
    rows = sum(len(pd.read_csv(path)) for path in (run / "lists").glob("*.csv"))
    assert rows == len(pd.read_parquet(run / "plan.parquet"))
    assert json.loads((run / "verification.json").read_text())["ok"] is True


def test_a_finished_run_can_be_verified_where_it_lies(run: Path, project: Path) -> None:
    assert omniopt("verify", str(run), cwd=project).returncode == 0


def test_the_page_needs_no_network_and_runs_nothing(page: str) -> None:
    assert not re.search(r"<script|<link|<iframe|@import|url\(", page)
    assert not re.findall(r'(?:src|href)="(?!data:)[^"]*"', page)
    assert "default-src 'none'" in page and EVIL not in page and "&lt;script&gt;" in page


def test_the_page_shows_no_code(run: Path, page: str) -> None:
    for cell in nbformat.read(run / "04_report.ipynb", as_version=4).cells:
        if cell.cell_type == "code":
            assert cell.source.splitlines()[0] not in page
    assert "omniopt.runs" not in page and "Traceback" not in page


def test_the_page_names_no_customer(project: Path, page: str) -> None:
    words = set(re.findall(r"[\w-]+", re.sub(r'src="data:[^"]*"', "", page)))
    customers = pd.read_csv(project / "customers.csv", dtype=str)
    assert not words & set(customers["customer_id"])


def test_the_page_tells_in_order(page: str, run: Path) -> None:
    heads = re.findall(r"<h[12][^>]*>(.*?)</h[12]>", page)
    assert heads == [
        "starter", "On one page", "Contacts", "Limits: use and price", "Rules for each customer",
        "What each rule costs", "What was dropped, and why", "The plan beside what would be done without it",
        "Predicted and actual response", "How good the model is", "What contacts change", "What annoys",
        "Control groups and exploration", "How sure the contacts are", "About the data",
        "What this run was made of",
    ]  # fmt: skip
    certificate = json.loads((run / "certificate.json").read_text())
    for rule in certificate["rules"]:
        if rule["kind"] in ("limit", "contact"):
            assert rule["name"] in page
    assert all(of["sha256"] in page for of in certificate["inputs"].values())


@pytest.mark.slow
def test_an_impossible_policy_ends_with_3_and_leaves_no_plan(project: Path, tmp_path: Path) -> None:
    broken = tmp_path / "impossible"
    shutil.copytree(project, broken, ignore=shutil.ignore_patterns("reports"))
    policy = (broken / "policy.yaml").read_text()
    (broken / "policy.yaml").write_text(policy.replace("min: 4}", "min: 4000}"))
    done = omniopt("run", ".", cwd=broken)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    reports = broken / "reports"
    assert [path.name for path in reports.iterdir() if path.is_dir()] == ["failed"]
    assert not list(reports.rglob("plan.parquet")) and not list(reports.rglob("lists"))


def test_a_misspelt_parameter_ends_with_2_and_writes_nothing(project: Path, tmp_path: Path) -> None:
    done = omniopt("run", str(project), "-p", "gpa", "0.1", "--reports", "r", cwd=tmp_path)
    assert done.returncode == 2 and "Did you mean 'gap'?" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_is_cut_off_at_any_width(run: Path, browser: Any, width: int) -> None:
    tab = browser.new_page(viewport={"width": width, "height": 900})
    asked: list[str] = []
    wrong: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: wrong.append(message.text))
    tab.goto((run / "report.html").as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    # What is wider than the window is only to be found in frames that scroll.
    cut = """[...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll table')
        && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName)"""
    assert tab.evaluate(cut) == []
    sizes = "[...document.images].map(i => [i.complete, i.naturalWidth, i.clientWidth])"
    images = tab.evaluate(sizes)
    assert len(images) >= 6 and all(done and natural and shown > 300 for done, natural, shown in images)
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == [] and wrong == []
    tab.close()


@pytest.mark.browser
def test_the_page_can_be_printed(run: Path, browser: Any) -> None:
    tab = browser.new_page()
    tab.goto((run / "report.html").as_uri())
    printed = tab.pdf(format="A4")
    tab.close()
    assert printed.startswith(b"%PDF") and 2 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 15

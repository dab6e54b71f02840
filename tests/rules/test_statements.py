"""The mathematics is written once: statements with their builders and models, and the page made from them."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from bank import FOUR_WEEKS, project, table, tables_of
from golden_models import GOLDEN

import omniopt
from omniopt.decisions.model import describe
from omniopt.decisions.problem import build_problem
from omniopt.errors import Faults
from omniopt.rules.parse import parse_policy
from omniopt.rules.policy import SECTIONS
from omniopt.rules.statements import BEGIN, END, STATEMENTS, section, states, written

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "mathematics.md"
KEYS = {f"{part}.{key}" for part, model in SECTIONS.items() for key in model.model_fields if key != "name"}

# Statement → golden models that show it.
SHOWN = {
    "legs": ["limit-fallback", "contact-fallback"],
    "objective": ["limit-minimise", "limit-fixed_cost-measure"],
    "ranks": ["limit-ranks"],
    "drop": ["eligibility-drop"],
    "rest": ["eligibility-after"],
    "limit": ["limit-max", "limit-min"],
    "groups": ["limit-per", "limit-table"],
    "ratio": ["limit-over-min", "limit-over-max"],
    "rolling window": ["limit-rolling", "limit-rolling-min", "limit-rolling-per", "limit-rolling-over"],
    "cell": ["limit-fixed_cost", "limit-fixed_cost-fallback"],
    "all or nothing": ["limit-all_or_nothing", "limit-all_or_nothing-per"],
    "penalty": ["limit-penalty", "limit-penalty-over", "limit-penalty-minimise"],
    "watched limit": ["limit-report_only"],
    "window": ["contact-window", "contact-where", "contact-history", "contact-history-ignored"],
    "horizon and calendar": ["contact-horizon", "contact-every-week", "contact-every-month"],
    "each value": ["contact-per"],
    "what is counted": ["contact-occasions", "contact-count"],
    "household": ["contact-unit"],
    "bounds of customers": ["contact-column", "contact-min-column"],
    "minimum": ["contact-min", "contact-min-days"],
    "minimum or none": ["contact-min_or_none"],
    "conflict": ["conflict-lag", "conflict-history"],
    "either order": ["conflict-either_order", "conflict-commitment"],
    "one scope": ["conflict-same"],
    "prerequisite": ["requires-before", "requires-history"],
    "in any order": ["requires-any"],
}
# What a candidate is worth is no row and is tested with the candidates; the row of a rank is tested below.
NOT_GOLDEN = {"value of a candidate"}


def builders() -> Iterator[tuple[str, Any]]:
    """Every function and method of the package that carries statements, by its import path."""
    for info in pkgutil.walk_packages(omniopt.__path__, "omniopt."):
        if info.name.split(".")[1] not in ("actions", "rules", "decisions"):
            continue
        module = importlib.import_module(info.name)
        own = [o for o in vars(module).values() if getattr(o, "__module__", "") == info.name]
        for holder in own:
            for thing in (holder, *(vars(holder).values() if isinstance(holder, type) else ())):
                function = getattr(thing, "fget", None) or getattr(thing, "__func__", thing)
                if isinstance(getattr(function, "states", None), tuple):
                    yield f"{info.name}.{function.__qualname__}", function


def test_every_statement_has_one_builder() -> None:
    found: dict[str, set[str]] = {name: set() for name in STATEMENTS}
    for path, builder in builders():
        for name in builder.states:
            found[name].add(path)
    assert {name: paths for name, paths in found.items() if len(paths) != 1} == {}


def test_every_key_of_the_policy_has_a_statement() -> None:
    explained = [key for statement in STATEMENTS.values() for key in statement.keys]
    assert KEYS - set(explained) == set()
    assert set(explained) - KEYS == set()
    assert len(explained) == len(set(explained)), "a key is explained twice"


def test_every_statement_has_a_golden_model() -> None:
    assert set(SHOWN) == set(STATEMENTS) - NOT_GOLDEN
    shown = {golden for names in SHOWN.values() for golden in names}
    assert shown - set(GOLDEN) == set()
    assert set(GOLDEN) - shown == set(), "say which statement the model shows"


@pytest.mark.parametrize("name", [name for name in STATEMENTS if STATEMENTS[name].keys])
def test_the_models_that_show_a_statement_have_its_keys(name: str) -> None:
    shown = {f"{GOLDEN[g].section}.{key}" for g in SHOWN[name] for key in GOLDEN[g].rule}
    assert set(STATEMENTS[name].keys) - shown == set()


def test_an_earlier_objective_is_a_row_of_the_next_rank() -> None:
    policy = {
        "objective": [{"maximise": "value", "within": 0.25}, {"minimise": "cost"}],
        "limits": [{"name": "desk", "fixed_cost": 3, "min": 1, "penalty": 2}],
    }
    candidates = table("customer_id action_id value cost", "ann loan-call-1 5 2", "bob loan-call-9 4 1")
    problem = build_problem(project(policy, tables_of(candidates), FOUR_WEEKS))
    model = describe(problem.at_rank(1, [4.5]))
    a, b = "x[ann, loan-call-1]", "x[bob, loan-call-9]"
    assert model.startswith(f"minimise\n  2 {a} + {b}\n")
    assert f"  objective 1: 4.5 <= 5 {a} + 4 {b} - 3 z[desk] - 2 s-[desk]\n" in model


def test_an_unknown_statement_is_an_error() -> None:
    with pytest.raises(LookupError, match="limmit"):
        states("limit", "limmit")
    assert states("limit")(lambda: None).states == ("limit",)  # type: ignore[attr-defined]


def test_the_page_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page) == page, "run python -m omniopt.rules.statements docs/mathematics.md"
    assert all(f"**{name}**" in page for name in STATEMENTS)


def test_the_page_is_written_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"above\n{BEGIN}\nold\n{END}\nbelow\n", encoding="utf-8")
    subprocess.run([sys.executable, "-W", "error", "-m", "omniopt.rules.statements", str(page)], check=True)
    text = page.read_text(encoding="utf-8")
    assert text == f"above\n{BEGIN}\n\n{section()}\n{END}\nbelow\n"
    assert written(text) == text


@pytest.mark.parametrize(
    "page", ["nothing", f"{BEGIN} alone", f"{END} before {BEGIN}", f"{BEGIN}{BEGIN}{END}"]
)
def test_a_page_without_its_marks_is_not_touched(page: str) -> None:
    with pytest.raises(ValueError, match="marks"):
        written(page)


def policies(name: str) -> list[dict[str, Any]]:
    """The policies in a page's YAML blocks."""
    text = (DOCS / name).read_text(encoding="utf-8")
    found = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    return [block for block in found if isinstance(block, dict)]


@pytest.mark.parametrize("page", ["rules.md", "other_systems.md"])
def test_the_policies_of_a_page_can_be_read(page: str) -> None:
    faults = Faults()
    for policy in policies(page):
        parse_policy({"objective": "value"} | policy, faults)
    assert list(faults) == []
    assert len(policies(page)) > 10


def test_the_rules_by_example_show_every_key() -> None:
    shown = {
        f"{part}.{key}"
        for policy in policies("rules.md")
        for part, rules in policy.items()
        if part in SECTIONS
        for rule in rules
        for key in rule
    }
    text = (DOCS / "rules.md").read_text(encoding="utf-8")
    missing = {key for key in KEYS - shown if f"`{key.partition('.')[2]}:" not in text}
    assert missing == set()

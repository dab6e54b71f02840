"""The model of every kind of rule, as text that a person has read; and no kind or key without one."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest
from golden_models import GOLDEN

from omniopt.decisions.model import describe
from omniopt.decisions.problem import build_problem
from omniopt.rules.policy import SECTIONS

FOLDER = Path(__file__).parents[1] / "golden"
KEYS = {f"{section}.{key}" for section, model in SECTIONS.items() for key in model.model_fields}


@pytest.mark.parametrize("name", GOLDEN)
def test_model_reads_as_it_did(name: str) -> None:
    file = FOLDER / f"{name}.txt"
    problem, floors = build_problem(GOLDEN[name].project()), list(GOLDEN[name].floors)
    text = describe(problem.at_rank(len(floors), floors) if floors else problem)
    if os.environ.get("OMNIOPT_UPDATE_GOLDEN") == "1":
        file.write_text(text, encoding="utf-8")
    assert file.is_file(), f"{file.name} is missing; golden_models.py says how it is written"
    assert text == file.read_text(encoding="utf-8")


def test_no_golden_model_is_left_over() -> None:
    assert {file.stem for file in FOLDER.glob("*.txt")} == set(GOLDEN)


def cases_by_hand() -> dict[str, list[str]]:
    """Key of the policy → the tests that are ``about`` it."""
    found: dict[str, list[str]] = {}
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            for mark in getattr(node, "decorator_list", []):
                if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == "about":
                    for key in mark.args:
                        assert isinstance(key, ast.Constant) and isinstance(node, ast.FunctionDef)
                        found.setdefault(key.value, []).append(node.name)
    return found


def test_every_kind_and_key_has_a_case_by_hand() -> None:
    cases = cases_by_hand()
    assert KEYS - set(cases) == set(), "write a case whose answer can be checked on paper, marked @about"
    assert set(cases) - KEYS == set(), "these keys are not in the policy"


def test_every_kind_and_key_has_a_golden_model() -> None:
    shown = {f"{golden.section}.{key}" for golden in GOLDEN.values() for key in golden.rule}
    assert KEYS - shown == set(), "add a project with this key to golden_models.py"
    assert shown - KEYS == set()


def test_every_kind_is_in_the_random_mix() -> None:
    """The generator of random projects has to draw every key; another test counts how often it does."""
    source = (Path(__file__).parents[1] / "decisions" / "test_brute_force.py").read_text(encoding="utf-8")
    assert {key for key in KEYS if not key.endswith(".name") and f'"{key}"' not in source} == set()

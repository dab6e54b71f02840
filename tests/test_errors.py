from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from omniopt.errors import BadInput, Fault, Faults, Infeasible, NotebookFailed, OmnioptError, nearest


def test_a_fault_is_one_line_with_place_and_remedy() -> None:
    fault = Fault(
        "'abc' is not a number",
        file="customers.csv",
        table="customers",
        row=7,
        column="age",
        hint="Write a number or leave the cell empty.",
    )
    assert str(fault) == (
        "customers.csv, row 7, column age: 'abc' is not a number. Write a number or leave the cell empty."
    )


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault("the file is empty"), "the file is empty."),
        (
            Fault("the table has no rows", file="q4.xlsx", table="offers"),
            "q4.xlsx, table offers: the table has no rows.",
        ),
        (Fault("no rows", file="parts/offers.csv.gz", table="offers"), "parts/offers.csv.gz: no rows."),
        (Fault("no rows", table="offers"), "table offers: no rows."),
        (Fault("no max", file="policy.yaml", rule="budget"), "policy.yaml, rule 'budget': no max."),
        (
            Fault("unknown", column="csot", hint="did you mean 'cost'?"),
            "column csot: unknown. Did you mean 'cost'?",
        ),
        (Fault("two\nlines"), "two lines."),
        (Fault("'\x1b[31mred\x07' is odd"), "'�[31mred�' is odd."),
        (Fault("wrong", row=0), "row 0: wrong."),
    ],
)
def test_places(fault: Fault, text: str) -> None:
    assert str(fault) == text


def test_bad_input_of_text_of_a_fault_and_of_many() -> None:
    assert [str(fault) for fault in BadInput("wrong").faults] == ["wrong."]
    assert BadInput(Fault("wrong")).faults == [Fault("wrong")]
    both = BadInput([Fault("first", row=1), Fault("second")])
    assert str(both) == "row 1: first.\nsecond."


def test_exit_statuses(tmp_path: Path) -> None:
    failed = NotebookFailed(tmp_path, "03_allocate", "division by zero")
    assert [error.exit_code for error in (OmnioptError(), BadInput("x"), Infeasible("y"), failed)] == [
        2,
        2,
        3,
        5,
    ]
    assert Infeasible("y").reason == "y"
    assert (failed.folder, failed.notebook, failed.message) == (tmp_path, "03_allocate", "division by zero")
    assert str(tmp_path) in str(failed)
    assert "03_allocate" in str(failed)


def test_errors_survive_a_process_boundary(tmp_path: Path) -> None:
    bad = pickle.loads(pickle.dumps(BadInput([Fault("a", row=1), Fault("b")])))
    assert bad.faults == [Fault("a", row=1), Fault("b")]
    assert pickle.loads(pickle.dumps(Infeasible("why"))).reason == "why"
    failed = pickle.loads(pickle.dumps(NotebookFailed(tmp_path, "04_report", "why")))
    assert (failed.folder, failed.notebook, failed.message) == (tmp_path, "04_report", "why")


def test_the_collector_keeps_order_and_says_nothing_twice() -> None:
    faults = Faults()
    assert not faults
    faults.raise_if_any()
    faults.add("b", row=2)
    faults.add("a", row=1)
    faults.add("b", row=2)
    faults.extend([Fault("a", row=1), Fault("c")])
    assert [fault.message for fault in faults] == ["b", "a", "c"]
    assert len(faults) == 3
    with pytest.raises(BadInput) as caught:
        faults.raise_if_any()
    assert [fault.message for fault in caught.value.faults] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("word", "legal", "text"),
    [
        ("csot", ["value", "cost"], "did you mean 'cost'?"),
        ("EMAIL", ["email", "sms"], "did you mean 'email'?"),
        (" call ", ["call"], "did you mean 'call'?"),
        ("zebra", ["cost", "value"], "legal here: cost, value"),
        ("zebra", [], "nothing is legal here"),
        ("", ["cost"], "legal here: cost"),
    ],
)
def test_nearest(word: str, legal: list[str], text: str) -> None:
    assert nearest(word, legal) == text


def test_nearest_is_short() -> None:
    text = nearest("zebra", (f"column_{number}" for number in range(100)))
    assert text.endswith("column_11 and 88 more")

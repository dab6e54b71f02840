from __future__ import annotations

import pytest

from omniopt.errors import BadInput
from omniopt.runs.parameters import Declared, coerce, merge

DECLARED = {
    name: Declared(name, kind, "", "a word of help", ("03_allocate.ipynb",))
    for name, kind in {"gap": "float", "n": "int", "solver": "str", "note": "str", "loud": "bool"}.items()
}
LEGAL = {"solver": ("auto", "exact")}


def test_words_become_what_the_notebook_declares() -> None:
    given = {"gap": " 1e-3 ", "n": "12", "solver": "exact", "note": "2 + 2; import os", "loud": "Yes"}
    assert coerce(given, DECLARED, LEGAL) == {
        "gap": 0.001, "n": 12, "solver": "exact", "note": "2 + 2; import os", "loud": True
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("n", "1.5", "'1.5' is not a whole number"),
        ("loud", "perhaps", "is not true or false"),
        ("gap", "1.5", "is not between 0 and 1"),
        ("gap", "-1", "is not between 0 and 1"),
        ("gap", "inf", "is not a finite number"),
        ("solver", "exakt", "did you mean 'exact'?"),
        ("", "x", "no notebook has a parameter ''"),
    ],
)
def test_what_does_not_fit_is_said_in_words(name: str, words: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        coerce({name: words}, DECLARED, LEGAL)
    assert said in str(caught.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        coerce({"gpa": "1", "n": "x", "solver": "y"}, DECLARED, LEGAL)
    assert len(caught.value.faults) == 3


def test_declarations_are_brought_together_without_those_of_the_pipeline() -> None:
    made = merge({
        "02.ipynb": [("project", "str", '""', ""), ("gap", "float", "1", "first")],
        "03.ipynb": [("gap", "float", "1", "second"), ("folder", "str", "", "")],
    })  # fmt: skip
    assert list(made) == ["gap"]
    assert made["gap"].notebooks == ("02.ipynb", "03.ipynb") and made["gap"].kind == "float"


def test_declarations_that_cannot_be_used_are_named() -> None:
    with pytest.raises(BadInput) as caught:
        merge(
            {"a.ipynb": [("x", "None", "1", ""), ("y", "int", "1", "")], "b.ipynb": [("y", "float", "1", "")]}
        )
    assert "a.ipynb: parameter 'x' has no type" in str(caught.value)
    assert "b.ipynb: parameter 'y' is float here, but int in a.ipynb" in str(caught.value)

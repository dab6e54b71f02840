"""How keys are written alike, and which stand for nothing."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from omniopt.identity.keys import normalised, too_common


def _one(text: str | None, key: str, country: str | None = "49") -> str | None:
    value = normalised(pd.Series([text], dtype="str"), key, country).iloc[0]
    return None if pd.isna(value) else value


@pytest.mark.parametrize(
    ("key", "texts", "made"),
    [
        ("email", [" Ann@Mail.org", "ann@mail.org ", "ＡＮＮ@mail.org"], "ann@mail.org"),
        ("email", ["na@na", "ann", "", None, "test@mail.org", "a@b@c.de", "x@example.com"], None),
        (
            "phone",
            ["+49 171 1234567", "0049171/1234567", "0171-1234567", "+49 (0)171 1234567"],
            "00491711234567",
        ),
        ("phone", ["0000", "00000000", "1111111", "123456789", "12345", "n/a", "0171 CALL-ME", None], None),
        ("customer_number", ["ab-12 3", "AB123", "a.b/123"], "AB123"),
        ("customer_number", ["0000", "n/a", "999999", "-", " ", None], None),
        ("customer_number", ["7"], "7"),
        ("customer_number", ["007"], "007"),  # a spreadsheet may have cut zeros, but that would be a guess
    ],
)
def test_keys_are_written_alike(key: str, texts: list[str | None], made: str | None) -> None:
    assert {_one(text, key) for text in texts} == {made}


def test_without_a_country_code_a_national_number_stays_national() -> None:
    assert _one("0171 1234567", "phone", None) == "01711234567"
    assert _one("+49 171 1234567", "phone", None) == "00491711234567"


@given(st.text(max_size=20), st.sampled_from(["email", "phone", "customer_number"]))
@example("E¯", "customer_number")
def test_writing_a_key_alike_again_changes_nothing(text: str, key: str) -> None:
    once = _one(text, key, None)
    assert once is None or _one(once, key, None) == once


def test_a_value_that_too_many_ids_of_a_source_share_is_found() -> None:
    value = pd.Series(["switchboard"] * 3 + ["own", "own", None])
    found = too_common(value, pd.Series([0, 0, 0, 0, 1, 1]).to_numpy(), largest=2)
    assert found.to_dict("records") == [{"value": "switchboard", "ids": 3}]

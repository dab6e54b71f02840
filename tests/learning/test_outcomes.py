"""Outcomes joined to contacts: each to one, or set aside with a reason; nothing twice, nothing lost."""

from __future__ import annotations

import numpy as np
import pandas as pd
from bank import table
from hypothesis import given
from hypothesis import strategies as st

from omniopt.errors import Faults
from omniopt.learning.outcomes import checked, join, of_contacts, set_aside

CONTACTS = table(
    "customer_id action_id offer_id channel date",
    "ann a1 card mail 2",
    "ann a2 card email 5",
    "bob a1 card mail 2",
    "bob a3 loan call 9",
)


def read(frame: pd.DataFrame) -> pd.DataFrame:
    faults = Faults()
    rows = checked(frame, "outcomes.csv", faults)
    assert not faults, list(faults)
    return rows


def test_each_outcome_finds_its_contact_or_a_reason() -> None:
    rows = read(
        table(
            "customer_id date offer_id channel outcome action_id run_id n",
            "ann 6 card mail responded - - 1",  # on mail the latest is the first
            "ann 6 card shop responded - - 2",  # in a shop: the latest of all, by e-mail
            "ann 4 card email opened - - 3",  # before the e-mail; the letter was there
            "bob 12 - - responded a3 r1 4",
            "bob 1 card mail responded - - 5",  # before anything
            "bob 0 card mail responded - - 6",
            "bob 31 card mail responded - - 7",
            "bob 12 loan call clicked - r0 8",
            "eve 12 loan call clicked - - 9",
            "ann 12 - - responded - - 10",
        )
    )
    contact, reason = join(CONTACTS, rows, "r1", 30)
    order = rows["n"].argsort()
    contact, reason = contact[order], reason[order]
    assert contact.tolist() == [0, 1, 0, 3, -1, -1, -1, -1, -1, -1]
    assert reason[4:].tolist() == [
        "no contact of this run came before it",
        "before the run",
        "after its answers were in",
        "of another run",
        "a customer whom the run does not know",
        "no contact of this run came before it",
    ]
    assert sum(set_aside(reason).values()) == 6


def test_what_became_of_each_contact() -> None:
    rows = read(
        table(
            "customer_id date offer_id channel outcome value",
            "ann 2 card mail delivered -",
            "ann 3 card mail responded 10.5",
            "ann 4 card mail responded 2.0",
            "ann 5 card email bounced -",
        )
    )
    contact, _ = join(CONTACTS, rows, "r1", 30)
    made = of_contacts(CONTACTS, rows, contact, known_until=5, answer_days=3)
    assert made["outcome"].fillna("-").tolist() == ["responded", "bounced", "delivered", "-"]
    assert made["value"].tolist()[0] == 12.5 and made["value"].isna().sum() == 3
    assert made["planned"].tolist() == [False, False, False, True]
    waiting = of_contacts(CONTACTS, rows, contact, known_until=5, answer_days=4)
    assert waiting["outcome"].tolist()[2] == "sent"


ANY = st.tuples(st.sampled_from("abc"), st.integers(-3, 20), st.sampled_from("xy"), st.sampled_from("mn"))


@given(st.lists(ANY, unique=True, max_size=25))
def test_it_is_what_a_loop_finds(rows: list[tuple[str, int, str, str]]) -> None:
    rng = np.random.default_rng(0)
    plan = pd.DataFrame(
        {
            "customer_id": rng.choice(list("ab"), 12),
            "action_id": [f"a{i}" for i in range(12)],
            "offer_id": rng.choice(list("xy"), 12),
            "channel": rng.choice(list("mn"), 12),
            "date": rng.integers(1, 15, 12),
        }
    )
    frame = pd.DataFrame(rows, columns=["customer_id", "date", "offer_id", "channel"])
    contact, reason = join(plan, read(frame.astype({"date": "int64"})), "r", 15)
    for row, found in zip(sorted(rows), contact, strict=True):
        wanted = -1
        for channels in ([row[3]], ["m", "n"]):
            fits = [
                (int(c.date), i)
                for i, c in enumerate(plan.itertuples())
                if (c.customer_id, c.offer_id) == (row[0], row[2]) and c.channel in channels
                and c.date <= row[1] and 1 <= row[1] <= 15
            ]  # fmt: skip
            if fits and wanted < 0:
                wanted = max(fits)[1]
        assert found == wanted
    assert (contact >= 0).sum() + sum(set_aside(reason).values()) == len(rows)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    faults = Faults()
    frame = table(
        "customer_id date offer_id channel outcome value",
        "ann 2 card mail responded 5.0",
        "ann 2 card mail responded 7.0",
        "bob 2 card mail resp 5.0",
        "bob - card mail responded -",
        "- 3 card mail opened -",
    )
    checked(frame, "outcomes.csv", faults)
    said = [str(fault) for fault in faults]
    assert len(said) == 5
    assert any("row 2" in text and "stands in an earlier row" in text for text in said)
    assert any("row 3" in text and "unknown" in text for text in said)
    assert any("row 4" in text and "without a value" in text for text in said)
    assert sum("is empty" in text for text in said) == 2
    faults = Faults()
    checked(frame[["offer_id"]], "outcomes.csv", faults)
    assert ["customer_id", "date"] == [fault.column for fault in faults]

from __future__ import annotations

import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from omniopt.errors import BadInput, Fault
from omniopt.review import FinishedRun, overrides, pages

EVIL = '<img src=x onerror="alert(1)">&"'


class Tags(HTMLParser):
    """The tags and attributes of a page, and whether every tag is closed where it should be."""

    VOID = ("img", "br")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def evil(run: FinishedRun) -> FinishedRun:
    """A run whose every text from data tries to be markup."""
    for name in ("plan", "alternatives", "dropped"):
        table = run.table(name)
        texts = ["customer_id", "action_id", "offer_id", "channel", *({"reason"} & set(table.columns))]
        table.assign(**{c: EVIL + table[c] for c in texts}).to_parquet(run.folder / f"{name}.parquet")
    run = FinishedRun(run.folder)
    for rule in run.certificate["rules"]:
        rule["name"] = EVIL + rule["name"]
        rule["group"] = {EVIL + k: EVIL + str(v) for k, v in rule.get("group", {}).items()}
    run.certificate["dropped"] = {EVIL: 3}
    run.certificate["objective_expr"] = EVIL
    return run


def parts(run: FinishedRun) -> dict[str, str]:
    customer = run.contacts["customer_id"].iloc[0]
    counts = run.by_channel_and_day(run.contacts, 1, 14)
    one = run.customer(customer)
    keys = run.contacts[overrides.KEY].head(1)
    decided = keys.assign(reason=EVIL, who=EVIL, when=EVIL)
    clash = keys.assign(reason_veto=EVIL, reason_lock=EVIL)
    held = overrides.Overrides(decided, decided, decided, clash, [Fault(EVIL, file=EVIL)])
    return {
        "overview": pages.overview(run),
        "sums": pages.sums(run, run.contacts),
        "heat map": pages.heat_map(run, counts),
        "contacts": pages.contact_list(run, run.contacts),
        "limits": pages.limits(run),
        "contact rules": pages.contact_rules(run),
        "customer": pages.customer(run, one),
        "decisions": pages.decisions(held),
        "errors": pages.in_words(BadInput([Fault(EVIL, hint=EVIL)])),
    }


def test_nothing_from_data_acts_as_markup(evil: FinishedRun) -> None:
    for name, html in parts(evil).items():
        tags = Tags(html)
        assert "img" not in tags.seen, name
        assert "<img" not in html, name


def test_every_part_is_whole(run: FinishedRun) -> None:
    for name, html in parts(run).items():
        assert Tags(pages.piece(html)).seen, name  # reading it fails on a tag that is not closed


def test_the_heat_map_says_every_number(run: FinishedRun) -> None:
    counts = run.by_channel_and_day(run.contacts, 1, 14)
    html = pages.heat_map(run, counts)
    for (channel, day), n in counts.stack().items():
        assert f'title="{channel}, {run.day_label(day)}: {n}"' in html
    assert re.search(rf'<td class="n sum">{len(run.contacts)}</td></tr></tbody>', html)


def test_limits_show_what_binds_and_fold_what_is_many(run: FinishedRun) -> None:
    many = int((run.limits["name"] == "call desk").sum())
    assert many > pages.FEW
    every = pages.limits(run)
    assert every.count("<details") == 1 and f"call desk: {many} limits" in every
    assert every.count("<tr><td") == len(run.limits)
    desk = pages.limits(run, "call desk")
    assert "<details" not in desk and desk.count("<tr><td") == many
    binding = pages.limits(run, binding=True)
    assert binding.count("<tr><td") == int((run.limits["price"] != 0).sum()) > 0
    loose = (run.limits["price"] == 0).groupby(run.limits["name"]).all()
    assert "None of these limits binds" in pages.limits(run, loose.index[loose][0], binding=True)


def test_a_limit_that_compares_nothing_says_so(run: FinishedRun) -> None:
    run.certificate["rules"] = [
        {"name": "share", "kind": "limit", "group": {}, "min": None, "max": 0.4, "used": None, "slack": 0.0,
         "price": 0.0, "vacuous": True}
    ]  # fmt: skip
    assert "nothing to compare with" in pages.limits(run)
    run.__dict__.pop("rules")
    run.certificate["rules"] = []
    assert "There are no limits" in pages.limits(run)


def test_an_empty_plan_has_a_page(run: FinishedRun) -> None:
    run.contacts = run.contacts.head(0)
    assert "<b>0</b> of 0 contacts" in pages.sums(run, run.contacts)
    assert "no contacts" in pages.heat_map(run, run.by_channel_and_day(run.contacts, 1, 14))
    assert ">0<" in pages.overview(run)


def test_worth_is_the_objective_less_the_use_of_limits(run: FinishedRun) -> None:
    one = run.customer("C001")
    html = pages.customer(run, one)
    cells = re.findall(r'<td class="n">([^<]+)</td>', html.split("Next best")[1])
    rows = [
        [float(cell.replace(",", "")) for cell in cells[i : i + 3]]
        for i in range(0, 3 * len(one.next_best), 3)
    ]
    for (objective, use, worth), row in zip(rows, one.next_best.itertuples(), strict=True):
        assert objective == pytest.approx(row.objective, abs=0.01)
        assert objective - use == pytest.approx(worth, abs=0.02)


def test_why_not_follows_the_worth_and_what_is_planned(run: FinishedRun) -> None:
    said = {pages._why_not(worth, planned) for worth in (-1, 0, 1) for planned in (False, True)}
    assert len(said) == 4
    html = pages.customer(run, run.customer("C001"))
    one = run.customer("C001")
    again = (one.next_best["offer_id"].isin(one.chosen["offer_id"]) & (one.next_best["worth"] > 1e-9)).sum()
    assert html.count("planned on another day or channel") == again > 0


def test_errors_are_one_line_each() -> None:
    html = pages.in_words(BadInput([Fault("one is wrong"), Fault("two is wrong", row=2)]))
    assert html.count("<li>") == 2 and "row 2: two is wrong." in html


@pytest.mark.parametrize(
    ("count", "words"), [(0, ""), (7, "7"), (1234, "1.2k"), (56_789, "56k"), (2_500_000, "2.5M")]
)
def test_counts_in_cells_are_short(count: int, words: str) -> None:
    assert pages._short(count) == words


def test_the_list_of_contacts_ends_and_says_so(run: FinishedRun) -> None:
    many = pd.concat([run.contacts] * 5)
    html = pages.contact_list(run, many)
    assert html.count("<tr>") == pages.PAGE + 1 and f"the first {pages.PAGE} of {len(many)}" in html

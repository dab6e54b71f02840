"""The report's words and figures on a plan made by hand."""

from __future__ import annotations

import base64
import html
import re
from dataclasses import replace

import pandas as pd
import pytest
from handmade import BASELINES, CERTIFICATE, CONTACTS, EVIL

from omniopt.runs import quality, report, sections, show
from omniopt.runs.report import Result


def words_of(piece: object) -> str:
    """What a reader sees of a piece of HTML."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", piece.html)).split())  # type: ignore[attr-defined]


def all_pieces(result: Result) -> str:
    made = [
        report.title(result), report.one_page(result), sections.contacts(result), sections.limits(result),
        sections.contact_rules(result), sections.dropped(result), sections.baselines(result),
        quality.outcomes(result.run), quality.model(result.run), report.notice(result), report.inputs(result),
        show.customers(result.run.tables, None), show.attributes(result.run.tables),
        show.history(result.run.tables), show.consents(result.run.tables), show.policy(result.run.project),
    ]  # fmt: skip
    return "".join(piece.html for piece in made)


def test_key_figures(result: Result) -> None:
    said = words_of(report.one_page(result))
    for figure in (
        "Contacts 4 of 6 possible", "Customers reached 3 of 3", "Expected responses 0.9 22.5 % of contacts",
        "Value 75", "Cost 6", "Objective 69 value − cost",
    ):  # fmt: skip
        assert figure in said
    assert "comes to 58 under the same rules. The plan's gain over it is 11." in said


def test_the_proof_shows_its_gap_in_money_with_enough_decimals(result: Result) -> None:
    said = words_of(report.one_page(result))
    assert "No plan under these rules can earn more than 69.005; this one earns 69.000." in said
    assert "At most 0.005 (0.0072 %) is missing." in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"status": "optimal", "bound": 69.0, "gap": 0.0},
            "Proven best. No plan under these rules can earn more than 69.00; this one earns 69.00. Nothing",
        ),
        ({"status": "stopped_early", "bound": 80.0, "gap": 0.1375}, "not proven good enough"),
        (
            {"sense": "minimise", "objective_expr": "cost", "bound": 68.0},
            "can cost less than 68.00; this one costs 69.00",
        ),
        ({"objective_expr": "response"}, "can reach more than"),
    ],
)  # fmt: skip
def test_the_status_is_said_in_words(result: Result, changes: dict[str, object], words: str) -> None:
    assert words in words_of(report.one_page(replace(result, certificate=CERTIFICATE | changes)))


def test_a_stopped_plan_never_calls_itself_best(result: Result) -> None:
    stopped = CERTIFICATE | {"status": "stopped_early", "bound": 80.0}
    assert "Proven" not in words_of(report.one_page(replace(result, certificate=stopped)))


def test_what_verification_said(result: Result) -> None:
    assert "all 1 checks passed" in words_of(report.one_page(result))
    checks = [
        {"name": "limits", "ok": False, "detail": "C00001"},
        {"name": "bound", "ok": True, "detail": ""},
    ]
    result.run.keep(
        "verification", {"ok": False, "checks": checks, "findings": [{"message": "C00001 twice"}], "of": {}}
    )
    assert "Verification FAILED in 1 of 2 checks. Do not use this plan." in words_of(report.one_page(result))
    (result.run.folder / "certificate.json").write_text("another plan")
    assert "has not been verified" in words_of(report.one_page(result))


@pytest.mark.parametrize(
    ("proven", "words"),
    [
        (69.005, "The prices alone prove the bound again."),
        (70.0, "no plan comes beyond 70.00; that none comes beyond 69.00 is the solver's word"),
    ],
)
def test_whose_word_the_bound_is(result: Result, proven: float, words: str) -> None:
    verdict = {
        "ok": True,
        "checks": [],
        "findings": [],
        "bound_proven": proven,
        "solver_bound": 69.005,
        "of": {},
    }
    result.run.keep("verification", verdict)
    assert words in words_of(report.one_page(result))


def test_totals_by_channel() -> None:
    made = sections.totals(CONTACTS, "channel").set_index("channel")
    assert made.loc["e/mail", ["contacts", "customers", "value", "cost"]].tolist() == [3, 3, 60.0, 1.5]
    assert made["share"].sum() == 1


def test_limits_have_bars_and_a_row_each(result: Result) -> None:
    piece = sections.limits(result)
    assert (
        '<td>total budget</td><td></td><td class="n">–</td><td class="n">6</td><td class="n">6</td>'
        in piece.html
    )
    assert "Holds because nothing is in its scope: share." in words_of(piece)


def drawn_in(piece: object) -> list[str]:
    """The pictures of a piece, as SVG text."""
    found = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', piece.html)  # type: ignore[attr-defined]
    return [base64.b64decode(data).decode("utf-8") for data in found]


def test_many_limits_are_drawn_in_part_and_told_in_full(result: Result) -> None:
    rule = CERTIFICATE["rules"][0]
    many = [rule | {"group": {"customer.region": f"r{n}"}, "price": 0.0, "slack": n} for n in range(1, 50)]
    piece = sections.limits(replace(result, certificate=CERTIFICATE | {"rules": many}))
    assert "The 16 tightest of 49 limits" in words_of(piece) and "All 49 limits in figures" in words_of(piece)
    assert piece.html.count("<tr>") == 50
    [bars] = drawn_in(piece)
    assert "r16" in bars and "r17" not in bars


def test_a_limit_for_each_of_many_days_is_drawn_as_shades(result: Result) -> None:
    rule = CERTIFICATE["rules"][0]
    many = [rule | {"name": "desk", "group": {"date": f"2026-12-{day:02d}", "region": r}, "used": float(day)}
            for day in range(1, 13) for r in ("north", "south")]  # fmt: skip
    piece = sections.limits(replace(result, certificate=CERTIFICATE | {"rules": [rule, *many]}))
    assert "desk: used, in % of the maximum" in words_of(piece)
    [_, shades] = drawn_in(piece)
    assert "north" in shades and "200 % of the maximum" in shades


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({}, "6 of 6 · price 1.50"),
        ({"min": 5.0, "max": 9.0, "price": -2.0}, "6, at least 5 · price 2"),
        ({"min": 5.0, "max": None, "price": 0.0}, "6, at least 5"),
        ({"min": 5.0, "max": 9.0, "price": None}, "6 of 9"),
    ],
)
def test_a_limit_says_which_side_binds(result: Result, changes: dict[str, object], note: str) -> None:
    rules = [CERTIFICATE["rules"][0] | changes]
    [bars] = drawn_in(sections.limits(replace(result, certificate=CERTIFICATE | {"rules": rules})))
    assert f">{note}<" in bars


def test_many_offers_are_drawn_in_part(result: Result) -> None:
    contacts = pd.concat([CONTACTS.head(1).assign(offer_id=f"o{n:02d}") for n in range(30)])
    drawn = drawn_in(sections.contacts(replace(result, contacts=contacts)))
    assert any(">15 others<" in svg and ">15 · 50 %<" in svg for svg in drawn)


def test_dropped_contacts_add_up(result: Result) -> None:
    said = words_of(sections.dropped(result))
    assert "Of 1,241 contacts that could be thought of, 6 were left to decide on." in said
    assert "1,234 99.4 %" in said


def test_baselines_are_honest_about_what_they_miss(result: Result) -> None:
    said = words_of(sections.baselines(result))
    assert "Beside the best of them, today's practice: highest score first, the plan gains 11." in said
    assert "first come, first served 3 50 5 0.5 45 24 share" in said
    [bars] = drawn_in(sections.baselines(result))
    assert ">today's practice<" in bars and ">45, misses a limit<" in bars
    better = BASELINES.assign(objective=[80.0, 45.0, 29.0], missed=[["share"], [], []])
    result.run.keep("baselines", better)
    said = words_of(sections.baselines(result))
    assert "the plan gains -11. And it keeps what that one misses: share." in said


def test_a_minimised_objective_gains_by_being_lower(result: Result) -> None:
    lower = replace(result, certificate=CERTIFICATE | {"sense": "minimise", "objective": 20.0})
    assert "random, the plan gains 9." in words_of(sections.baselines(lower))


def test_an_empty_plan_is_no_error(result: Result) -> None:
    empty = replace(result, contacts=CONTACTS.head(0))
    assert "contacts nobody" in words_of(sections.contacts(empty))
    assert "Contacts 0" in words_of(report.one_page(empty))


def test_measures_that_do_not_exist_are_left_out(result: Result) -> None:
    bare = replace(result, contacts=CONTACTS.assign(response=pd.NA, cost=float("nan")))
    said = words_of(report.one_page(bare))
    assert "Expected responses" not in said and "Cost" not in said and "Value 75" in said


def test_no_customer_is_named(result: Result) -> None:
    made = all_pieces(result)
    assert not re.search(r"C0000\d", made) and "Ada" not in made


def test_text_from_data_is_escaped_everywhere(result: Result) -> None:
    (result.run.project.root / "NOTICE.md").write_text(f"Mind {EVIL}")
    made = all_pieces(result)
    assert EVIL not in made and made.count("&lt;script&gt;") >= 3


def test_the_notice_is_the_projects_own(result: Result) -> None:
    root = result.run.project.root
    assert "gives no notice" in words_of(report.notice(result))
    (root / "README.md").write_text("# x\n\n## About the data\n\nFrom a *shop*.\n\n## Tables\n\nmore\n")
    assert words_of(report.notice(result)) == "From a shop ."
    (root / "NOTICE.md").write_text("Made up.")
    assert words_of(report.notice(result)) == "Made up."


def test_what_an_older_run_left_is_not_taken_for_this_ones(result: Result) -> None:
    result.run.keep("scores", pd.DataFrame({"p_response": [0.5]}))
    result.run.keep("model", {"auc": 1.0})
    assert result.run.scores() is None
    assert "brings its own scores" in words_of(quality.model(result.run))


def test_a_rehearsal_says_so(result: Result) -> None:
    assert "rehearsal" not in words_of(report.title(result))
    result.run.manifest["report_only"] = True
    assert "A rehearsal: no lists for execution were written." in words_of(report.title(result))


def test_offers_are_called_by_their_names(result: Result) -> None:
    assert result.offer("loan") == "Loan (loan)" and result.offer("other") == "other"

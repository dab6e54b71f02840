from __future__ import annotations

import pytest
from widget_parts import one, words

from omniopt.review import FinishedRun, overrides
from omniopt.review.review_page import ReviewPage, review


@pytest.fixture
def page(run: FinishedRun) -> ReviewPage:
    return ReviewPage(run)


def test_filters_change_what_is_shown(page: ReviewPage, run: FinishedRun) -> None:
    assert f"{len(run.contacts)}  of {len(run.contacts)} contacts" in words(page.contacts)
    days = one(page.contacts, "SelectionRangeSlider")
    days.index = (3, 3)
    there = run.contacts[run.contacts["day"] == 4]
    assert 0 < len(there) < len(run.contacts)
    assert f"{len(there)}  of {len(run.contacts)} contacts" in words(page.contacts)
    one(page.contacts, "Dropdown").value = "sms"
    assert f"{(there['channel'] == 'sms').sum()}  of {len(run.contacts)}" in words(page.contacts)
    one(page.contacts, "Text").value = "no customer has this"
    assert f"0  of {len(run.contacts)} contacts" in words(page.contacts)


def test_limits_follow_the_rule_and_the_tick(page: ReviewPage) -> None:
    one(page.limits, "Dropdown").value = "call desk"
    assert "total budget" not in words(page.limits)
    one(page.limits, "Dropdown").value = ""
    one(page.limits, "Checkbox").value = True
    assert "partner guarantee" not in words(page.limits)


def test_a_customer_is_found_and_shown(page: ReviewPage, run: FinishedRun) -> None:
    one(page.customer, "Text").value = "c007"
    assert one(page.customer, "Select").value == "C007" and "Customer C007" in words(page.customer)
    listed = [key for _, key in one(page.customer, "SelectMultiple").options]
    mine = run.customer("C007")
    assert listed == [
        tuple(key)
        for part in (mine.chosen, mine.next_best)
        for key in part[overrides.KEY].to_numpy().tolist()
    ]
    one(page.customer, "Text").value = "nobody"
    assert "No customer has this" in words(page.customer)
    assert one(page.customer, "SelectMultiple").options == ()


def test_a_veto_is_saved_shown_and_taken_back(page: ReviewPage, run: FinishedRun) -> None:
    marked, save = one(page.customer, "SelectMultiple"), one(page.customer, "Button")
    save.click()
    assert "no contact chosen" in words(page.customer)
    marked.index = (0,)
    save.click()
    assert "needs a reason" in words(page.customer)
    one(page.customer, "Text", 1).value = "asked to be left alone"
    one(page.customer, "Text", 2).value = "Ann"
    chosen = list(marked.value)
    save.click()
    assert "Saved: veto of 1 contact." in words(page.customer)
    assert one(page.customer, "Text", 1).value == ""
    assert "asked to be left alone" in words(page.decisions)
    vetoes = overrides.read(run).vetoes
    assert [tuple(vetoes[overrides.KEY].iloc[0])] == chosen
    assert marked.options[0][0].endswith("veto holds") and "holds" not in marked.options[1][0]

    again = ReviewPage(run)  # who opens the run next, sees it
    assert "asked to be left alone" in words(again.decisions)
    one(again.decisions, "Button").click()
    assert "Mark the vetoes or locks" in words(again.decisions)
    one(again.decisions, "SelectMultiple").index = (0,)
    one(again.decisions, "Button").click()
    assert "Taken back." in words(again.decisions) and "No veto and no lock yet." in words(again.decisions)
    assert overrides.read(run).vetoes.empty
    # the first page does not know yet that it was taken back; it says so in words when it tries
    one(page.decisions, "SelectMultiple").index = (0,)
    one(page.decisions, "Button").click()
    assert "has no veto to take back" in words(page.decisions)


def test_a_broken_file_of_decisions_is_said_on_the_page(run: FinishedRun) -> None:
    overrides.path_of(run).parent.mkdir()
    overrides.path_of(run).write_text("nonsense\n1\n")
    page = ReviewPage(run)
    assert "column 'kind' is missing" in words(page.decisions)
    assert f"{len(run.contacts)} contacts" in words(page.contacts)


def test_a_run_without_its_lists_still_opens(run: FinishedRun) -> None:
    for name in ("alternatives", "dropped"):
        (run.folder / f"{name}.parquet").unlink()
    page = ReviewPage(FinishedRun(run.folder))
    assert "alternatives.parquet: cannot be read" in words(page.customer)
    assert f"{len(run.contacts)} contacts" in words(page.contacts)


def test_parts_show_their_markup_where_no_kernel_runs(run: FinishedRun) -> None:
    page = review(run.folder)
    bundle = page.overview._repr_mimebundle_()
    assert page.overview.value == bundle["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_a_run_that_is_not_there_shows_no_traceback(run: FinishedRun) -> None:
    with pytest.raises(Exception, match="no run 'none'") as caught:
        review("none", run.folder.parent)
    assert "".join(caught.value._render_traceback_()).startswith("There is no run 'none'")

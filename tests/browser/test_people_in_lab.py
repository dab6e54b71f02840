"""Both notebooks for people, opened in JupyterLab and used with keyboard and mouse."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from omniopt.review import FinishedRun, overrides
from omniopt.review.data import Filter

pytestmark = pytest.mark.browser

WIDE, NARROW = (1280, 900), (390, 844)
PATIENCE = 60_000  # milliseconds; a loaded machine starts a kernel slowly


@contextmanager
def opened(browser: Any, lab: Any, screenshots: Path, notebook: str, size: tuple[int, int]) -> Iterator[Any]:
    """A notebook in a window of this size, all its cells run."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.set_default_timeout(PATIENCE)
    try:
        page.goto(f"{lab.url}/doc/tree/notebooks/{notebook}?token={lab.token}&reset")
        page.get_by_text("| Idle").wait_for()  # the kernel answers; cells run before that would be lost
        page.locator(".lm-MenuBar-itemLabel:text-is('Run')").click()
        page.locator(".lm-Menu-itemLabel:text-is('Run All Cells')").click()
        yield page
        assert page.evaluate("window.pwned") is None
        assert page.locator(".jp-OutputArea img[src=x]").count() == 0
        assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    except BaseException:
        page.screenshot(path=screenshots / f"failed_{notebook[:-6]}_{size[0]}.png")
        raise
    finally:
        page.close()


def picture(page: Any, screenshots: Path, name: str) -> None:
    """Keep a picture of the whole notebook, however long it is."""
    width = page.viewport_size["width"]
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0")
    height = page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollHeight")
    page.set_viewport_size({"width": width, "height": min(int(height) + 160, 6000)})
    page.wait_for_timeout(400)
    page.screenshot(path=screenshots / f"{name}.png")


def shown_contacts(page: Any) -> int:
    return int(re.match(r"([\d,]+) of", page.locator(".sums").inner_text())[1].replace(",", ""))


def expect(page: Any, selector: str, words: str) -> None:
    page.locator(selector, has_text=words).first.wait_for()


def test_review_by_keyboard_and_mouse(browser: Any, lab: Any, screenshots: Path) -> None:
    run = FinishedRun(lab.project / "reports" / "first")
    with opened(browser, lab, screenshots, "10_review.ipynb", WIDE) as page:
        expect(page, ".omniopt-part", "No veto and no lock yet.")
        assert shown_contacts(page) == len(run.contacts)
        picture(page, screenshots, "10_review_wide")

        # the right handle of the days, moved left by keyboard: fewer contacts
        handle = page.locator(".noUi-handle-upper").first
        handle.focus()
        for _ in range(8):
            handle.press("ArrowLeft")
        fewer = len(run.matching(Filter(last=6)))
        page.wait_for_function(f"document.querySelector('.sums').innerText.startsWith('{fewer} of ')")
        assert 0 < fewer < len(run.contacts)
        page.locator(".widget-dropdown select").first.select_option("sms")
        sms = len(run.matching(Filter(channel="sms", last=6)))
        page.wait_for_function(f"document.querySelector('.sums').innerText.startsWith('{sms} of ')")

        # one customer's first contact is vetoed, with a reason
        page.locator("select[multiple]").first.select_option(index=0)
        page.get_by_placeholder("why; required").fill("complained <b>twice</b>")
        page.locator("button.jupyter-button", has_text="Save").click()
        expect(page, ".omniopt-part .good", "Saved: veto of 1 contact.")
        expect(page, ".omniopt-part td", "complained <b>twice</b>")
        picture(page, screenshots, "10_review_after_veto")
    held = overrides.read(run)
    assert held.vetoes["reason"].tolist() == ["complained <b>twice</b>"] and not held.faults


def test_what_if_by_keyboard_and_mouse(browser: Any, lab: Any, screenshots: Path) -> None:
    with opened(browser, lab, screenshots, "20_what_if.ipynb", WIDE) as page:
        expect(page, ".omniopt-part", "Nothing was changed yet.")
        handle = page.locator(".noUi-handle").first
        readout = page.locator(".widget-readout").first
        before = readout.inner_text()
        handle.focus()
        for _ in range(10):
            handle.press("ArrowLeft")
        page.wait_for_function(f"document.querySelector('.widget-readout').innerText != '{before}'")
        page.locator("button.jupyter-button", has_text="Solve").click()
        expect(
            page, ".omniopt-part .good", f"total budget at most {readout.inner_text()} instead of {before}"
        )
        assert page.locator(".omniopt-part figure img").count() == 2
        sizes = page.locator(".omniopt-part figure img").evaluate_all("all => all.map(i => i.naturalWidth)")
        assert min(sizes) > 100  # the pictures are drawn, not broken
        picture(page, screenshots, "20_what_if_wide")


@pytest.mark.parametrize(
    ("notebook", "words"),
    [("10_review.ipynb", "Contacts"), ("20_what_if.ipynb", "Nothing was changed yet.")],
)
def test_a_narrow_window_holds_every_part(
    browser: Any, lab: Any, screenshots: Path, notebook: str, words: str
) -> None:
    with opened(browser, lab, screenshots, notebook, NARROW) as page:
        expect(page, ".omniopt-part", words)
        if notebook.startswith("20"):
            page.locator(".noUi-handle").first.focus()
            page.locator(".noUi-handle").first.press("ArrowLeft")
            page.locator("button.jupyter-button", has_text="Solve").click()
            expect(page, ".omniopt-part .good", "instead of")
        picture(page, screenshots, f"{notebook[:-6]}_narrow")
        right = page.evaluate(
            "[...document.querySelectorAll('.omniopt-part, .jupyter-widgets.widget-slider')]"
            ".map(e => e.getBoundingClientRect().right)"
        )
        assert right and max(right) <= NARROW[0]

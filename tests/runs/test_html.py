from __future__ import annotations

import base64
import re

import numpy as np
import pandas as pd
import pytest

from omniopt.runs import figures
from omniopt.runs.html import number, percent, picture, table, text, tiles, words

EVIL = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1234567.8, "1,234,568"), (999.96, "1,000.0"), (12.3456, "12.35"), (0.000123, "0.000123"), (0, "0"),
        (-0.0, "0"), (7, "7"), (-5.5, "-5.50"), (1e-9, "1.0e-09"), (np.int64(12), "12"), (None, "–"),
        (float("nan"), "–"), (pd.NA, "–"),
    ],
)  # fmt: skip
def test_numbers_are_written_for_people(value: object, written: str) -> None:
    assert number(value) == written


def test_small_shares_keep_two_digits() -> None:
    assert [percent(x) for x in (0.1234, 0.0, 0.0000321, None)] == ["12.3 %", "0.0 %", "0.0032 %", "–"]


def test_a_rounded_negative_zero_has_no_sign() -> None:
    assert number(-0.001, 2) == "0.00"


def test_everything_from_data_is_escaped() -> None:
    frame = pd.DataFrame({EVIL: [EVIL, None], "n": [1.0, 2.0]})
    made = (
        table(frame) + table(frame, fold=EVIL) + tiles([(EVIL, EVIL, EVIL)]) + text(EVIL) + picture("", EVIL)
    )
    assert "<script" not in made and "&lt;script&gt;" in made


def test_numbers_stand_right_and_missing_text_is_a_dash() -> None:
    made = table(pd.DataFrame({"name": ["a", None], "n": [1234.0, None]}))
    assert '<td class="n">1,234</td>' in made and "<td>–</td>" in made and '<th class="n">n</th>' in made


def test_markdown_keeps_its_words_and_loses_its_markup() -> None:
    made = words(
        f"**Notice.** {EVIL}\n\n# Head\n\n[go](javascript:alert(1)) ![seen](http://x/y.png)\n\n"
        "| a | b |\n|---|---|\n| 1 | <b>2</b> |\n"
    )
    assert "<strong>Notice.</strong>" in made and "<td>1</td>" in made and "seen" in made
    assert "<script" not in made and "<img" not in made and "javascript:" not in made and "<b>" not in made


def test_pictures_cannot_run_and_draw_labels_as_they_are() -> None:
    svg = figures.bars([figures.Bar(f"{EVIL} $x^2$ _a_", 3.0, "3"), figures.Bar("b", 0.0, "", 5.0, (5.0,))])
    assert "<script" not in svg and "&lt;script&gt;" in svg and "$x^2$" in svg
    shown = picture(svg, "Bars")
    data = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', shown)
    assert data and base64.b64decode(data.group(1)).decode() == svg


def test_pictures_are_the_same_each_time_whatever_the_session_has_set() -> None:
    from matplotlib import rc_context

    def drawn() -> list[str]:
        return [
            figures.bars([figures.Bar("a", 1.0)]),
            figures.heat(np.array([[0.0, 2.0]]), ["mail"], ["1 Oct", "8 Oct"], "contacts"),
            figures.columns(["0", "1"], [3, 4], "contacts"),
            figures.calibration([0.1, 0.2], [0.1, 0.3], [5, 5]),
            figures.forecast(["a"], [0.1], [0.2], [0.1], [0.3]),
        ]

    first = drawn()
    with rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert drawn() == first


def test_pictures_of_nothing_do_not_fail() -> None:
    assert figures.heat(np.zeros((1, 1)), ["mail"], ["1 Oct"], "contacts").endswith("</svg>\n")
    assert figures.bars([figures.Bar("none", 0.0)]).endswith("</svg>\n")
    assert figures.calibration([0.0], [0.0], [0]).endswith("</svg>\n")


def test_letters_unknown_to_the_measuring_font_are_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    assert "日本" in figures.bars([figures.Bar("日本", 1.0)])
    assert not [w for w in recwarn if "Glyph" in str(w.message)]


def test_labels_are_cut_in_the_middle() -> None:
    label = "call desk · 2026-12-01, region north-north-west"
    short = figures.shorten(label, 20)
    assert len(short) == 20 and short.startswith("call desk") and short.endswith("west")
    assert figures.shorten("short", 20) == "short"

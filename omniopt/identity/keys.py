"""Keys by which rows are known to be of one person: how they are written alike, and which say nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

#: What people and programs write where there is nothing to write.
NOTHING = (
    *("na", "n/a", "none", "null", "nil", "nan", "unknown", "unbekannt", "anonymous", "guest", "nobody"),
    *("test", "dummy", "noreply", "no-reply", "noemail", "xxx", "-"),
)
_ADDRESS = r"^[^@\s]+@[^@\s]+\.[^@\s.]+$"
#: All one character, or digits that were counted off.
_FILLED_IN = r"^(0+|1+|2+|3+|4+|5+|6+|7+|8+|9+|X+)$"
_COUNTED = ("123456", "1234567", "12345678", "123456789", "1234567890", "0123456789")


def normalised(texts: pd.Series, key: str, country_code: str | None) -> pd.Series:
    """Write the values of a key alike.

    Parameters
    ----------
    texts : Series of str
        The values as they came.
    key : str
        ``email`` and ``phone`` have rules of their own; any other key is a number or code.
    country_code : str or None
        Of telephone numbers without one.

    Returns
    -------
    Series of str
        Missing where the cell is empty, unusable, or known to stand for nothing.
    """
    codes, words = pd.factorize(texts)
    known = pa.array(np.asarray(words, dtype=object), pa.large_string())
    known = pc.utf8_trim_whitespace(pc.utf8_normalize(known, form="NFKC"))
    if key == "email":
        made, usable = _email(known)
    elif key == "phone":
        made, usable = _phone(known, country_code)
    else:
        made, usable = _code(known)
    # what was taken out may have kept letter and accent apart
    made = pc.utf8_normalize(made, form="NFKC")
    made = pc.if_else(usable, made, pa.scalar(None, pa.large_string()))
    values = pd.array(made, dtype="str")
    return pd.Series(values, dtype="str").reindex(codes).set_axis(texts.index)


def _email(text: pa.Array) -> tuple[pa.Array, pa.Array]:
    text = pc.utf8_lower(text)
    ends = pc.is_in(
        pc.replace_substring_regex(text, "[@].*$", ""), value_set=pa.array(NOTHING, pa.large_string())
    )
    example = pc.match_substring_regex(text, r"@(example|test|invalid|none|noemail)\.")
    return text, pc.and_not(pc.match_substring_regex(text, _ADDRESS), pc.or_(ends, example))


def _phone(text: pa.Array, country_code: str | None) -> tuple[pa.Array, pa.Array]:
    # +49 (0) 171 is +49 171: the zero in brackets is dialled within the country only.
    text = pc.replace_substring_regex(text, r"\(0\)", "")
    text = pc.replace_substring_regex(text, r"^\s*\+", "00")
    letters = pc.match_substring_regex(text, r"[^\d\s()/.\-]")
    digits = pc.replace_substring_regex(text, r"\D", "")
    nothing = pc.or_(
        pc.match_substring_regex(digits, r"^(0*)(1+|2+|3+|4+|5+|6+|7+|8+|9+)?$"),
        pc.is_in(digits, value_set=pa.array(_COUNTED, pa.large_string())),
    )
    long = pc.greater_equal(pc.utf8_length(digits), 7)
    if country_code:
        abroad = pc.match_substring_regex(digits, "^00")
        national = pc.replace_substring_regex(digits, "^0?", f"00{country_code}")
        digits = pc.if_else(abroad, digits, national)
    return digits, pc.and_not(pc.and_not(long, letters), nothing)


def _code(text: pa.Array) -> tuple[pa.Array, pa.Array]:
    nothing = pc.is_in(pc.utf8_lower(text), value_set=pa.array(NOTHING, pa.large_string()))
    text = pc.utf8_upper(pc.replace_substring_regex(text, r"[\s./\-]", ""))
    filled = pc.match_substring_regex(text, _FILLED_IN)
    # Customers are numbered through: 111 is a number like any other, 111111 hardly is.
    long = pc.or_(pc.greater_equal(pc.utf8_length(text), 6), pc.match_substring_regex(text, "^(0+|X+)$"))
    filled = pc.and_(filled, long)
    counted = pc.is_in(text, value_set=pa.array(_COUNTED, pa.large_string()))
    empty = pc.equal(text, "")
    return text, pc.invert(pc.or_(pc.or_(nothing, filled), pc.or_(counted, empty)))


def too_common(value: pd.Series, source: np.ndarray, largest: int) -> pd.DataFrame:
    """Find values that stand at more ids of one source than a person can have there.

    Parameters
    ----------
    value : Series of str
        The key's values by node, normalised.
    source : ndarray of int
        The source of each node.
    largest : int
        So many ids of one source may be one person.

    Returns
    -------
    DataFrame
        Columns value and ids (how many nodes of all sources have it), most common first.
    """
    there = value.notna().to_numpy()
    codes, words = pd.factorize(value[there])
    width = int(source.max(initial=0)) + 1
    counts = pd.Series(codes.astype(np.int64) * width + source[there]).value_counts(sort=False)
    common = np.unique(counts.index[counts > largest].to_numpy() // width)
    found = pd.DataFrame(
        {
            "value": pd.Series(words[common], dtype="str"),
            "ids": np.bincount(codes, minlength=len(words))[common],
        }
    )
    return found.sort_values(["ids", "value"], ascending=[False, True], ignore_index=True)

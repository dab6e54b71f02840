"""Which ids are one person: the connected parts of a graph of links, and what is too odd to be one."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

#: The key of which a person has only one.
NUMBER = "customer_number"

Links = tuple[np.ndarray, np.ndarray]


def same_value(value: pd.Series) -> Links:
    """Link every node to the first that has the same value; missing values link nothing."""
    codes, _ = pd.factorize(value)
    there = np.flatnonzero(codes >= 0)
    first = np.full(int(codes.max(initial=-1)) + 1, len(codes), np.int64)
    np.minimum.at(first, codes[there], there)
    return there, first[codes[there]]


def parts(size: int, links: list[Links]) -> np.ndarray:
    """Number the connected parts of the graph: for each node the first node of its part.

    Parameters
    ----------
    size : int
        Number of nodes.
    links : list of (array, array)
        Pairs of nodes.
    """
    one, other = (np.concatenate([np.empty(0, np.int64), *(pair[side] for pair in links)]) for side in (0, 1))
    graph = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(size, size))
    count, label = connected_components(graph, directed=False)
    first = np.full(count, size, np.int64)
    np.minimum.at(first, label, np.arange(size))
    return first[label]


def clusters(
    keys: dict[str, pd.Series], source: np.ndarray, proposed: Links, largest: int
) -> tuple[np.ndarray, pd.DataFrame]:
    """Put nodes together that are one person, and take apart what cannot be one.

    A cluster with two customer numbers, or with more than `largest` ids of one source, is linked again
    with fewer links: without the proposed ones, then by customer number alone, then not at all.

    Parameters
    ----------
    keys : dict of str to Series
        Normalised values by node; missing ones link nothing.
    source : ndarray of int, shape (n,)
        The source of each node.
    proposed : (array, array)
        Pairs of nodes linked by a probabilistic model.
    largest : int
        So many ids of one source may be one person.

    Returns
    -------
    part : ndarray of int, shape (n,)
        The first node of each node's person.
    doubtful : DataFrame
        One row per cluster that was taken apart: first_node, ids, reason, linked_by, customers.
    """
    size = len(source)
    exact = {key: same_value(value) for key, value in keys.items()}
    stages = [("every link", [*exact.values(), proposed]), ("exact keys alone", [*exact.values()])]
    if NUMBER in keys:
        stages.append(("customer number alone", [exact[NUMBER]]))
    stages.append(("nothing: each id is a customer", []))
    number = pd.factorize(keys[NUMBER])[0] if NUMBER in keys else np.full(size, -1)
    part, todo = np.arange(size), np.ones(size, bool)
    used, odd = np.full(size, "", object), pd.DataFrame()
    for at, (name, links) in enumerate(stages):
        # A later stage's links are some of the stage's before, so both ends are still to do or neither is.
        kept = [(one[todo[one]], other[todo[one]]) for one, other in links]
        part[todo] = parts(size, kept)[todo]
        used[todo] = name
        reason = _reasons(part, source, number, todo, largest)
        if at == 0:
            first, odd = part.copy(), reason
        todo &= np.isin(part, reason.index)
        if not todo.any():
            break
    inside = np.isin(first, odd.index)
    by = pd.DataFrame({"first": first[inside], "part": part[inside], "used": used[inside]}).groupby("first")
    found = pd.DataFrame({"ids": by.size(), "reason": odd["reason"], "customers": by["part"].nunique()})
    found["linked_by"] = by["used"].agg(lambda words: "; ".join(sorted(set(words))))
    return part, found.rename_axis("first_node").reset_index()


def _reasons(
    part: np.ndarray, source: np.ndarray, number: np.ndarray, todo: np.ndarray, largest: int
) -> pd.DataFrame:
    """Say what is odd about parts, indexed by their first node."""
    width = int(max(source.max(initial=0), number.max(initial=0))) + 1
    numbered = todo & (number >= 0)
    numbers = _count(np.unique(part[numbered].astype(np.int64) * width + number[numbered]) // width)
    ids = pd.Series(part[todo].astype(np.int64) * width + source[todo]).value_counts(sort=False)
    ids = ids.groupby(ids.index.to_numpy() // width).max()
    several = {at: f"{n} customer numbers" for at, n in numbers[numbers > 1].items()}
    large = {at: f"{n} ids of one source, of which {largest} may be one person"
             for at, n in ids[ids > largest].items()}  # fmt: skip
    where = sorted({*several, *large})
    texts = ["; ".join(words[at] for words in (several, large) if at in words) for at in where]
    return pd.DataFrame({"reason": pd.Series(texts, dtype="str").to_numpy()}, index=where)


def _count(values: np.ndarray) -> pd.Series:
    places, counts = np.unique(values, return_counts=True)
    return pd.Series(counts, index=places)

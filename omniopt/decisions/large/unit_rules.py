"""Templates laid out for the kernels: what excludes what as bits, everything else as counts."""

from __future__ import annotations

import numpy as np

from omniopt.decisions.large.kernels import Rules
from omniopt.decisions.large.shape import Templates
from omniopt.rules.unit_rows import NO_CAP


def unit_rules(templates: Templates) -> Rules:
    """Lay the rows of all templates out by key.

    Returns
    -------
    Rules
    """
    rows, keys = len(templates.cap), len(templates.entry_start) - 1
    template_of_row = np.repeat(np.arange(len(templates)), np.diff(templates.row_start))
    template_of_key = np.repeat(np.arange(len(templates)), np.diff(templates.key_start))
    key = np.repeat(np.arange(keys), np.diff(templates.entry_start))
    row = templates.entry_row + templates.row_start[template_of_key[key]]
    size = np.bincount(row, minlength=rows)
    slot_start = np.concatenate([[0], np.cumsum(templates.slots)])
    slot = templates.entry_slot + slot_start[template_of_key[key]]
    row_of_slot = np.full(slot_start[-1], -1)
    row_of_slot[slot] = row
    classes = np.bincount(row_of_slot[row_of_slot >= 0], minlength=rows)
    low = templates.lo > 0
    plain = classes == size
    masked = plain & ~low & (templates.cap == 1)
    counted = ~masked & (low | (templates.cap < classes))
    # rows guide the bound whose members are classes of their own; the fuller, the better
    merit = np.where(plain & (templates.cap < classes), size - templates.cap.astype(np.int64), -1)
    order = np.lexsort((-row, -merit[row], key))
    order = order[merit[row[order]] >= 0]
    rank = np.arange(len(order)) - np.searchsorted(key[order], key[order])
    guide = np.full((keys, 2), -1, np.int64)
    for i in range(2):
        guide[key[order[rank == i]], i] = templates.entry_row[order[rank == i]]
    guide[:, 1] = np.where(guide[:, 1] < 0, guide[:, 0], guide[:, 1])
    asked = np.zeros(keys, np.bool_)
    asked[key[low[row]]] = True
    kept = counted[row]
    low_rows = np.flatnonzero(low)
    return Rules(
        shape=templates.shape.astype(np.int64),
        key_start=templates.key_start.astype(np.int64),
        mask=_masks(templates, key[masked[row]], row[masked[row]], template_of_key),
        guide=guide,
        asked=asked,
        entry_start=_starts(np.bincount(key[kept], minlength=keys)),
        entry_row=templates.entry_row[kept].astype(np.int64),
        entry_slot=templates.entry_slot[kept].astype(np.int64),
        row_start=templates.row_start.astype(np.int64),
        cap=np.minimum(templates.cap.astype(np.int64), NO_CAP),
        lo=templates.lo.astype(np.int64),
        trigger=templates.trigger.astype(np.int64),
        optional=templates.optional.astype(np.bool_),
        low_start=_starts(np.bincount(template_of_row[low_rows], minlength=len(templates))),
        low_row=low_rows - templates.row_start[template_of_row[low_rows]],
    )


def _masks(templates: Templates, key: np.ndarray, row: np.ndarray, template_of_key: np.ndarray) -> np.ndarray:
    """Return for each key the bits of the keys that share a row with it, uint64 of shape (keys, words)."""
    widest = int(np.diff(templates.key_start).max(initial=0))
    mask = np.zeros((len(template_of_key), max(1, -(-widest // 64))), np.uint64)
    place = key - templates.key_start[template_of_key[key]]
    bit = np.uint64(1) << (place % 64).astype(np.uint64)
    members = np.zeros((len(templates.cap), mask.shape[1]), np.uint64)
    np.bitwise_or.at(members, (row, place // 64), bit)
    np.bitwise_or.at(mask, key, members[row])
    at = (key, place // 64)
    mask[at] &= ~bit  # nothing excludes itself
    return mask


def _starts(count: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(count)]).astype(np.int64)

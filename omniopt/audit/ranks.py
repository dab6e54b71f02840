"""The certificate's account of objectives in order of rank, against the policy and the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omniopt.audit.certificate import FILE, STATUSES, gap, number, status
from omniopt.audit.objective import Rank
from omniopt.audit.rounding import allowed, same
from omniopt.errors import Faults


def entries(certificate: Mapping[str, Any], ranks: Sequence[Rank], faults: Faults) -> list[dict[str, Any]]:
    """One entry for each rank; none where the policy has one objective only."""
    said = certificate.get("ranks") or []
    wanted = len(ranks) if len(ranks) > 1 else 0
    if len(said) != wanted or not all(isinstance(entry, dict) for entry in said):
        faults.add(f"there are {wanted} ranks to tell of, it tells of {len(said)}", file=FILE, column="ranks")
        return []
    return said


def check(
    certificate: Mapping[str, Any],
    said: Sequence[dict[str, Any]],
    ranks: Sequence[Rank],
    worth: Sequence[tuple[float, float]],
    faults: Faults,
) -> str:
    """Every rank's numbers and words, and what they make of the certificate's status.

    Parameters
    ----------
    said : sequence of dict
        The certificate's entries, one per rank.
    worth : sequence of (float, float)
        What the plan is worth in each rank, and the sizes added up.

    Returns
    -------
    str
        The status that the certificate should bear.
    """
    target = number(certificate, "gap_target", faults)
    top = gap(certificate, "objective", target, ranks[0].sign, faults)
    if not said:
        return top
    words = []
    for k, (entry, rank, (value, size)) in enumerate(zip(said, ranks, worth, strict=True)):
        name = f"objective {k + 1}"
        for key, true in (
            ("objective_expr", rank.expression),
            ("sense", rank.sense),
            ("within", rank.within),
        ):
            if entry.get(key) != true:
                faults.add(
                    f"it says {entry.get(key)!r}, the policy {true!r}", file=FILE, column=key, rule=name
                )
        mine = number(entry, "objective", faults, name)
        if not same(mine, value, size):
            words_of = f"it says {mine:.12g}, the plan's contacts give {value:.12g}"
            faults.add(words_of, file=FILE, column="objective", rule=name)
        best = number(entry, "best", faults, name)
        least = rank.kept(best) if k + 1 < len(ranks) else best
        room = allowed(size + abs(best))
        if rank.sign * (least - value) > room:
            faults.add(
                f"the plan is worth {value:.10g}, and keeps {best:.10g} not within {rank.within:g} of it",
                file=FILE,
                column="ranks",
                rule=name,
            )
        if k + 1 == len(ranks) and rank.sign * (value - best) > room:
            faults.add(
                f"the plan is worth {value:.10g}, more than the best, {best:.10g}",
                file=FILE,
                column="best",
                rule=name,
            )
        word = gap(entry, "best", target - ranks[0].within, rank.sign, faults, name)
        status(entry, word, faults, name)
        words.append(word)
    for key in ("objective", "bound", "bound_from_prices"):
        if said[0].get(key) != certificate.get(key):
            faults.add(
                f"it says {certificate.get(key)!r}, the first rank {said[0].get(key)!r}",
                file=FILE,
                column=key,
            )
    worst = max(words, key=STATUSES.index)
    # What later ranks gave up is a gap of the first.
    return max(worst, "within_gap" if top != "optimal" else "optimal", key=STATUSES.index)


def prices(
    entry: Mapping[str, Any], rows: int, earlier: int, faults: Faults
) -> tuple[list[float], list[float]]:
    """A rank's prices: of every row that binds, and of each earlier rank."""
    result, name = [], f"objective {earlier + 1}"
    for key, size in (("prices", rows), ("rank_prices", earlier)):
        said = entry.get(key)
        if not isinstance(said, list) or len(said) != size:
            faults.add(f"there must be {size} numbers", file=FILE, column=key, rule=name)
            said = [0.0] * size
        result.append([number({key: one}, key, faults, name) for one in said])
    return result[0], result[1]

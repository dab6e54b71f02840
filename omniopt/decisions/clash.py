"""The smallest set of rules that clash: leave out any one of them, and a plan is possible."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from omniopt.decisions.oracle import Oracle

FEW = 24  # members up to which they are tried one by one; more are tried by halves


@dataclass(frozen=True)
class Found:
    """Members, by number, that cannot be kept together; minimal if each of them was proven to be needed."""

    members: np.ndarray
    minimal: bool


def smallest_clash(oracle: Oracle, start: np.ndarray) -> Found | None:
    """Reduce members that cannot be kept together until none can be left out.

    Members are left out as long as the others are still impossible. What the LP relaxation
    proves impossible names the few members that its proof uses, so only those are tried.

    Parameters
    ----------
    oracle : Oracle
    start : ndarray of bool, shape (members,)

    Returns
    -------
    Found or None
        None if a plan can keep them all.
    """
    oracle.spend(0.4)
    few = oracle.guess(start)
    if few is not None:
        answer = oracle.ask(few)
        start = few if answer.possible is False else start
    if few is None or answer.possible is not False:
        answer = oracle.ask(start)
    if answer.possible:
        return None
    oracle.spend(0.1)
    search = _Filter(oracle)
    kept = search.narrowed(start, answer.proof) if answer.possible is False else start
    if int(kept.sum()) > FEW:
        members = np.sort(search.by_halves(np.zeros_like(kept), False, np.flatnonzero(kept)))
    else:
        members = np.flatnonzero(search.one_by_one(kept))
    return Found(members, answer.possible is False and not search.unsure)


class _Filter:
    """Leaves members out; remembers whether a question stayed without an answer."""

    def __init__(self, oracle: Oracle) -> None:
        self.oracle, self.unsure = oracle, False

    def impossible(self, kept: np.ndarray) -> bool:
        """Whether members are known to be impossible together."""
        answer = self.oracle.ask(kept)
        self.unsure |= answer.possible is None
        self.proof = answer.proof
        return answer.possible is False

    def narrowed(self, kept: np.ndarray, proof: np.ndarray | None) -> np.ndarray:
        """Go on with the members of a proof, if they are impossible by themselves."""
        while proof is not None and proof.sum() < kept.sum():
            answer = self.oracle.ask(proof)
            if answer.possible is not False:  # the proof leant on rounding
                break
            kept, proof = proof, answer.proof
        return kept

    def one_by_one(self, kept: np.ndarray) -> np.ndarray:
        """Leave out every member that the others can do without."""
        kept, tried = kept.copy(), np.zeros_like(kept)
        while (kept & ~tried).any():
            i = int(np.flatnonzero(kept & ~tried)[0])
            tried[i] = True
            without = kept.copy()
            without[i] = False
            if self.impossible(without):
                kept = self.narrowed(without, self.proof)
        return kept

    def by_halves(self, held: np.ndarray, grown: bool, candidates: np.ndarray) -> np.ndarray:
        """Return the candidates that are needed beside those held (Junker, QuickXplain, 2004)."""
        if grown and self.impossible(held):
            return candidates[:0]
        if len(candidates) == 1:
            return candidates
        first, second = np.array_split(candidates, 2)
        late = self.by_halves(_with(held, first), True, second)
        early = self.by_halves(_with(held, late), len(late) > 0, first)
        return np.concatenate([early, late])


def _with(held: np.ndarray, members: np.ndarray) -> np.ndarray:
    more = held.copy()
    more[members] = True
    return more

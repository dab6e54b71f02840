"""How far two numbers may lie apart and still be one: the only place where this check allows for rounding.

Sums of floating-point numbers depend on the order of their terms; the error is below a few times 1e-16 per
term of the sum of the terms' sizes, whatever the order. `SUM` allows for that many times over and `FLOOR`
for terms near zero. So a capacity exceeded by one contact, or an objective raised by a tenth of a cent, is
found in sums of up to a hundred million. `GAP` is the contract's own: a gap within 1e-9 is no gap.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# Absolute: no measure means anything below a millionth of its unit.
FLOOR = 1e-6
# Relative to the sum of absolute values that were added up.
SUM = 1e-11
# For one number worked out from a few others, such as a candidate's cost.
ROW = 1e-9
# What the contract calls rounding in a gap; also how far a bound may lie below the objective, relative to
# both.
GAP = 1e-9
# A cap on contacts such as 1.9999999999, worked out in a table, holds two.
CAP = 1e-9


def allowed(size: Any) -> Any:
    """How far a sum may be off whose terms have this total size."""
    return FLOOR + SUM * np.abs(size)


def same(one: Any, other: Any, size: Any = 0.0) -> Any:
    """Whether two sums are equal up to rounding; `size` is the sum of their terms' sizes."""
    return np.abs(np.asarray(one) - np.asarray(other)) <= allowed(np.maximum(np.abs(one), size))


def same_row(one: Any, other: Any) -> Any:
    """Whether two numbers of one row are equal up to rounding; a missing one equals only a missing one."""
    one, other = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    near = np.abs(one - other) <= ROW * (1.0 + np.maximum(np.abs(one), np.abs(other)))
    return near | (np.isnan(one) & np.isnan(other))

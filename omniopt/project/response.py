"""What the project file says of the response model: which estimator learns it, and from which columns."""

from __future__ import annotations

import sys
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from omniopt.errors import nearest

_TREES = {"max_leaf_nodes": (int, 2), "min_samples_leaf": (int, 1), "max_depth": (int, 1)}
_FOREST = {"n_estimators": (int, 1), "max_features": (float, 0), **_TREES}
#: Estimators that may be named, and their options: the kind of number, and the least that it may be.
ESTIMATORS: dict[str, dict[str, tuple[type, int]]] = {
    "logistic": {"C": (float, 0)},
    "gradient_boosting": {"learning_rate": (float, 0), "max_iter": (int, 1), "l2_regularization": (float, 0),
                          **_TREES},
    "random_forest": _FOREST,
    "extra_trees": _FOREST,
}  # fmt: skip
#: No option that is a whole number needs to be larger; a slip of the keyboard would never come to an end.
MOST = 10_000
#: Options that are a share: more than 1 has no meaning.
SHARES = ("max_features",)


class Response(BaseModel):
    """How response is learnt, such as ``response: {estimator: random_forest, without: [duration]}``.

    Attributes
    ----------
    estimator : str
        A key of `ESTIMATORS`.
    options : dict
        Options of the estimator, as scikit-learn names them.
    without : tuple of str
        Attributes of customers that the model is not to see.
    known_before : tuple of str
        Attributes that are known before the contact, however well they predict the response.
    caution : {"none", "shrink", "quantile"}
        Whether plans are made with scores that allow for their own uncertainty, and how
        (`omniopt.knowledge.uncertain.cautious`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    estimator: str = "logistic"
    options: dict[str, Any] = {}
    without: tuple[str, ...] = ()
    known_before: tuple[str, ...] = ()
    caution: Literal["none", "shrink", "quantile"] = "none"

    @field_validator("estimator")
    @classmethod
    def _allowed(cls, name: str) -> str:
        if name not in ESTIMATORS:
            raise ValueError(nearest(name, ESTIMATORS))
        return name

    @field_validator("options")
    @classmethod
    def _known(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        legal = ESTIMATORS.get(info.data.get("estimator", ""))
        if legal is None:  # the estimator's own fault is told already
            return options
        wrong = [
            text for name, value in options.items() if (text := _wrong(name, value, legal, info)) is not None
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return options


def _wrong(name: str, value: Any, legal: dict[str, tuple[type, int]], info: ValidationInfo) -> str | None:
    """Say what is wrong with an option, if anything is."""
    if name not in legal:
        return f"{info.data['estimator']} has no option '{name}', {nearest(name, legal)}"
    kind, least = legal[name]
    number = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    # Compared before anything is made of it: a whole number in YAML may be too long for a float.
    enough = number and (least <= value <= MOST if kind is int else least < value <= sys.float_info.max)
    if not enough or (name in SHARES and value > 1):
        what = f"a whole number from {least} to {MOST}" if kind is int else f"a number above {least}"
        return f"{name} is {what}{', at most 1' if name in SHARES else ''}"
    return None

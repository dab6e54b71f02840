"""Who the customers are, and how they would respond.

The names are loaded when they are first used: scikit-learn takes a second, and a project with its own scores
does not need it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omniopt.knowledge.evaluate import calibration as calibration
    from omniopt.knowledge.evaluate import compare as compare
    from omniopt.knowledge.response import ResponseModel as ResponseModel
    from omniopt.knowledge.response import fit as fit
    from omniopt.knowledge.response import scores as scores

_HOME = {"calibration": "evaluate", "compare": "evaluate", "ResponseModel": "response", "fit": "response"}
_HOME["scores"] = "response"

__all__ = ["ResponseModel", "calibration", "compare", "fit", "scores"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(
            f"module 'omniopt.knowledge' has no attribute {name!r}; it has {', '.join(__all__)}"
        )
    return getattr(import_module(f"omniopt.knowledge.{_HOME[name]}"), name)

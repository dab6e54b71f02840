"""Which customer gets which offer, on which channel, when: the best plan under the rules, with its proof.

The public names are loaded when they are first used, so that ``import omniopt`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omniopt.decisions.explain import explain as explain
    from omniopt.decisions.optimize import compare as compare
    from omniopt.decisions.optimize import optimize as optimize
    from omniopt.decisions.plan import Plan as Plan
    from omniopt.decisions.rule_values import rule_values as rule_values
    from omniopt.errors import BadInput as BadInput
    from omniopt.errors import Infeasible as Infeasible
    from omniopt.errors import OmnioptError as OmnioptError
    from omniopt.project import Project as Project

__version__ = "0.1.0"

_HOME = {
    "BadInput": "omniopt.errors",
    "Infeasible": "omniopt.errors",
    "OmnioptError": "omniopt.errors",
    "Plan": "omniopt.decisions.plan",
    "Project": "omniopt.project",
    "compare": "omniopt.decisions.optimize",
    "explain": "omniopt.decisions.explain",
    "optimize": "omniopt.decisions.optimize",
    "rule_values": "omniopt.decisions.rule_values",
}

__all__ = [
    "BadInput",
    "Infeasible",
    "OmnioptError",
    "Plan",
    "Project",
    "compare",
    "explain",
    "optimize",
    "rule_values",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'omniopt' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

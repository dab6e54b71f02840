"""What is best: the problem, its solution with proof, and what surrounds it."""

from __future__ import annotations

from omniopt.decisions.check import check
from omniopt.decisions.optimize import compare, optimize
from omniopt.decisions.plan import Plan
from omniopt.decisions.problem import Problem, build_problem

__all__ = ["Plan", "Problem", "build_problem", "check", "compare", "optimize"]

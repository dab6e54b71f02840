"""The parameters of a run: what notebooks declare and what the user gave, checked before anything starts.

A parameter exists because a notebook declares it in its cell tagged ``parameters``, with a type and a word of
help:

    gap: float = 1e-4  # stop when no plan can be better by more than this share

A value arrives as text from a command line or a scheduler. It is coerced here, once, to the declared type,
and never evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from omniopt.errors import Faults, nearest

Value = str | int | float | bool

INTERNAL = frozenset({"project", "folder"})  # set by the pipeline for every notebook
_WORDS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
_TYPES = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}
_RANGES: Mapping[str, tuple[float, float]] = {"gap": (0.0, 1.0), "time_limit": (0.0, math.inf)}


@dataclass(frozen=True)
class Declared:
    """A parameter as a notebook declares it.

    Parameters
    ----------
    name : str
        Its name.
    kind : str
        ``str``, ``int``, ``float`` or ``bool``.
    default : str
        The default as written in the notebook.
    help : str
        The comment behind it.
    notebooks : tuple of str
        The notebooks that take it.
    """

    name: str
    kind: str
    default: str
    help: str
    notebooks: tuple[str, ...]


def coerce(
    given: Mapping[str, str], declared: Mapping[str, Declared], legal: Mapping[str, Collection[str]]
) -> dict[str, Value]:
    """Turn what the user gave into typed values.

    Parameters
    ----------
    given : mapping of str to str
        Name → text, as on the command line.
    declared : mapping of str to Declared
        What there is.
    legal : mapping of str to collection of str
        The words that parameters may take which cannot take any.

    Raises
    ------
    BadInput
        Names every parameter that is unknown, with the nearest legal name, and every value that does not fit.
    """
    faults = Faults()
    values: dict[str, Value] = {}
    for name, words in given.items():
        if name not in declared:
            hint = nearest(name, declared)
            faults.add(f"no notebook has a parameter '{name}'", hint=hint[0].upper() + hint[1:])
            continue
        value, wrong = _value(declared[name], str(words), legal.get(name))
        if value is None:
            faults.add(f"parameter {name}: '{words}' {wrong}", hint=declared[name].help or None)
        else:
            values[name] = value
    faults.raise_if_any()
    return values


def merge(found: Mapping[str, Iterable[tuple[str, str, str, str]]]) -> dict[str, Declared]:
    """Bring together what the notebooks declare, without the parameters that the pipeline sets.

    Parameters
    ----------
    found : mapping of str to iterable of (name, type, default, help)
        The notebook's file name → its parameters, as papermill reads them.

    Raises
    ------
    BadInput
        A parameter has no type, or another one in another notebook.
    """
    faults = Faults()
    declared: dict[str, Declared] = {}
    for notebook, parameters in found.items():
        for name, kind, default, words in parameters:
            if name in INTERNAL:
                continue
            first = declared.get(name)
            if kind not in _TYPES:
                hint = f"Declare it as {name}: {'|'.join(_TYPES)} = …"
                faults.add(f"parameter '{name}' has no type that can be read", file=notebook, hint=hint)
            elif first and first.kind != kind:
                faults.add(
                    f"parameter '{name}' is {kind} here, but {first.kind} in {first.notebooks[0]}",
                    file=notebook,
                )
            else:
                before = first.notebooks if first else ()
                declared[name] = Declared(name, kind, default, words, (*before, notebook))
    faults.raise_if_any()
    return declared


def _value(parameter: Declared, words: str, legal: Collection[str] | None) -> tuple[Value | None, str]:
    """The typed value, or None and what is wrong with the words."""
    name, stripped = parameter.name, words.strip()
    value: Value
    try:
        if parameter.kind == "bool":
            value = _WORDS[stripped.casefold()]
        elif parameter.kind == "int":
            value = int(stripped)
        elif parameter.kind == "float":
            value = float(stripped)
        else:
            value = words
    except (ValueError, KeyError):
        return None, f"is not {_TYPES[parameter.kind]}"
    if legal and value not in legal:
        return None, f"is not legal; {nearest(words, legal)}"
    if isinstance(value, float) and not math.isfinite(value):
        return None, "is not a finite number"
    if name in _RANGES and not isinstance(value, str) and not _RANGES[name][0] <= value <= _RANGES[name][1]:
        low, high = _RANGES[name]
        return None, f"is not between {low:g} and {high:g}" if math.isfinite(high) else f"is below {low:g}"
    return value, ""

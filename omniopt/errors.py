"""Every error a user can meet, in words: what is wrong, where it is, and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omniopt.decisions.diagnosis import Diagnosis


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and where.

    Parameters
    ----------
    message : str
        What is wrong, without the place and without a full stop.
    file : str, optional
        The file's name as the reader knows it, such as ``customers.csv``.
    table : str, optional
        The table's name in the project file.
    row : int, optional
        Number of the data row, counted from 1; a header line is not counted.
    column : str, optional
        The column's name.
    rule : str, optional
        The name of the rule in the policy.
    hint : str, optional
        How to mend it.
    """

    message: str
    file: str | None = None
    table: str | None = None
    row: int | None = None
    column: str | None = None
    rule: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        place = []
        if self.file:
            place.append(self.file)
        # A file called after its table needs no second name.
        if self.table and not (self.file and _stem(self.file) == self.table):
            place.append(f"table {self.table}")
        if self.row is not None:
            place.append(f"row {self.row}")
        if self.column is not None:
            place.append(f"column {self.column}")
        if self.rule is not None:
            place.append(f"rule '{self.rule}'")
        text = f"{', '.join(place)}: {self.message}" if place else self.message
        if self.hint:
            text = f"{_sentence(text)} {self.hint[:1].upper()}{self.hint[1:]}"
        text = _sentence(text)
        # A message may quote what stood in a file: it stays one line, and sends nothing to the terminal.
        return "".join(letter if letter.isprintable() else "�" for letter in " ".join(text.split()))


class OmnioptError(Exception):
    """What every error of this package is; ``exit_code`` is the status the command line ends with."""

    exit_code = 2

    def _render_traceback_(self) -> list[str]:
        """Say it in words in a notebook, without a traceback: IPython asks for this method."""
        return str(self).splitlines() or [type(self).__name__]


class BadInput(OmnioptError):
    """The input cannot be used; all that is wrong with it is told at once.

    Parameters
    ----------
    faults : str, Fault or iterable of Fault
        What is wrong. A string stands for one fault without a place.

    Attributes
    ----------
    faults : list of Fault
        At least one.
    """

    exit_code = 2

    def __init__(self, faults: str | Fault | Iterable[Fault]) -> None:
        if isinstance(faults, str):
            faults = Fault(faults)
        self.faults: list[Fault] = [faults] if isinstance(faults, Fault) else list(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))

    def __reduce__(self) -> tuple[Any, ...]:
        # An exception is rebuilt from its arguments; here they are the faults, not the text made of them.
        return type(self), (self.faults,)


class Infeasible(OmnioptError):
    """No plan keeps all the rules.

    Parameters
    ----------
    reason : str
        Which rules clash, in the planner's words.
    diagnosis : Diagnosis, optional
        The clash and the ways out as objects.
    """

    exit_code = 3

    def __init__(self, reason: str, diagnosis: Diagnosis | None = None) -> None:
        self.reason = reason
        self.diagnosis = diagnosis
        super().__init__(reason)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.reason, self.diagnosis)


class NotebookFailed(OmnioptError):
    """A notebook of the pipeline raised an error.

    Parameters
    ----------
    folder : Path
        Where the failed run is kept for reading.
    notebook : str
        The notebook that failed.
    message : str
        What it said.
    """

    exit_code = 5

    def __init__(self, folder: Path, notebook: str, message: str) -> None:
        self.folder = Path(folder)
        self.notebook = notebook
        self.message = message
        super().__init__(f"{notebook} failed: {message}\nThe failed run is kept in {folder}.")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.folder, self.notebook, self.message)


class Faults:
    """A collector: faults are gathered here and raised once, as one list."""

    def __init__(self) -> None:
        # A dict keeps the order of discovery and drops what was already said.
        self._faults: dict[Fault, None] = {}

    def add(
        self,
        message: str,
        *,
        file: str | None = None,
        table: str | None = None,
        row: int | None = None,
        column: str | None = None,
        rule: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Add one fault; the arguments are those of `Fault`."""
        self._faults[Fault(message, file, table, row, column, rule, hint)] = None

    def extend(self, faults: Iterable[Fault]) -> None:
        """Add faults found elsewhere, in their order."""
        self._faults.update(dict.fromkeys(faults))

    def __bool__(self) -> bool:
        return bool(self._faults)

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def __len__(self) -> int:
        return len(self._faults)

    def raise_if_any(self) -> None:
        """Raise everything that was gathered, in the order it was found.

        Raises
        ------
        BadInput
            When there is at least one fault.
        """
        if self._faults:
            raise BadInput(self)


def nearest(word: str, legal: Iterable[str]) -> str:
    """Say which legal name was probably meant.

    Parameters
    ----------
    word : str
        What was written.
    legal : iterable of str
        What may be written there.

    Returns
    -------
    str
        ``did you mean 'cost'?`` if one name is close; else the legal names, cut short when they are many.

    Examples
    --------
    >>> nearest("csot", ["cost", "value"])
    "did you mean 'cost'?"
    >>> nearest("zebra", ["cost", "value"])
    'legal here: cost, value'
    """
    names = [str(name) for name in dict.fromkeys(legal)]
    folded: dict[str, str] = {}
    for name in names:
        folded.setdefault(name.casefold().strip(), name)
    close = difflib.get_close_matches(str(word).casefold().strip(), list(folded), n=1, cutoff=0.6)
    if close:
        return f"did you mean '{folded[close[0]]}'?"
    if not names:
        return "nothing is legal here"
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"legal here: {', '.join(names[:12])}{more}"


def is_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error.

    If it is pressed while compiled code works, Python may hear of it inside of that code's own
    machinery, and the interrupt comes out as the cause of a SystemError.
    """
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__
    return error is not None


def _sentence(text: str) -> str:
    """End a text with a full stop, unless it ends as a sentence already."""
    text = text.strip()
    return text if text.endswith((".", "!", "?", ":")) else text + "."


def _stem(file: str) -> str:
    return file.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].split(".", 1)[0]


class StoppedWithoutPlan(OmnioptError):
    """Time ran out before any plan was found (exit status 4).

    Parameters
    ----------
    message : str
        What was being done, and how to mend it.
    """

    exit_code = 4

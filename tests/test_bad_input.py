"""One good project, broken in one place at a time: bad input is told in words and leaves nothing behind."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from broken import GOOD, POLICY, TABLES, Break, contents, lay
from click.testing import CliRunner

from omniopt.errors import BadInput
from omniopt.project import Project


def say(project: Path, *command: str) -> tuple[int, str]:
    """Run a command in this process; return its exit status and what it said on stderr."""
    from omniopt.cli import cli

    result = CliRunner().invoke(cli, [command[0], str(project), *command[1:]])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stderr


def assert_told(text: str, change: Break) -> None:
    for word in change.words:
        assert word in text, f"'{word}' is not in: {text}"
    assert "Traceback" not in text


def test_the_good_project_is_good(tmp_path: Path) -> None:
    tables = Project.load(lay(tmp_path / "p")).read()
    assert tables.candidates is not None and len(tables.candidates) == 4
    assert say(tmp_path / "p", "check")[0] == 0


def test_there_are_enough() -> None:
    assert len(TABLES) + len(POLICY) >= 40


@pytest.mark.parametrize("name", TABLES)
def test_reading_tells_the_place(name: str, tmp_path: Path) -> None:
    change = TABLES[name]
    with pytest.raises(BadInput) as caught:
        Project.load(lay(tmp_path / "p", change)).read()
    assert_told(str(caught.value), change)
    # One slip is told once: what follows from it is not told as more faults.
    assert len(caught.value.faults) == change.faults, str(caught.value)


@pytest.mark.parametrize("name", [*TABLES, *POLICY])
def test_check_says_so(name: str, tmp_path: Path) -> None:
    change = (TABLES | POLICY)[name]
    status, text = say(lay(tmp_path / "p", change), "check")
    assert status == 2, text
    assert_told(text, change)


@pytest.mark.parametrize("name", [*TABLES, *POLICY])
def test_optimize_writes_nothing(name: str, tmp_path: Path) -> None:
    change = (TABLES | POLICY)[name]
    project = lay(tmp_path / "p", change)
    before = contents(tmp_path)
    status, text = say(project, "optimize", "--out", str(tmp_path / "out"))
    assert status == 2, text
    assert_told(text, change)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["NaN score", "policy is a list", "unknown channel in a rule"])
def test_as_a_process(name: str, tmp_path: Path) -> None:
    change = (TABLES | POLICY)[name]
    project = lay(tmp_path / "p", change)
    before = contents(tmp_path)
    command = [
        sys.executable,
        "-m",
        "omniopt",
        "optimize",
        str(project),
        "--out",
        str(tmp_path / "out"),
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert_told(done.stderr, change)
    answer = json.loads(done.stdout)
    assert answer["ok"] is False and len(answer["faults"]) >= change.faults
    assert contents(tmp_path) == before


def test_all_faults_at_once(tmp_path: Path) -> None:
    folder = lay(tmp_path / "p")
    for name in ("NaN score", "bad time", "infinite cost", "unknown channel in actions"):
        change = TABLES[name]
        file = folder / change.file
        file.write_text(file.read_text().replace(str(change.old), str(change.new), 1))
    with pytest.raises(BadInput) as caught:
        Project.load(folder).read()
    assert {fault.file for fault in caught.value.faults} == {
        "scores.csv",
        "channels.csv",
        "candidates.csv",
        "actions.csv",
    }
    assert len(caught.value.faults) == 4


NASTY = (
    "nan inf -1 1e400 true \" ' , ,, \n \r \0 0 007 2026-02-30 9999-12-31 { } [ ] : *a &a !!x ~ | > % @ \t =1"
    " 0x1 24:00 mon- \ufeff \u2028 {a:b} [1,2] -- 1,2 cost/0 customer. value*cost 99999999999 é"
).split(" ")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_random_damage_is_told_in_words_or_harmless(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    for _ in range(60):
        folder = lay(tmp_path / "p")
        for _ in range(chance.randint(1, 3)):
            file = folder / chance.choice(sorted(GOOD))
            data = file.read_bytes()
            tokens = [match.span() for match in re.finditer(rb"[^,\s{}\[\]:]+", data)] or [(0, 0)]
            start, end = chance.choice(tokens)
            junk = chance.choice([chance.randbytes(3), b"", b"\n", *(word.encode() for word in NASTY)])
            file.write_bytes(data[:start] + junk + data[end:])
        try:
            Project.load(folder).read()
        except BadInput as error:
            assert all(fault.file for fault in error.faults), str(error)


def test_a_password_is_never_told(tmp_path: Path) -> None:
    secret = "s3cr3t"
    url = f"postgresql+psycopg://me:{secret}@localhost:1/db?password={secret}&connect_timeout=1"
    change = Break(
        "omniopt.yaml", "customers.csv", f"{{url: '{url}', sql: select 1}}", ("customers (SQL)", "database")
    )
    status, text = say(lay(tmp_path / "p", change), "check")
    assert status == 2
    assert_told(text, change)
    assert secret not in text

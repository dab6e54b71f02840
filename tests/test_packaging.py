"""The package as it travels: a wheel with notebooks and examples, which works where there is no checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    subprocess.run([*command, "--wheel-dir", str(folder), str(checkout)], check=True)
    (path,) = folder.glob("omniopt-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python in an environment of its own that has the wheel, and borrows what it depends on from this one.

    What is borrowed is looked up after the environment's own packages, and without this environment's .pth
    files, so that the checkout cannot be found by way of them.
    """
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True)
    own = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (Path(own) / "borrowed.pth").write_text("\n".join(sorted(borrowed)) + "\n")
    return python


def run(python: Path, *arguments: object, cwd: Path) -> str:
    """Run a Python outside the checkout and return what it says."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [str(python), *map(str, arguments)]
    said = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    return said.stdout


def test_what_the_wheel_holds(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    shared = {name.removeprefix("omniopt/_share/") for name in names if name.startswith("omniopt/_share/")}
    assert {
        "notebooks/01_customers.ipynb",
        "notebooks/20_what_if.ipynb",
        "data/starter/omniopt.yaml",
        "data/complete_journey/make_tables.py",
    } <= shared
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    tops = {name.split("/")[0] for name in names}
    assert tops == {"omniopt", next(top for top in tops if top.endswith(".dist-info"))}
    assert not [name for name in names if "/tables/" in name and "/data/" in name or "__pycache__" in name]


def test_the_wheel_works_where_there_is_no_checkout(installed: Path, checkout: Path, tmp_path: Path) -> None:
    home = run(installed, "-c", "import omniopt; print(omniopt.__file__)", cwd=tmp_path)
    assert str(checkout) not in home
    run(installed, "-m", "omniopt", "init", "new", cwd=tmp_path)
    assert (tmp_path / "new" / "notebooks" / "03_allocate.ipynb").is_file()
    said = run(installed, "-m", "omniopt", "check", "new", cwd=tmp_path)
    assert "in order" in said
    run(installed, "-m", "omniopt", "optimize", "new", "--out", "out", cwd=tmp_path)
    assert "holds what it says" in run(installed, "-m", "omniopt", "verify", "out", cwd=tmp_path)


def test_the_installed_command(installed: Path, tmp_path: Path) -> None:
    command = installed.parent / "omniopt"
    said = subprocess.run([str(command), "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert (said.returncode, said.stdout.startswith("omniopt, version")) == (0, True)

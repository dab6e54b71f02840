"""A JupyterLab of its own, and a browser to use it with."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import omniopt as oo

#: A customer's id that tries to be markup, wherever it is shown.
EVIL = '<img src=x onerror="window.pwned=1">'

_SETTINGS = {
    # Nothing asks for news, and all cells are in the page, not only those on the screen.
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: where it is, and the project that it shows."""

    url: str
    token: str
    project: Path


@pytest.fixture(scope="session")
def lab_project(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Path:
    """The starter project with notebooks, a finished run, and a customer whose id tries to be markup."""
    folder = tmp_path_factory.mktemp("lab") / "project"
    shutil.copytree(checkout / "data" / "starter", folder, ignore=shutil.ignore_patterns("reports"))
    for table in folder.glob("*.csv"):
        quoted = EVIL.replace('"', '""')
        lines = table.read_text(encoding="utf-8").replace("\nC001,", f'\n"{quoted}",')
        table.write_text(lines, encoding="utf-8")
    oo.optimize(oo.Project.load(folder)).save(folder / "reports" / "first")
    (folder / "notebooks").mkdir()
    for notebook in ("10_review.ipynb", "20_what_if.ipynb"):
        shutil.copy(checkout / "notebooks" / notebook, folder / "notebooks")
    return folder


@pytest.fixture(scope="session")
def lab(lab_project: Path, tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Iterator[Lab]:
    """JupyterLab, offline, on a free port, with nothing of the user's own settings."""
    home = tmp_path_factory.mktemp("home")
    for name, content in _SETTINGS.items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    own = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
           "IPYTHONDIR": "ipython", "MPLCONFIGDIR": "matplotlib"}  # fmt: skip
    environment = os.environ | {name: str(home / folder) for name, folder in own.items()}
    environment |= {
        "HOME": str(home),
        "PYTHONPATH": os.pathsep.join([str(checkout), os.environ.get("PYTHONPATH", "")]),
    }
    options = {
        "ip": "127.0.0.1",
        "port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.root_dir": lab_project,
        "IdentityProvider.token": token,
        "LabApp.extension_manager": "readonly",
        "LabApp.news_url": None,
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.workspaces_dir": home / "workspaces",
        "LabApp.user_settings_dir": home / "settings",
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--{name}={value}" for name, value in options.items()]
    with open(home / "lab.log", "w") as log:
        server = subprocess.Popen(command, env=environment, cwd=lab_project, stdout=log, stderr=log)
    try:
        _wait(port, server, home / "lab.log")
        yield Lab(f"http://127.0.0.1:{port}", token, lab_project)
    finally:
        server.terminate()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()


def _wait(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        if server.poll() is not None:
            pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail(f"JupyterLab did not answer within a minute:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures of the pages are kept; the variable OMNIOPT_SCREENSHOTS may name another folder."""
    given = os.environ.get("OMNIOPT_SCREENSHOTS")
    folder = Path(given) if given else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder

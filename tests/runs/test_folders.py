from __future__ import annotations

import json
from pathlib import Path

import pytest

from omniopt.runs.folders import RunFolder, slug


def test_a_run_folder_appears_when_it_is_finished(tmp_path: Path) -> None:
    with RunFolder(tmp_path, "Weekly offers!") as folder:
        (folder.work / "plan").write_text("x")
        assert folder.run_id.endswith("-Weekly-offers")
        assert not (tmp_path / folder.run_id).exists()
        place = folder.finish()
    assert place == tmp_path / folder.run_id
    assert [path.name for path in place.iterdir()] == ["plan"]
    assert not list(tmp_path.glob(".*.running"))


def test_runs_of_the_same_second_have_names_of_their_own(tmp_path: Path) -> None:
    made = [RunFolder(tmp_path, "x") for _ in range(3)]
    assert len({folder.run_id for folder in made}) == 3
    for folder in made:
        folder.finish()


def test_an_error_leaves_the_folder_aside(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk full"), RunFolder(tmp_path, "x") as folder:
        (folder.work / "manifest.json").write_text('{"status": "running"}')
        raise OSError("disk full")
    kept = tmp_path / "failed" / folder.run_id
    assert json.loads((kept / "manifest.json").read_text())["status"] == "failed"


def test_a_running_folder_is_left_alone_and_a_killed_one_put_aside(tmp_path: Path) -> None:
    running = RunFolder(tmp_path, "a")
    killed = RunFolder(tmp_path, "b")
    killed._lock.close()  # as the operating system does when a process is killed
    later = RunFolder(tmp_path, "c")
    assert running.work.exists() and later.work.exists() and not killed.work.exists()
    assert (tmp_path / "failed" / killed.run_id).exists()


def test_folders_that_belong_to_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "draft").mkdir()
    (tmp_path / ".hidden").mkdir()
    RunFolder(tmp_path, "x").finish()
    assert (tmp_path / "draft").exists() and (tmp_path / ".hidden").exists()


@pytest.mark.parametrize("name", ["../../etc", "a/b\\c:d", "...", "", "con\x00", "x" * 300, "日本"])
def test_any_name_makes_a_safe_file_name(name: str) -> None:
    made = slug(name)
    assert made and len(made) <= 60 and not set(made) & set('/\\:.\x00 "')

"""Files and folders are written whole or not at all; a locked folder admits one process."""

import subprocess
import sys

import pytest

from mechanical_ears.errors import EarsError
from mechanical_ears.files import (
    lock_folder,
    replace_folder,
    write_atomically,
    write_folder_atomically,
    write_json,
    write_text,
)
from support.full_disk import full_disk


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def test_a_file_replaces_the_old_one_when_it_is_complete(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with write_atomically(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.suffix == ".txt"
    assert contents(tmp_path) == {"a.txt": "new"}
    write_json(tmp_path / "b.json", {"ü": 1})
    assert contents(tmp_path)["b.json"] == '{\n  "ü": 1\n}\n'


def test_an_error_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def interrupted():
        with write_atomically(path) as temporary:
            temporary.write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with (
        full_disk(10),
        pytest.raises(EarsError, match=r"a\.txt: cannot write: File too large; raise"),
    ):
        write_text(path, "n" * 100)
    assert contents(tmp_path) == {"a.txt": "old"}


def test_a_folder_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "parent" / "folder"
    with write_folder_atomically(path) as temporary:
        assert temporary.parent == path.parent
        (temporary / "sub").mkdir()
        write_text(temporary / "sub" / "a.txt", "new")
        assert not path.exists()
    assert contents(tmp_path) == {"parent/folder/sub/a.txt": "new"}


def test_only_empty_folders_are_replaced_without_force(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    with write_folder_atomically(path) as temporary:
        write_text(temporary / "a.txt", "1")
    with (
        pytest.raises(EarsError, match=r"folder: is not empty; .*--force"),
        write_folder_atomically(path),
    ):
        pytest.fail("refused before any work")
    with write_folder_atomically(path, force=True, marker="a.txt") as temporary:
        write_text(temporary / "b.txt", "2")
    assert contents(tmp_path) == {"folder/b.txt": "2"}
    with (
        pytest.raises(EarsError, match=r"has no a\.txt: it holds other files and is not replaced"),
        write_folder_atomically(path, force=True, marker="a.txt"),
    ):
        pytest.fail("refused before any work")
    with (
        pytest.raises(EarsError, match="is a file where a folder is needed"),
        write_folder_atomically(path / "b.txt", force=True),
    ):
        pytest.fail("refused before any work")
    assert contents(tmp_path) == {"folder/b.txt": "2"}


def test_a_folder_that_fills_up_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "folder"

    def overtaken():
        with write_folder_atomically(path) as temporary:
            write_text(temporary / "a.txt", "new")
            path.mkdir()
            write_text(path / "other.txt", "of another process")

    with pytest.raises(EarsError, match="is not empty"):
        overtaken()
    assert contents(tmp_path) == {"folder/other.txt": "of another process"}


def replace_and_fail(path, error, when):
    def fail():
        raise error

    finish = fail if when == "finish" else None
    with write_folder_atomically(path, force=True, finish=finish) as temporary:
        write_text(temporary / "a.txt", "new")
        if when == "write":
            fail()


@pytest.mark.parametrize("when", ["write", "finish"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("no space"), EarsError("bad")])
@pytest.mark.parametrize("existed", [True, False])
def test_an_error_keeps_the_old_folder(tmp_path, error, existed, when):
    path = tmp_path / "folder"
    if existed:
        path.mkdir()
        (path / "a.txt").write_text("old")
    before = contents(tmp_path)
    with pytest.raises(EarsError if isinstance(error, OSError) else type(error)):
        replace_and_fail(path, error, when)
    assert contents(tmp_path) == before
    assert [child.name for child in tmp_path.iterdir()] == (["folder"] if existed else [])


def test_errors_name_the_final_path(tmp_path):
    path = tmp_path / "folder"
    with pytest.raises(EarsError) as caught, write_folder_atomically(path) as temporary:
        raise EarsError("is bad", path=temporary / "a.txt", remedy="try again")
    assert str(caught.value) == f"{path / 'a.txt'}: is bad; try again"


def test_replacing_a_folder_that_is_gone_restores_the_old_one(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    (path / "a.txt").write_text("old")
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "gone", path)
    assert contents(tmp_path) == {"folder/a.txt": "old"}


def test_a_locked_folder_admits_no_other_process(tmp_path):
    code = (
        "import pathlib, sys; from mechanical_ears.files import lock_folder\n"
        "lock = lock_folder(pathlib.Path(sys.argv[1])); print('locked', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(EarsError, match="is in use by another process; wait until it ends"):
            lock_folder(tmp_path)
        process.kill()  # the lock ends with its process
        process.wait()
    lock = lock_folder(tmp_path)
    with pytest.raises(EarsError, match="is in use by another process"):
        lock_folder(tmp_path)
    lock.release()
    lock_folder(tmp_path).release()

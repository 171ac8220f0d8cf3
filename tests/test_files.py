import errno
import os
import pathlib
import stat
import subprocess
import sys

import numpy as np
import pytest

from kit import errors, files, locks

links = pytest.mark.skipif(os.name == "nt", reason="on Windows links need a privilege")


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "new folder" / "metrics.json"
    files.write_text(path, "old\n")
    with pytest.raises(ZeroDivisionError), files.replacing(path) as fresh:
        print(fresh.write_text("half") / 0)
    assert path.read_text() == "old\n"
    assert left(path.parent) == ["metrics.json"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_a_file_has_the_permissions_that_any_other_would_have(tmp_path):
    (tmp_path / "other").write_text("")
    files.write_text(tmp_path / "mine", "")
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


@links
@pytest.mark.parametrize("there", [True, False], ids=["a file", "a missing file"])
def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path, there):
    target, link = tmp_path / "elsewhere" / "kept.csv", tmp_path / "ledger.csv"
    target.parent.mkdir()
    if there:
        target.write_text("before")
    link.symlink_to(target)
    files.write_text(link, "after")
    assert link.is_symlink()
    assert target.read_text() == "after"
    assert not target.is_symlink()
    assert [path.name for path in target.parent.iterdir()] == ["kept.csv"]


@links
def test_a_loop_of_links_is_an_error_of_the_system(tmp_path):
    link = tmp_path / "x"
    link.symlink_to(link)
    with pytest.raises(OSError, match="x"):
        files.content(link, 10)


@pytest.mark.skipif(os.name == "nt", reason="Windows takes shorter paths")
@pytest.mark.parametrize("name", ["x" * 250 + ".csv", "ü" * 120 + ".csv", "x." + "y" * 250])
def test_names_as_long_as_the_file_system_takes_can_be_replaced(tmp_path, name):
    files.write_text(tmp_path / name, "text")
    assert os.listdir(tmp_path) == [name]


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither pipes nor devices among its files")
def test_pipes_devices_and_folders_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, pathlib.Path("/dev/zero")):
        with pytest.raises(OSError, match="not a file"):
            files.content(path, 10)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX only")
def test_pipes_and_devices_are_not_replaced(tmp_path):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        for write in (lambda path: files.write_text(path, "new"), files.check_writable):
            with pytest.raises(OSError, match="not a file") as error:
                write(path)
            assert error.value.filename == str(path)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


def test_a_file_is_read_up_to_its_limit(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    assert files.content(path, 10) == b"0123456789"
    with pytest.raises(OSError, match="more than 9 bytes"):
        files.content(path, 9)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit of a file's size")
@pytest.mark.parametrize("write", ["np.save(file, array)", "np.savez(file, array)", "file.write(array.data)"])
def test_what_does_not_fit_on_the_disk_is_named_with_its_reason(tmp_path, write):
    (tmp_path / "test.npz").write_text("old")
    program = f"""
import resource, numpy as np
from kit import files
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
array = np.zeros(10_000)
try:
    with files.replacing("test.npz") as fresh, fresh.open("wb") as file:
        {write}
except OSError as error:
    print(error.errno, error.filename)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert result.stdout.split() == [str(errno.EFBIG), "test.npz"]
    assert left(tmp_path) == ["test.npz"]
    assert (tmp_path / "test.npz").read_text() == "old"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_an_error_of_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError) as caught:
        files.write_text("metrics.json", "{}")
    assert caught.value.filename == "metrics.json"


def test_an_error_about_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, files.replacing(tmp_path / "one"):
        np.load(tmp_path / "two.npy")
    assert caught.value.filename == str(tmp_path / "two.npy")


def test_what_a_killed_process_left_is_swept_away(tmp_path):
    program = "import os; from kit import files\nwith files.replacing('a.npy') as fresh: os._exit(1)"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path)
    (tmp_path / "a.npy").write_text("whole")
    assert len(left(tmp_path)) == 2
    files.sweep(tmp_path)
    assert left(tmp_path) == ["a.npy"]


def test_one_process_at_a_time_holds_a_lock_and_its_death_frees_it(tmp_path):
    path = tmp_path / "folder" / "lock"
    program = f"from kit import locks\nwith locks.locked({str(path)!r}): print('held', flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(locks.Busy), locks.locked(path, wait=False):
        pass
    waited = []
    with locks.locked(path, waiting=lambda: (waited.append(True), holder.kill())):
        assert waited == [True]
    holder.communicate()


def test_whether_a_file_can_be_written_is_found_out_without_a_trace(tmp_path):
    (tmp_path / "file").write_text("old")
    for path in (tmp_path / "file", tmp_path / "new", tmp_path / "folder" / "more" / "new"):
        files.check_writable(path, 1000)
    assert left(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "old"
    with pytest.raises(FileExistsError) as caught:
        files.check_writable(tmp_path / "file" / "folder" / "new")
    assert errors.kind_of(caught.value) is errors.UserError


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        *((number, errors.UserError) for number in (errno.EROFS, errno.EACCES, errno.ENOTDIR, errno.ENAMETOOLONG)),
        *((number, errors.Failure) for number in (errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EFBIG, None)),
    ],
)
def test_a_place_that_cannot_be_used_is_the_users_and_a_full_disk_is_not(number, kind):
    assert errors.kind_of(OSError(number, "reason")) is kind


def test_what_no_encoding_holds_is_written_in_other_characters(tmp_path):
    files.write_text(tmp_path / "table.csv", "a\udcff,é,\ud800\n")
    assert (tmp_path / "table.csv").read_text(encoding="utf-8") == "a\\udcff,é,\\ud800\n"

import errno
import os
import stat
import subprocess
import sys

import numpy as np
import pytest

from kit import files, locks


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


def test_a_name_of_the_greatest_length_can_be_written(tmp_path):
    path = tmp_path / f"{'n' * 250}.csv"
    files.write_text(path, "text")
    assert path.read_text() == "text"


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

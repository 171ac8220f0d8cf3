"""Files that are replaced whole."""

import os
import stat

import pytest

from kit import files

links = pytest.mark.skipif(os.name == "nt", reason="on Windows links need a privilege")


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


@pytest.mark.parametrize("name", ["x" * 250 + ".csv", "ü" * 120 + ".csv", "x." + "y" * 250])
def test_names_as_long_as_the_file_system_takes_can_be_replaced(tmp_path, name):
    files.write_text(tmp_path / name, "text")
    assert os.listdir(tmp_path) == [name]


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither pipes nor devices among its files")
def test_pipes_devices_and_folders_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, files.pathlib.Path("/dev/zero")):
        with pytest.raises(OSError, match="not a file"):
            files.content(path, 10)


def test_a_file_is_read_up_to_its_limit(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    assert files.content(path, 10) == b"0123456789"
    with pytest.raises(OSError, match="more than 9 bytes"):
        files.content(path, 9)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_new_file_has_the_usual_permissions(tmp_path):
    files.write_text(tmp_path / "x", "text")
    (tmp_path / "usual").write_text("text")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == stat.S_IMODE((tmp_path / "usual").stat().st_mode)

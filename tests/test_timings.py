import subprocess
import sys

import pytest

from kit.timings import STATUS, Timings, peak_memory


def test_a_step_that_comes_again_adds_up_and_one_that_fails_does_not_count():
    timings = Timings()
    with timings.measure("train"):
        pass
    first = timings.taken["train"][0]
    with timings.measure("predict"):
        pass
    with timings.measure("train"):
        sum(range(100_000))
    with pytest.raises(ZeroDivisionError), timings.measure("fail"):
        raise ZeroDivisionError
    assert list(timings.taken) == ["train", "predict"]
    assert timings.taken["train"][0] > first


@pytest.mark.skipif(not (STATUS.exists() and "VmHWM" in STATUS.read_text()), reason="only where Linux counts it")
def test_peak_memory_is_of_this_program_alone_and_stays_after_it():
    large = bytearray(400_000_000)
    large[::4096] = b"1" * len(large[::4096])
    held = "held = bytearray(100_000_000); held[::4096] = b'1' * len(held[::4096])"
    program = f"from kit.timings import peak_memory as p; a = p(); {held}; b = p(); del held; print(a, b, p())"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    before, during, after = map(int, printed.split())
    assert peak_memory() > len(large)
    assert 1_000_000 < before < len(large) / 2
    assert during > before + 50_000_000
    assert after > during - 5_000_000  # Linux counts pages in batches


def test_peak_memory_without_linuxs_own_count(monkeypatch, tmp_path):
    pytest.importorskip("resource")
    monkeypatch.setattr("kit.timings.STATUS", tmp_path / "missing")
    held = bytearray(50_000_000)
    held[::4096] = b"1" * len(held[::4096])
    assert len(held) < peak_memory() < 1e12


def test_where_the_system_tells_no_memory_the_seconds_stand_alone(monkeypatch):
    monkeypatch.setattr("kit.timings.peak_memory", lambda: None)
    timings = Timings()
    with timings.measure("load"):
        pass
    assert str(timings) == "load:            0.0 s"

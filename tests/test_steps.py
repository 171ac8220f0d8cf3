import subprocess
import sys

import pytest

from kit.steps import Steps


def test_a_step_that_comes_again_adds_up_and_one_that_fails_does_not_count():
    steps = Steps()
    with steps.of("train"):
        pass
    first = steps.taken["train"][0]
    with steps.of("predict"):
        pass
    with steps.of("train"):
        sum(range(100_000))
    with pytest.raises(ZeroDivisionError), steps.of("fail"):
        raise ZeroDivisionError
    assert list(steps.taken) == ["train", "predict"]
    assert steps.taken["train"][0] > first


def test_peak_memory_is_of_this_process_and_never_falls():
    pytest.importorskip("resource")
    held = "held = bytearray(100_000_000); held[::4096] = b'1' * len(held[::4096])"
    program = f"from kit.steps import peak_memory as p; a = p(); {held}; b = p(); del held; print(a, b, p())"
    # In a process of its own: this one's peak may lie far above what it holds now.
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    before, during, after = map(int, printed.split())
    assert before > 10_000_000
    assert before + 50_000_000 < during <= after


def test_where_the_system_tells_no_memory_the_seconds_stand_alone(monkeypatch):
    monkeypatch.setattr("kit.steps.peak_memory", lambda: None)
    steps = Steps()
    with steps.of("load"):
        pass
    assert str(steps) == "load:            0.0 s"

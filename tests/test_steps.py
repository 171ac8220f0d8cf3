import pytest

from kit.steps import Steps, peak_memory


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
    before = peak_memory()
    held = bytearray(max(300_000_000 - before, 0) + 100_000_000)
    held[::4096] = b"1" * len(held[::4096])
    after = peak_memory()
    del held
    assert before + 50_000_000 < after <= peak_memory()


def test_where_the_system_tells_no_memory_the_seconds_stand_alone(monkeypatch):
    monkeypatch.setattr("kit.steps.peak_memory", lambda: None)
    steps = Steps()
    with steps.of("load"):
        pass
    assert str(steps) == "load:            0.0 s"

"""Training on Kaggle, against a stand-in for the kernels API that the unmodified client talks to."""

import functools
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
import zipfile

import bundles
import kaggle_stand_in as kaggle
import numpy as np
import pytest
import submit_scene
from kernels_stand_in import KernelsStandIn

import kit
from kit import evaluate, recipes, submit, tracking, train
from kit.command_line import DONE, FAILED, WRONG_INPUT
from kit.errors import UserError
from kit.kaggle_client import connection
from kit.recipes.recipe import Recipe
from kit.remote import __main__ as remote
from kit.remote import far_side, fetching, packing, record
from kit.tracking import schema

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has neither forks nor these signals")
NAME, C = "r", "digit-recognizer"
QUICK = ["--model", "fast_cnn", "--epochs", "2", "--batch-size", "16", "--precision", "float32", "--name", NAME]


payload = functools.cache(packing.payload)


@pytest.fixture
def stand_in(workplace, scratch_home, monkeypatch):
    with KernelsStandIn(workplace / "kaggle") as stand_in:
        stand_in.work = leaves()
        kaggle.lead(monkeypatch, stand_in, scratch_home)
        monkeypatch.setattr(connection, "RETRIES", submit_scene.QUICK)
        monkeypatch.setattr(packing, "payload", payload)
        yield stand_in
    assert not stand_in.escapes


def files_of_a_run(name: str = NAME, more: int = 0) -> dict[str, bytes]:
    """What a training of that name leaves, and `more` figures."""
    config = tracking.Config(
        kind="network", recipe=Recipe(),
        data=tracking.Data(competition=C, source="kaggle", folder="/kaggle/input", limit=0, fingerprint="0" * 64),
    )  # fmt: skip
    metrics = {
        "competition": C, "model": "fast_cnn", "source": "kaggle", "seen": [], "seed": 0, "split_seed": 0, "folds": 0,
        "held_out_share": 0.0, "validation_share": 0.1, "validation_accuracy": 0.99, "validation_log_loss": 0.02,
        "validation_images": 42, "fit_seconds": 1.0, "images_per_second": 1.0, "parameters": 1,
        "data_fingerprint": "0" * 64,
    }  # fmt: skip
    files = {"config.yaml": schema.yaml_text(config), "metrics.json": json.dumps(metrics)}
    files |= {f"figures/{number}.png": f"figure {number}" for number in range(more)}
    left = {f"runs/{C}/{name}/{path}": text.encode() for path, text in files.items()}
    return left | {f"submissions/{C}/{name}.csv": b"ImageId,Label\n1,0\n"}


def manifest(session: str, files: dict[str, bytes], state: str = "complete", **changes) -> bytes:
    sums = {name: {"size": len(text), "sha256": hashlib.sha256(text).hexdigest()} for name, text in files.items()}
    plain = {"status": 0, "lines": [], "notes": [], "hardware": "two T4s", "seconds": 1.0}
    return json.dumps({"session": session, "state": state, **plain, "files": sums, **changes}).encode()


def leaves(files: dict[str, bytes] | None = None, log: tuple[str, ...] = ("Epoch 1/2\n",), **changes):
    """A session that leaves a run, or these files, in place of training."""

    def work(session) -> None:
        there = files_of_a_run(session.settings["runs"][-1]) if files is None else files
        session.log = list(log)
        session.outputs = {**there, far_side.MANIFEST: manifest(session.settings["session"], there, **changes)}

    return work


def leaves_state(*names: str):
    """A session that stops in time."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        files = files_of_a_run()
        archive.writestr(f"runs/{C}/{NAME}/config.yaml", files[f"runs/{C}/{NAME}/config.yaml"])
        archive.writestr(f"runs/{C}/{NAME}/.working/state-0.npz", b"weights")
    return leaves({far_side.STATE: memory.getvalue()}, state="unfinished")


def push(*flags: str) -> int:
    return remote.main(["--name", NAME, "--model", "fast_cnn", *flags])


def run() -> tracking.Run:
    return tracking.place(C, NAME)


def is_here() -> bool:
    """Whether the whole run is here, and nothing of its fetching is left."""
    there = files_of_a_run()
    for name, content in there.items():
        path = pathlib.Path(name)
        if path.name != "config.yaml" and (not path.exists() or path.read_bytes() != content):
            return False
    left = [path.name for path in run().folder.iterdir() if path.name.startswith(".")]
    return run().state == "complete" and not left and record.read(run()).last.state == record.FETCHED


# --- the whole way


def test_trained_there_as_here(stand_in, monkeypatch, capsys):
    """Traps 7 and 13 too: the data are found without the internet; nothing but what Kaggle has installed is needed."""
    stand_in.work = None
    stand_in.data = bundles.digits(train=60, test=20)
    flags = [*QUICK, "--validation-share", "0.2", "--rotate", "10"]
    assert remote.main([*flags, "--accelerator", "none"]) == DONE, capsys.readouterr().err
    shown = capsys.readouterr()
    assert "running" in shown.out
    # The training's own lines, where this version of Kaggle's client gives them.
    assert "val_accuracy" in shown.out or "no live log" in shown.err
    assert shown.out.splitlines()[-1] == f"submission: {run().submission}"
    bundles.loose(pathlib.Path("data") / C, stand_in.data)
    assert train.main([*flags[:-2], "--rotate", "10", "--name", "here"]) == DONE
    here, there = tracking.place(C, "here"), run()
    assert np.array_equal(there.test(), here.test())
    assert np.array_equal(there.oof(), here.oof(), equal_nan=True)
    assert there.submission.read_bytes() == here.submission.read_bytes()
    assert {path.name for path in here.folder.iterdir()} == {path.name for path in there.folder.iterdir()} - {
        "remote.json"
    }
    assert there.config() == here.config()
    assert evaluate.main([NAME]) == DONE
    assert submit.main([NAME, "--yes"]) == DONE
    assert len(stand_in.submissions) == 1


def test_what_is_pushed(stand_in, monkeypatch):
    """Traps 1, 4, 6, 8, 9 and 10."""
    monkeypatch.setenv("KAGGLE_KEY_OF_MINE", kaggle.KEY)
    assert push() == DONE
    asked = stand_in.only.asked
    assert asked["machineShape"] == "NvidiaTeslaT4"
    assert asked["enableGpu"] is True
    assert asked["enableInternet"] is False
    assert asked["isPrivate"] is True
    assert asked["kernelType"] == "script"
    assert asked["competitionDataSources"] == [C]
    assert 0 < asked["sessionTimeoutSeconds"] <= 12 * 3600
    title = asked["newTitle"]
    assert 5 <= len(title) <= 50
    assert re.sub(r"[^a-z0-9]+", "-", title.lower()) == asked["slug"].partition("/")[2]
    assert len(asked["text"]) <= packing.LARGEST
    assert kaggle.TOKEN not in asked["text"]
    assert kaggle.USER not in asked["text"]


@pytest.mark.parametrize(("accelerator", "seconds"), [("tpu", 9 * 3600), ("none", 12 * 3600)])
def test_other_accelerators(stand_in, accelerator, seconds):
    assert push("--accelerator", accelerator) == DONE
    asked = stand_in.only.asked
    assert asked["sessionTimeoutSeconds"] == seconds
    assert asked.get("enableTpu", False) is (accelerator == "tpu")
    assert not asked.get("enableGpu")
    assert asked.get("machineShape") == ("TpuV5E8" if accelerator == "tpu" else None)


def test_the_version_is_asked_for(stand_in):
    """Trap 5: by the client's newest form, on every call about the session."""
    from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelSessionStatusRequest as Request

    if not hasattr(Request, "version_label"):
        pytest.skip("this version of the client asks for no version")
    assert push() == DONE
    for name in ("GetKernelSessionStatus", "ListKernelSessionOutput"):
        asked = [json.loads(request.body) for request in stand_in.named(name)]
        assert asked
        assert all(one.get("versionLabel") == "v1" for one in asked)


def test_data_folders_of_older_images(tmp_path):
    """Trap 7."""
    inputs = tmp_path / "input"
    (inputs / C).mkdir(parents=True)
    assert far_side.data_folder(inputs, C) == inputs
    (inputs / "competitions" / C).mkdir(parents=True)
    assert far_side.data_folder(inputs, C) == inputs / "competitions"


def test_what_the_machine_lacks_is_said(monkeypatch):
    """Traps 2 and 9: Kaggle switches a GPU or a TPU off without a word."""
    monkeypatch.setattr(far_side, "output", lambda command: "")
    assert "phone" in far_side.accelerator("t4x2")[2][0]
    assert "TPU" in far_side.accelerator("tpu")[2][0]
    assert far_side.accelerator("none")[2] == []
    two = "GPU 0: Tesla T4 (UUID: x)\nGPU 1: Tesla T4 (UUID: y)"
    monkeypatch.setattr(far_side, "output", lambda command: two if command[0] == "nvidia-smi" else "tpu")
    assert far_side.accelerator("t4x2") == ("GPU 0: Tesla T4, GPU 1: Tesla T4", None, [])
    assert far_side.accelerator("tpu") == ("a TPU", "jax", [])


def test_notes_of_the_far_side_are_shown(stand_in, capsys):
    stand_in.work = leaves(notes=["no GPU \x1b[2J"])
    assert push() == DONE
    assert "no GPU \\x1b" in capsys.readouterr().err


# --- refusals

REFUSALS = {
    "two sessions": ({"error": "Maximum batch GPU session count of 2 reached."}, "--status"),  # trap 3
    "phone": ({"error": "Phone verification is required"}, "phone"),
    "quota": ({"error": "You have used up your GPU quota"}, "--accelerator none"),
    "kernel source": ({"invalidKernelSources": ["x/y"]}, "x/y"),
    "too large": (kaggle.error(413, "Request Entity Too Large"), "too large"),
    "rules, 403": (kaggle.error(403, "You must accept this competition's rules"), "/rules"),
    "another": (kaggle.error(400, "Nope"), "Nope"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refused_push_leaves_nothing(stand_in, case, capsys):
    stand_in.refusal, remedy = REFUSALS[case]
    assert push() in (WRONG_INPUT, FAILED)
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note:")]
    assert len(lines) == 1
    assert remedy in lines[0]
    assert run().state == "absent"
    assert not run().folder.exists()
    assert len(stand_in.named("SaveKernel")) == 1
    stand_in.refusal = None
    assert push() == DONE


@pytest.mark.parametrize("known", [True, False])
def test_a_token_of_which_kaggle_does_not_say_whose_it_is(stand_in, known, monkeypatch, capsys):
    stand_in.fault("IntrospectToken", kaggle.answers(404))
    if known:
        monkeypatch.setenv("KAGGLE_USERNAME", kaggle.USER)
        assert push() == DONE
    else:
        assert push() == WRONG_INPUT
        assert "KAGGLE_USERNAME" in capsys.readouterr().err


def test_a_name_and_a_key_say_who_one_is(stand_in, monkeypatch):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    monkeypatch.setenv("KAGGLE_USERNAME", kaggle.USER)
    monkeypatch.setenv("KAGGLE_KEY", kaggle.KEY)
    assert push() == DONE
    assert stand_in.only.asked["slug"].startswith(f"{kaggle.USER}/")
    assert not stand_in.named("IntrospectToken")


def test_rules_not_accepted(stand_in, capsys):
    """Trap 14: they cannot be accepted by API."""
    stand_in.joined = set()
    assert push() == WRONG_INPUT
    assert f"competitions/{C}/rules" in capsys.readouterr().err
    assert not run().folder.exists()


def test_quota_used_up(stand_in, capsys):
    from kagglesdk.kernels.types import kernels_api_service as types

    if not hasattr(types, "ApiGetAcceleratorQuotaStatisticsRequest"):
        pytest.skip("this version of the client does not ask for the quota")
    stand_in.quota = (108000.0, 108000.0)
    assert push() == WRONG_INPUT
    assert "quota" in capsys.readouterr().err
    assert not stand_in.named("SaveKernel")
    stand_in.quota = (100000.0, 108000.0)
    assert push() == DONE
    assert stand_in.only.asked["sessionTimeoutSeconds"] == 8000
    assert capsys.readouterr().out.count("quota: 2.2 of 30 hours") == 2  # before and after


def test_too_large_a_script_is_not_sent(stand_in, monkeypatch, capsys):
    """Trap 4."""
    monkeypatch.setattr(packing, "LARGEST", 1000)
    assert push() == WRONG_INPUT
    assert "kit/ and configs/" in capsys.readouterr().err
    assert not stand_in.named("SaveKernel")
    assert run().state == "absent"


@pytest.mark.parametrize(
    "flags",
    [
        ["--teacher", "x"],
        ["--weights", "my.keras"],
        ["--source", "keras"],
        ["--model", "vgg16_transfer"],
        ["--epochs", "0"],
        ["--name", "../x"],
        ["--follow", "x", "--fetch", "x"],
        ["--follow", "x", "--epochs", "3"],
        ["--time-limit", "0"],
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_asked(stand_in, flags):
    assert remote.main(flags) == WRONG_INPUT
    assert not stand_in.requests


def test_a_name_in_use_is_refused(stand_in):
    submit_scene.leave_run(NAME)
    assert push() == WRONG_INPUT
    assert not stand_in.named("SaveKernel")


# --- lost answers


@pytest.mark.parametrize("fault", [kaggle.acts_and_drops, kaggle.acts_and_answers(502), kaggle.hangs(3, acts=True)])
def test_a_push_whose_answer_is_lost_is_found(stand_in, fault):
    stand_in.fault("SaveKernel", fault)
    assert push() == DONE
    assert stand_in.only
    assert is_here()


def test_a_push_that_did_not_arrive_is_repeated(stand_in):
    stand_in.fault("SaveKernel", kaggle.drops)
    assert push() == DONE
    assert stand_in.only
    assert len(stand_in.named("SaveKernel")) == 2


def test_a_push_that_may_still_arrive_is_not_repeated(stand_in, capsys):
    stand_in.fault("SaveKernel", kaggle.hangs(3))
    assert push() == FAILED
    assert "nothing is pushed twice" in capsys.readouterr().err
    assert run().state == "begun"
    assert record.read(run()).last.state == record.SENDING
    assert push() == DONE  # the same command finds out, and pushes
    assert stand_in.only


def test_the_record_is_there_before_anything_is_sent(stand_in, capsys):
    seen = []
    stand_in.fault("SaveKernel", kaggle.calls(lambda: seen.append((run().state, record.read(run()).last))))
    assert push() == DONE
    ((state, session),) = seen
    assert state == "begun"
    assert session.state == record.SENDING
    assert session.accelerator == "t4x2"
    assert session.slug == next(iter(stand_in.sessions))
    assert session.time


def test_a_run_on_kaggle_is_not_trained_here(stand_in, capsys):
    stand_in.fault("SaveKernel", kaggle.hangs(3))
    assert push() == FAILED
    assert train.main(["--resume", "--competition", C, "--name", NAME]) == WRONG_INPUT
    assert "kit.remote --follow" in capsys.readouterr().err
    data = tracking.Data(competition=C, source="sample", folder="data", limit=0, fingerprint="0" * 64)
    config = tracking.Config(kind="network", recipe=Recipe(), data=data)
    for existing in ("refuse", "resume", "restart"):
        with pytest.raises(UserError, match=r"kit.remote --follow"), run().begin(config, existing):
            raise AssertionError
    assert record.read(run())


# --- killed


def forked(action) -> int:
    """Do it in a process of its own, and return how it ended: the signal's number, negative, or its status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
    if not child:
        try:
            os._exit(action())
        finally:
            os._exit(99)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def killed_at(stand_in, call: str, after: bool = False, number: int = 0) -> None:
    """Let the command be killed while it waits for this call's answer."""

    def kill() -> None:
        os.kill(int(pathlib.Path("pid").read_text()), signal.SIGKILL)
        time.sleep(0.05)

    passes = [lambda handler, act: handler.reply(act())] * number
    stand_in.fault(call, *passes, kaggle.calls(kill, after=after))


def push_in_a_child(*flags: str) -> int:
    def action() -> int:
        pathlib.Path("pid").write_text(str(os.getpid()))
        return push(*flags)

    return forked(action)


CALLS_AT_WHICH_IT_DIES = {
    "before the push arrives": ("SaveKernel", False, 0),
    "after the push has arrived": ("SaveKernel", True, 0),
    "at the first status": ("GetKernelSessionStatus", False, 0),
    "at a later status": ("GetKernelSessionStatus", True, 1),
    "in the log": ("LogStream", True, 0),
    "at the list of files": ("ListKernelSessionOutput", True, 0),
    "at the manifest": ("GET", True, 0),
    "in the midst of the files": ("GET", False, 2),
}


@forks
@pytest.mark.parametrize("point", CALLS_AT_WHICH_IT_DIES)
def test_killed_while_it_waits_for_kaggle(stand_in, point):
    call, after, number = CALLS_AT_WHICH_IT_DIES[point]
    killed_at(stand_in, call, after, number)
    assert push_in_a_child() == -signal.SIGKILL
    assert run().state == "begun"
    again = push() if call == "SaveKernel" else remote.main(["--follow", NAME])
    assert again == DONE
    assert stand_in.only
    assert is_here()


@forks
@pytest.mark.parametrize(
    ("place", "name", "number"),
    [(record, "write", 1), (record, "write", 2), (fetching.os, "replace", 1), (fetching.os, "replace", 9),
     (fetching, "_place_config", 1), (fetching, "_settle", 1)],
)  # fmt: skip
def test_killed_between_two_steps_here(stand_in, place, name, number):
    def action() -> int:
        original, count = getattr(place, name), 0

        def dies(*arguments, **options):
            nonlocal count
            count += 1
            result = original(*arguments, **options)
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(place, name, dies)
        return push()

    assert forked(action) == -signal.SIGKILL
    if record.read(run()) is None or record.read(run()).last.state == record.SENDING:
        assert push() == DONE
    else:
        assert remote.main(["--follow", NAME]) == DONE
    assert stand_in.only
    assert is_here()


# --- following and fetching


@forks
def test_status_follow_and_fetch(stand_in, capsys):
    def work(session) -> None:
        leaves()(session)
        session.states = ["RUNNING"]

    stand_in.work = work
    stand_in.fault("GetKernelSessionStatus", kaggle.calls(lambda: os.kill(os.getpid(), signal.SIGINT)))
    assert push() == FAILED  # Ctrl-C
    assert f"--follow {NAME}" in capsys.readouterr().err
    assert remote.main(["--status"]) == DONE
    shown = capsys.readouterr().out
    assert f"{C}/{NAME}: running (t4x2" in shown
    assert push() == WRONG_INPUT  # not a second time
    assert remote.main(["--fetch", NAME]) == FAILED
    stand_in.only.states = ["COMPLETE"]
    assert remote.main(["--fetch", NAME]) == DONE
    assert is_here()
    assert stand_in.only
    assert remote.main(["--follow", NAME]) == DONE  # it is here already
    assert remote.main(["--follow", "nobody"]) == WRONG_INPUT


def test_forty_five_files_in_pages(stand_in):
    """Trap 11."""
    stand_in.work = leaves(files_of_a_run(more=45))
    assert push() == DONE
    assert len(list(run().figures.iterdir())) == 45
    assert len(stand_in.named("ListKernelSessionOutput")) == 3


@pytest.mark.parametrize(
    "fault", [kaggle.truncates(3), kaggle.web_page(), kaggle.web_page(500), kaggle.drops, kaggle.replies(b"wrong")]
)
@pytest.mark.parametrize("number", [0, 2])
def test_what_arrives_wrong_is_fetched_again(stand_in, fault, number):
    """Trap 11: also an error page with status 200; the manifest as well as a file."""
    stand_in.fault("GET", *[lambda handler, act: handler.reply(act())] * number, fault)
    assert push() == DONE
    assert is_here()


def test_what_stays_wrong_is_named_and_nothing_is_lost(stand_in, capsys):
    broken = f"submissions/{C}/{NAME}.csv"

    def work(session) -> None:
        leaves()(session)
        session.outputs[broken] = b"cut"

    stand_in.work = work
    assert push() == FAILED
    assert broken in capsys.readouterr().err
    assert run().state == "begun"
    stand_in.only.outputs[broken] = files_of_a_run()[broken]
    before = len(stand_in.named("GET"))
    assert remote.main(["--fetch", NAME]) == DONE
    assert is_here()
    assert len(stand_in.named("GET")) - before < len(files_of_a_run())  # what had arrived is not fetched again


@pytest.mark.parametrize("name", ["../x", f"runs/{C}/other/config.yaml", f"runs/{C}/{NAME}/../other/x", "/etc/x"])
def test_files_that_are_not_the_runs_are_refused(stand_in, name):
    stand_in.work = leaves({**files_of_a_run(), name: b"x"})
    assert push() == FAILED
    assert run().state == "begun"
    assert not (pathlib.Path("runs") / C / "other").exists()


def test_without_a_log_stream(stand_in, capsys):
    """Trap 12."""
    stand_in.logs = False
    assert push() == DONE
    assert "no live log" in capsys.readouterr().err


def test_an_older_client(stand_in, monkeypatch):
    """Trap 12: no log stream, no versions, no quota."""
    from kagglesdk.kernels.types import kernels_api_service as types

    from kit.kaggle_client import calls

    monkeypatch.setattr(calls, "has_log_stream", lambda client: False)
    monkeypatch.delattr(types, "ApiGetAcceleratorQuotaStatisticsRequest", raising=False)
    for name in ("ApiGetKernelSessionStatusRequest", "ApiListKernelSessionOutputRequest"):
        monkeypatch.delattr(getattr(types, name), "version_label", raising=False)
    assert push() == DONE
    assert is_here()


def test_an_old_versions_complete(stand_in, capsys):
    """Trap 5: what Kaggle lists is another session's until the right one has ended."""

    def work(session) -> None:
        leaves()(session)
        right = session.outputs
        session.states = ["COMPLETE"]
        session.outputs = {far_side.MANIFEST: manifest("0" * 16, {}), **files_of_a_run()}
        stand_in.fault(
            "ListKernelSessionOutput",
            lambda handler, act: handler.reply(act()),
            kaggle.calls(lambda: setattr(session, "outputs", right)),
        )

    stand_in.work = work
    assert push() == DONE
    assert is_here()
    assert stand_in.only


@pytest.mark.parametrize("state", ["ERROR", "CANCEL_ACKNOWLEDGED"])
def test_a_session_that_dies(stand_in, state, capsys):
    """Trap 15: it leaves nothing."""

    def work(session) -> None:
        session.states, session.message = ["RUNNING", state], "Your notebook tried to allocate more memory"

    stand_in.work = work
    assert push() == FAILED
    error = capsys.readouterr().err
    assert "died" in error
    assert state != "ERROR" or "more memory" in error
    assert record.read(run()).last.state == record.FAILED
    stand_in.work = leaves()
    assert push() == DONE  # the same command begins again
    assert is_here()


@pytest.mark.parametrize(("line", "status"), [("error: --x: no.", WRONG_INPUT), ("failed: it diverged.", FAILED)])
def test_what_the_training_itself_says(stand_in, line, status, capsys):
    stand_in.work = leaves({}, state="nothing", status=status, lines=["reading", line])
    assert push() == status
    assert line.partition(": ")[2] in capsys.readouterr().err


def test_a_network_that_fails_in_between(stand_in):
    stand_in.fault("GetKernelSessionStatus", *[kaggle.drops] * 7)
    assert push() == DONE
    assert stand_in.only


# --- longer than a session


def test_resume(stand_in, capsys):
    """Traps 15 and 16."""
    stand_in.work = leaves_state()
    assert push() == FAILED
    assert "--resume" in capsys.readouterr().err
    assert run().state == "begun"
    assert record.read(run()).last.state == record.PAUSED
    (first,) = stand_in.sessions
    stand_in.work = leaves()
    assert push() == WRONG_INPUT
    assert remote.main(["--resume"]) == DONE
    second = next(one for slug, (one,) in stand_in.sessions.items() if slug != first)
    assert second.asked["kernelDataSources"] == [f"{kaggle.USER}/{first}"]
    assert second.settings["state"]["kernel"] == f"{kaggle.USER}/{first}"
    assert second.settings["arguments"][0] == "--resume"
    assert is_here()
    assert remote.main(["--resume", "--name", NAME]) == WRONG_INPUT


def test_a_state_comes_here_when_asked_for(stand_in):
    stand_in.work = leaves_state()
    assert push() == FAILED
    assert remote.main(["--fetch", NAME]) == FAILED
    assert (run().working / "state-0.npz").read_bytes() == b"weights"
    assert run().state == "begun"
    assert run().config().data.folder == os.path.abspath("data")
    stand_in.work = leaves()
    assert remote.main(["--resume", "--name", NAME]) == DONE
    assert is_here()


def test_the_state_of_an_earlier_session_is_unpacked(tmp_path):
    """Trap 16, and an older image's place."""
    for number, place in enumerate(("notebooks/o/s", "s", "x/y/s")):
        inputs, working = tmp_path / f"{number}" / "input", tmp_path / f"{number}" / "working"
        (inputs / place).mkdir(parents=True)
        with zipfile.ZipFile(inputs / place / far_side.STATE, "w") as archive:
            archive.writestr("runs/a", "1")
        sha256 = far_side.checksum(inputs / place / far_side.STATE)["sha256"]
        far_side.restore({"kernel": "o/s", "sha256": sha256}, inputs, working)
        assert (working / "runs" / "a").read_text() == "1"
        with pytest.raises(SystemExit):
            far_side.restore({"kernel": "o/s", "sha256": "0" * 64}, inputs, working)


@forks
def test_the_far_side_ends_well_whatever_happens(tmp_path):
    """Trap 15: a training that hangs, or is killed, leaves its state and status 0."""
    hangs = [sys.executable, "-uc", "import time; print('epoch'); time.sleep(60)"]
    began = time.monotonic()
    status, lines = far_side.train(hangs, tmp_path, tmp_path, None, 1.0)
    assert (status, lines) == (-signal.SIGKILL, ["epoch"])
    assert time.monotonic() - began < 30
    own = tmp_path / "runs" / C / NAME
    (own / ".working").mkdir(parents=True)
    (own / "config.yaml").write_text("x")
    (own / ".working" / "state-0.npz").write_bytes(b"w")
    assert far_side.collect(tmp_path, C, [NAME]) == ("unfinished", [tmp_path / far_side.STATE])
    assert not own.exists()
    with zipfile.ZipFile(tmp_path / far_side.STATE) as archive:
        assert f"runs/{C}/{NAME}/.working/state-0.npz" in archive.namelist()


def test_a_training_stops_after_a_whole_epoch_in_time():
    from types import SimpleNamespace

    from kit.training.time_limit import StopInTime, TimeIsUp

    def callback(seconds: float) -> StopInTime:
        stops = StopInTime(time.monotonic() + seconds)
        stops.set_params({"epochs": 2})
        stops.set_model(SimpleNamespace(stop_training=False))
        return stops

    ample, short, over = callback(1000), callback(1000), callback(-1)
    for epoch in range(2):
        ample.on_epoch_begin(epoch)
        ample.on_epoch_end(epoch)
    short.on_epoch_begin(0)
    short.began -= 900  # the next epoch would take as long
    with pytest.raises(TimeIsUp):
        short.on_epoch_end(0)
    with pytest.raises(TimeIsUp):
        over.on_epoch_begin(0)
    over.on_epoch_end(1)  # the last one is done: only predicting is left


@pytest.mark.slow
def test_a_training_in_two_sessions_equals_an_unbroken_one(stand_in, monkeypatch, capsys):
    stand_in.work = None
    stand_in.data = bundles.digits(train=60, test=20)
    flags = [*QUICK, "--validation-share", "0.2", "--accelerator", "none"]
    # A copy of the kit for which the time is always up after an epoch, and never before one.
    package = pathlib.Path("copy") / "kit"
    shutil.copytree(pathlib.Path(kit.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    path = package / "training" / "time_limit.py"
    text = path.read_text(encoding="utf-8").replace("+ RESERVE * self.longest", "+ 1e9 * self.longest")
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(packing, "payload", payload.__wrapped__)
    monkeypatch.setattr(kit, "__file__", str((package / "__init__.py").absolute()))
    assert remote.main(flags) == FAILED
    assert record.read(run()).last.state == record.PAUSED
    assert "after epoch 1" in capsys.readouterr().out
    assert remote.main(["--resume", "--name", NAME]) == DONE
    assert "after" not in capsys.readouterr().out.partition("fast_cnn: ")[0]
    bundles.loose(pathlib.Path("data") / C, stand_in.data)
    assert train.main([*flags[:-2], "--name", "here"]) == DONE
    assert np.array_equal(run().test(), tracking.place(C, "here").test())


# --- the payload


def test_the_payload_is_the_kit_as_it_is_here(tmp_path):
    """It trains whatever the plan, its members' names and its recipes are."""
    import base64
    import tarfile

    content = base64.b64decode(packing.payload("model: fast_cnn\n"))
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        names = set(archive.getnames())
        archive.extractall(tmp_path, filter="data")
    root = pathlib.Path(packing.__file__).parents[2]
    there = {path.relative_to(root).as_posix() for path in (root / "kit").rglob("*.py")}
    assert there <= names
    assert f"configs/{C}/fast.yaml" in names
    done = subprocess.run(
        [sys.executable, "-c", "import kit.recipes as r; print(r.__file__, r.names('digit-recognizer'))"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert str(tmp_path) in done.stdout
    assert "fast" in done.stdout


def test_a_plan_travels_whole(stand_in):
    names = [f"{NAME}-0", f"{NAME}-1", NAME]
    files = {name: content for one in names for name, content in files_of_a_run(one).items()}
    stand_in.work = leaves(files)
    assert push("--seeds", "2", "--epochs", "3") == DONE
    assert stand_in.only.settings["runs"] == names
    assert all(tracking.place(C, name).state == "complete" for name in names)
    asked = recipes.plan.resolve(C, None, {"model": "fast_cnn", "epochs": 3}, 2)
    path = pathlib.Path("recipe.yaml")
    path.write_text(record.read(run()).recipe, encoding="utf-8")
    assert recipes.plan.resolve(C, path, {}, None) == asked


def test_a_notebook_does_the_same(stand_in, capsys):
    assert push("--notebook", "kernel.ipynb", "--source", "sample") == DONE
    cells = json.loads(pathlib.Path("kernel.ipynb").read_text())["cells"]
    compile(cells[1]["source"], "kernel.ipynb", "exec")
    assert not stand_in.requests
    assert run().state == "absent"


def test_a_notebooks_submission_lies_where_kaggle_looks(tmp_path, monkeypatch):
    """The cell's code, with a training that only writes its files."""
    root = tmp_path / "kaggle"
    (root / "working").mkdir(parents=True)
    monkeypatch.chdir(root / "working")

    def train(command, code, working, backend, seconds):
        for name, content in files_of_a_run().items():
            (working / name).parent.mkdir(parents=True, exist_ok=True)
            (working / name).write_bytes(content)
        return 0, []

    monkeypatch.setattr(far_side, "train", train)
    told = {
        "session": "notebook", "seconds": 100, "accelerator": "none", "competition": C, "runs": [NAME],
        "arguments": [], "state": None, "notebook": True,
    }  # fmt: skip
    far_side.main(told, packing.payload(""))
    assert pathlib.Path("submission.csv").read_bytes() == files_of_a_run()[f"submissions/{C}/{NAME}.csv"]
    left = json.loads(pathlib.Path(far_side.MANIFEST).read_text())
    assert left["state"] == "complete"
    assert set(left["files"]) == set(files_of_a_run())
    shutil.rmtree(root)

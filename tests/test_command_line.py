"""What all commands share: flags, exit statuses, streams of every kind, Ctrl-C, and a quiet backend."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.command_line import DONE, FAILED, WRONG_INPUT, Parser, command
from kit.errors import Failure, UserError, printable
from kit.log_filter import Filter

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")


def parser():
    made = Parser("kit.demo", "Show what is there.", [("python -m kit.demo --epochs 2", "a quick try")])
    data = made.add_argument_group("data")
    data.add_argument("--epochs", type=int, default=3, metavar="N", help="passes over the images")
    data.add_argument("--learning-rate", type=float, metavar="X", help="of the optimizer")
    data.add_argument("--source", choices=["auto", "keras"], default="auto", help="where the images come from")
    made.add_argument("run", metavar="RUN", help="a run")
    return made


@command
def demo(argv=None):
    print(parser().parse_args(argv).epochs)
    return DONE


# --- flags


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--epoch", "3"], ["--epoch", "--epochs"]),
        (["-epochs", "3"], ["--epochs"]),
        (["mine", "--learning_rate=2"], ["--learning_rate", "--learning-rate"]),
        (["mine", "--epochs", "many"], ["--epochs", "many"]),
        (["mine", "--epochs"], ["--epochs"]),
        (["mine", "--source", "kears"], ["--source", "kears", "keras"]),
        (["mine", "more"], ["more"]),
        ([], ["RUN"]),
    ],
)
def test_a_wrong_flag_is_one_line_that_names_it_and_the_right_one(capsys, flags, named):
    assert demo(flags) == WRONG_INPUT
    printed = capsys.readouterr()
    assert not printed.out
    assert len(printed.err.splitlines()) == 1
    assert all(name in printed.err for name in named)


@pytest.mark.parametrize("flags", [["mine"], ["mine", "--epochs=4"], ["--epochs", "-4", "mine"], ["--", "--epoch"]])
def test_right_flags_are_taken(capsys, flags):
    assert demo(flags) == DONE
    assert capsys.readouterr().out.strip() in ("3", "4", "-4")


def test_help_shows_groups_defaults_and_examples(capsys):
    assert demo(["--help"]) == DONE
    shown = capsys.readouterr().out
    assert "default: 3" in shown
    assert "default: None" not in shown
    assert shown.index("data:") < shown.index("--epochs N  ") < shown.index("examples:")
    assert shown.rstrip().endswith("a quick try")


# --- how a command ends


@pytest.mark.parametrize(
    ("raised", "status", "named"),
    [
        (UserError("no\nsuch \x1b[2Jrun"), WRONG_INPUT, ["no such \\x1b[2Jrun"]),
        (Failure("the network is down"), FAILED, ["the network is down"]),
        (OSError(errno.ENOSPC, "No space left on device", "runs/a/test.npy"), FAILED, ["runs/a/test.npy", "space"]),
        (PermissionError(errno.EACCES, "Permission denied", "runs"), WRONG_INPUT, ["runs", "Permission denied"]),
        (OSError(errno.ELOOP, "Too many levels of symbolic links", b"\xff.csv"), WRONG_INPUT, [".csv"]),
        (MemoryError("3 GB for an array"), FAILED, ["memory", "3 GB", "--batch-size"]),
        (KeyboardInterrupt(), FAILED, ["stopped"]),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_status(capsys, raised, status, named):
    @command
    def main(argv=None):
        raise raised

    assert main([]) == status
    line = capsys.readouterr().err
    assert len(line.splitlines()) == 1
    assert all(name in line for name in named)


def test_a_mistake_of_the_kits_keeps_its_traceback():
    @command
    def main(argv=None):
        return 1 / 0

    with pytest.raises(ZeroDivisionError):
        main([])


@given(st.text())
def test_text_from_elsewhere_is_one_line_without_control_characters(text):
    shown = printable(f"before{text}after")
    assert shown.encode()
    assert shown.startswith("before")
    assert shown.endswith("after")
    assert len(shown.splitlines()) == 1
    assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 or 0x202A <= ord(char) <= 0x202E for char in shown)


# --- streams, of a real process

PROGRAM = """
import sys
from kit.command_line import command
from kit.errors import UserError

@command
def main(argv=None):
    print("accuracy 99.5 ± 0.1 % … 28×28 é 数 \\udcff")
    if argv == ["fail"]:
        raise UserError("± é 数 \\udcff")
    for _ in range(int(argv[0])):
        print("line")
    return 0

raise SystemExit(main(sys.argv[1:]))
"""


def run(*arguments, shell="", **environment):
    call = subprocess.list2cmdline([sys.executable, "-c", PROGRAM, *arguments])
    if shell:
        call = shell.format(f"{sys.executable} -c '{PROGRAM}' {' '.join(arguments)}")
    return subprocess.run(
        call if shell else [sys.executable, "-c", PROGRAM, *arguments],
        shell=bool(shell), capture_output=True, timeout=60, executable="/bin/bash" if shell else None,
        env={**os.environ, "PYTHONUNBUFFERED": "", **environment},
    )  # fmt: skip


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "utf-8"])
def test_what_the_encoding_lacks_is_written_otherwise(encoding):
    done = run("0", PYTHONIOENCODING=encoding)
    assert done.returncode == DONE, done.stderr
    assert "accuracy 99.5" in done.stdout.decode(encoding)
    assert encoding != "ascii" or b"+/- 0.1 % ... 28x28 e ?" in done.stdout
    failed = run("fail", PYTHONIOENCODING=encoding)
    assert failed.returncode == WRONG_INPUT
    assert failed.stderr.startswith(b"error: ")
    assert len(failed.stderr.splitlines()) == 1


@posix
@pytest.mark.parametrize(
    ("shell", "arguments", "status", "errors"),
    [
        ("{} >&-", "3", DONE, 0),
        ("{} 2>&-", "3", DONE, 0),
        ("{} 2>&-", "fail", WRONG_INPUT, 0),
        ("{} <&- >&- 2>&-", "fail", WRONG_INPUT, 0),
        ("{} | head -n 1; exit ${{PIPESTATUS[0]}}", "100000", FAILED, 0),
        ("{} | exec true; exit ${{PIPESTATUS[0]}}", "100000", FAILED, 0),
        ("{} 2>&1 | exec true; exit ${{PIPESTATUS[0]}}", "fail", None, 0),
        pytest.param(
            "{} >/dev/full", "3", FAILED, 1, marks=pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux")
        ),
    ],
)
def test_streams_that_are_closed_full_or_not_read(shell, arguments, status, errors):
    done = run(arguments, shell=shell)
    assert done.returncode == status or status is None
    assert len(done.stderr.splitlines()) == errors, done.stderr
    assert b"Traceback" not in done.stdout + done.stderr


@posix
def test_a_file_does_not_get_the_number_of_a_closed_stream(tmp_path):
    program = (
        "import os; from kit.command_line import command\n"
        "@command\n"
        "def main(argv=None):\n"
        "    with open('data.csv', 'w') as file:\n"
        "        os.write(1, b'noise'); os.write(2, b'noise'); file.write('data')\n"
        "    return 0\n"
        "raise SystemExit(main([]))"
    )
    done = subprocess.run(f'{sys.executable} -c "{program}" >&- 2>&-', shell=True, cwd=tmp_path, timeout=60)
    assert done.returncode == DONE
    assert (tmp_path / "data.csv").read_text() == "data"


@posix
@pytest.mark.parametrize("module", ["signal", "keras"])
def test_a_command_that_nobody_reads_ends_at_once_while_it_works_and_while_it_imports(tmp_path, module):
    (tmp_path / "keras.py").write_text("import time\nwhile True: time.sleep(0.01)")
    program = (
        "from kit import interrupts; interrupts.listen()\n"
        "from kit.command_line import command\n"
        "@command\n"
        "def main(argv=None):\n"
        "    print('first', flush=True)\n"
        f"    import {module}, time\n"
        "    while True: time.sleep(0.01)\n"
        "raise SystemExit(main([]))"
    )
    path = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    done = subprocess.run(
        [f'{sys.executable} -c "{program}" | head -n 1; exit ${{PIPESTATUS[0]}}'], shell=True, capture_output=True,
        executable="/bin/bash", timeout=60, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (FAILED, b"first\n", b"")


@posix
@pytest.mark.parametrize("call", ["kit", "kit.runs", "kit.train --help", "kit.zoo"])
def test_a_current_folder_that_is_gone_is_one_line(tmp_path, call):
    (tmp_path / "gone").mkdir()
    shell = f"rmdir ../gone; exec {sys.executable} -m {call}"
    done = subprocess.run(shell, shell=True, capture_output=True, cwd=tmp_path / "gone", timeout=60)
    assert done.returncode == WRONG_INPUT
    assert len(done.stderr.splitlines()) == 1


# --- python -m kit


def kit(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=60, **options
    )  # fmt: skip


def test_python_m_kit_lists_the_commands_in_order_of_use_and_runs_them():
    listed = kit("kit")
    assert listed.returncode == DONE
    verbs = [line.split()[2] for line in listed.stdout.splitlines() if line.startswith("  python -m kit.")]
    assert verbs[:3] == ["kit.new", "kit.download", "kit.train"]
    assert len(verbs) == len(set(verbs)) > 6
    assert kit("kit", "download", "--help").stdout == kit("kit.download", "--help").stdout
    assert kit("kit", "--version").stdout.split()[0] == "kit"


@pytest.mark.parametrize("arguments", [["kit", "trian"], ["kit", "evaluate", "--dat-dir", "x"], ["kit", "train", "x"]])
def test_what_is_misspelt_ends_with_status_2_and_one_line(arguments):
    done = kit(*arguments)
    assert done.returncode == WRONG_INPUT
    assert len(done.stderr.splitlines()) == 1


@posix
def test_help_comes_at_once():
    """Within half a second here; counted in the processor's seconds, which a busy machine does not change."""
    import resource

    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert kit("kit.train", "--help").returncode == DONE
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 1


# --- Ctrl-C while modules are imported


@posix
@pytest.mark.parametrize("module", ["pydantic", "keras"])
@pytest.mark.parametrize("caught", [False, True])
def test_ctrl_c_during_an_import_is_a_quiet_stop(tmp_path, module, caught):
    """Pydantic is imported before a command's `main` begins, Keras within it; libraries may catch what is raised."""
    (tmp_path / f"{module}.py").write_text(
        "import os, signal\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        f"except {'BaseException' if caught else 'ImportError'}:\n"
        "    pass\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    done = kit("kit.train", "--source", "sample", env={**os.environ, "PYTHONPATH": path}, cwd=tmp_path)
    assert done.returncode == FAILED
    assert done.stderr.splitlines()[-1] == "stopped."
    assert "Traceback" not in done.stderr


@posix
def test_programs_that_import_the_kit_keep_their_ctrl_c():
    program = (
        "import os, signal, kit, kit.command_line\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "except KeyboardInterrupt:\n"
        "    print('theirs')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == "theirs\n"


# --- TensorFlow's log

LOG = [
    b"2026-11-24 17:49:57.404265: E external/local_xla/xla/cuda_platform.cc:51] failed call to cuInit: INTERNAL\n",
    b"I0000 00:00:1795542989.031032   13428 port.cc:153] oneDNN custom operations are on.\n",
    b"W1114 09:32:22.280168 13509 tpu_hal.cc:448] Registered plugin\n",
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n",
]
CONTINUATION = b"\t [[{{node IteratorGetNext}}]]\n"
OTHER = st.binary(max_size=300).map(lambda line: b"x" + line.translate(None, b"\n\r") + b"\n")


@given(st.lists(st.one_of(st.sampled_from([*LOG, CONTINUATION]), OTHER)), st.lists(st.integers(1, 90)))
def test_the_filter_takes_the_log_out_however_it_is_cut_and_nothing_else(lines, sizes):
    data, kept, dropping = b"".join(lines), b"", False
    for line in lines:
        dropping = line in LOG if line != CONTINUATION else dropping
        kept += b"" if dropping else line
    shown, screen, start = b"", Filter(), 0
    for size in [*sizes, len(data)]:
        shown += screen.feed(data[start : start + size])
        start += size
    assert shown + screen.settle() == kept


NOISY = """
import os, sys
os.write(2, b"2026-11-24 17:49:57.404265: E external/cuda.cc:51] failed call to cuInit\\n")
"""

QUIET = """
import atexit, os, sys
atexit.register(os.write, 2, b"2026-11-24 20:11:20.053675: W generator.cc:110] as it ends\\n")
from kit.backend import start_keras
start_keras()
os.write(2, b"I0000 00:00:1795542989.031032   13428 port.cc:153] while it trains\\n")
os.write(2, b"a library's own words\\n")
print("progress", end="\\r", file=sys.stderr, flush=True)
os.write(2, b"free(): invalid pointer\\n")
if sys.argv[1:] == ["crash"]:
    os.abort()
if sys.argv[1:] == ["fork"]:
    pid = os.fork()
    os.write(2, b"E0000 00:00:1795542989.031032   13428 fork.cc:153] a child\\n")
    if pid:
        os.waitpid(pid, 0)
if sys.argv[1:] == ["raise"]:
    raise ValueError("a mistake")
"""


@posix
@pytest.mark.parametrize("end", ["", "fork", "raise", "crash"])
def test_the_log_stays_off_the_screen_and_last_words_do_not(tmp_path, end):
    (tmp_path / "keras.py").write_text(NOISY)
    path = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, "-c", QUIET, *([end] if end else [])],
        capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == {"raise": 1, "crash": -signal.SIGABRT}.get(end, 0)
    shown = done.stderr.splitlines()
    assert {"a library's own words", "free(): invalid pointer", "progress"} <= set(shown)
    assert not any("cc:" in line for line in shown)
    assert ("ValueError: a mistake" in shown) == (end == "raise")


@posix
def test_a_command_that_is_killed_takes_the_filter_with_it(tmp_path):
    (tmp_path / "keras.py").write_text("")
    path = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    program = "from kit.backend import start_keras; start_keras(); print('ready', flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert process.stdout.readline() == b"ready\n"
    process.kill()
    started = time.monotonic()
    process.communicate(timeout=30)  # ends when the last process that could write is gone
    assert time.monotonic() - started < 10


@pytest.mark.slow
@pytest.mark.parametrize("devices", ["auto", "2"])
def test_a_training_shows_no_line_of_tensorflows_log(workplace, devices):
    flags = ["--source", "sample", "--model", "lenet_small", "--epochs", "1", "--limit", "300", "--devices", devices]
    done = kit("kit.train", *flags, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"})
    assert done.returncode == DONE, done.stderr
    assert done.stderr == ""


@posix
def test_libraries_say_nothing_of_their_own_to_a_user_without_a_home(tmp_path):
    program = (
        "from kit.command_line import command\n@command\ndef main(argv):\n import matplotlib.figure\n return 0\nmain()"
    )
    without_home = {**os.environ, "HOME": "/dev/null", "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)}
    for name in ("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        without_home.pop(name, None)
    done = subprocess.run([sys.executable, "-c", program], env=without_home, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""

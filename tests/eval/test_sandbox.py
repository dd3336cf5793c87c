"""Programs that want to pass without the right answer, or to get out: all fail, and nothing of them is left."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from corpus.sources.benchmarks import BENCHMARKS
from eval import isolation, sandbox
from eval.sandbox import available, judge, judge_many, names_asked
from eval.syscall_filter import REFUSED, syscall_filter
from workbench.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
REASON = available()
needs_sandbox = pytest.mark.skipif(REASON is not None, reason=f"no sandbox here: {REASON}")
TESTS = "assert square(3) == 9\nassert square(-4) == 16"
GOOD = "def square(x):\n    return x * x\n"
WRONG = "def square(x):\n    return x + x\n"
C = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"


@pytest.fixture
def marked(monkeypatch):
    """A mark on the command line of everything that runs in the sandbox, so that what is left can be found."""
    mark = f"/judge-{secrets.token_hex(8)}"
    monkeypatch.setattr(isolation, "_HOME", mark)
    isolation._walls.cache_clear()
    yield mark.encode()
    isolation._walls.cache_clear()


def left_over(mark):
    """Return the command lines with the mark, after the kernel has had a moment to end them."""
    for _ in range(40):
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                line = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if mark in line:
                found.append(line)
        if not found:
            return []
        time.sleep(0.05)
    return found


# name → (program, how it may end)
HOSTILE = {
    "fork bomb": ("import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass", {"timeout", "exit"}),
    "thread bomb": ("import threading, time\nwhile True:\n    threading.Thread(target=time.sleep, args=(9,)).start()", {"error"}),
    "memory bomb": ("x = []\nwhile True:\n    x.append(bytearray(1 << 28))", {"memory"}),
    "one allocation": ("x = bytearray(8 << 30)", {"memory"}),
    "shared memory": (C + "def square(x): return libc.shmget(0, 1 << 20, 0o1600)", {"failed"}),
    "memory file": ("import os\nos.memfd_create('x')", {"error"}),
    "disk bomb": ("for i in range(99):\n    open(f'/tmp/{i}', 'wb').write(b'x' * (1 << 24))", {"error"}),
    "network": ("import socket\nsocket.create_connection(('1.1.1.1', 53), 1)", {"error"}),
    "name server": ("import socket\nsocket.getaddrinfo('example.org', 80)", {"error"}),
    "writing outside": ("open('/x', 'w')", {"error"}),
    "writing over the harness": (f"import eval.inside.tests as t\nopen(t.__file__, 'w')", {"error"}),  # noqa: F541
    "reading passwd": ("open('/etc/passwd').read()", {"error"}),
    "reading the project": (f"open({str(ROOT / 'pyproject.toml')!r}).read()", {"error"}),
    "reading processes": ("import os\nos.listdir('/proc')", {"error"}),
    "reading memory of the tests": (C + "def square(x): return libc.ptrace(16, os.getppid(), 0, 0)", {"failed"}),
    "new namespace": (C + "def square(x): return libc.unshare(0x10000000)", {"failed"}),
    "becoming root": ("import os\nos.setuid(0)\nos.setgroups([0])", {"error"}),
    "killing its parents": (
        "import os\nfor pid in (os.getppid(), 1, -1):\n    try:\n        os.kill(pid, 9)\n    except OSError:\n        pass",
        {"error", "exit"},
    ),
    "stopping its parent": ("import os\nos.kill(os.getppid(), 19)", {"error", "timeout"}),
    "printing a pass": ("print('passed')\nimport os\nos._exit(0)", {"exit"}),
    "writing a pass everywhere": (
        "import os\nfor fd in range(64):\n    try:\n        os.write(fd, b'passed\\n' * 9)\n    except OSError:\n        pass",
        {"exit"},
    ),
    "os._exit(0)": ("import os\nos._exit(0)", {"exit"}),
    "os._exit(0) when called": ("import os\ndef square(x): os._exit(0)", {"exit"}),
    "sys.exit(0)": ("import sys\nsys.exit(0)", {"exit"}),
    "sys.exit(0) when called": ("import sys\ndef square(x): sys.exit(0)", {"exit"}),
    "a clean exit later": (WRONG + "import atexit, os\natexit.register(os._exit, 0)", {"failed"}),
    "infinite output": ("while True:\n    print('x' * 100_000)", {"timeout"}),
    "infinite loop": ("while True:\n    pass", {"timeout"}),
    "infinite loop when called": ("def square(x):\n    while True:\n        pass", {"timeout"}),
    "sleeping": ("import time\ntime.sleep(60)", {"timeout"}),
    "not to be interrupted": ("import signal\nfor s in range(1, 65):\n    try:\n        signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError):\n        pass\nwhile True:\n    pass", {"timeout", "exit"}),
    "infinite answer": ("def square(x):\n    while True:\n        yield x", {"failed"}),
    "huge answer": ("def square(x): return 'x' * (100 << 20)", {"exit"}),
    "deep answer": ("def square(x):\n    for _ in range(10_000):\n        x = [x]\n    return x", {"error"}),
    "an answer that holds itself": ("def square(x):\n    x = []\n    x.append(x)\n    return x", {"error"}),
    "equal to everything": ("class E:\n    def __eq__(self, other): return True\ndef square(x): return E()", {"failed"}),
    "a number equal to everything": ("class E(int):\n    def __eq__(self, other): return True\ndef square(x): return E(5)", {"failed"}),
    "assertions that do not fail": (WRONG + "import builtins\nbuiltins.AssertionError = StopIteration", {"failed"}),
    "other built-ins": (WRONG + "import builtins\nbuiltins.__import__ = builtins.exec = builtins.compile = lambda *a, **k: None", {"failed"}),
    "tracing": (WRONG + "import sys\nsys.settrace(lambda *a: None)\nsys.excepthook = lambda *a: None", {"failed"}),
    "looking for the tests": (
        "import gc, sys\n"
        "found = [o for o in gc.get_objects() if isinstance(o, (str, list)) and 'square(3) == 9' in repr(o)]\n"
        "frame = sys._getframe()\nwhile frame:\n    found += [v for v in frame.f_locals.values() if isinstance(v, str) and 'square(' + '3)' in v]\n    frame = frame.f_back\n"
        "def square(x): return 9 if len(found) > 2 else -1",
        {"failed"},
    ),
    "speaking the protocol": (
        "import eval.inside.wire as w\n"
        "say = w.Encoder(int)(['value', True, {}])\n"
        "for fd in range(3, 64):\n    try:\n        w.send(fd, say)\n    except OSError:\n        pass\n" + WRONG,
        {"failed", "error"},
    ),
    "no Python": ("def square(x:\n", {"error"}),
    "nothing": ("", {"error"}),
}  # fmt: skip


@needs_sandbox
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_fails_and_leaves_nothing(name, marked, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    program, ends = HOSTILE[name]
    found = judge(program, TESTS, seconds=0.5 if "timeout" in ends else 3)
    assert not found.passed
    assert found.end in ends, found
    assert "\n" not in found.detail
    assert left_over(marked) == []
    assert list(tmp_path.iterdir()) == []


@needs_sandbox
def test_what_is_right_passes_and_what_is_wrong_is_told(marked):
    assert judge(GOOD, TESTS) == sandbox.Verdict(passed=True, end="passed", detail="")
    assert left_over(marked) == []
    found = judge(WRONG, TESTS)
    assert (found.end, found.detail) == ("failed", "assert square(3) == 9")
    raised = judge("class Bad(ValueError): pass\ndef square(x): raise Bad('研')", TESTS)
    assert (raised.end, raised.detail) == ("error", "ValueError: Bad: 研")
    assert (
        judge(GOOD, "assert cube(3) == 27").detail == "NameError: name 'cube' is not defined at: assert cube(3) == 27"
    )
    assert judge(GOOD, "assert (").end == "error"
    assert judge(GOOD + "print('noise')\nimport sys\nsys.stderr.write('noise')", TESTS).passed


@needs_sandbox
def test_the_limits_hold_for_this_user():
    forks = """
import os, time
def count():
    n = 0
    try:
        while True:
            if os.fork() == 0:
                time.sleep(60)
            n += 1
    except OSError:
        return n
"""
    assert judge(forks, f"n = count()\nassert 0 < n < {isolation.PROCESSES}, n", seconds=3) == sandbox.Verdict(
        True, "passed", ""
    )
    # memory, descriptors and file size are those of the limits, soft and hard
    program = "import resource\ndef get(n): return resource.getrlimit(getattr(resource, n))"
    tests = f"assert get('RLIMIT_AS') == ({isolation.MEMORY},) * 2\nassert get('RLIMIT_FSIZE') == ({isolation.FILE_SIZE},) * 2\nassert get('RLIMIT_CORE') == (0, 0)"
    assert judge(program, tests).passed


@needs_sandbox
def test_what_crosses_between_program_and_tests():
    program = """
import collections, datetime, decimal, fractions, math
def echo(x): return x
def kinds():
    return [None, True, 1 << 90, -5, 1.5, float('inf'), 'é研\\ud800', b'\\x00', bytearray(b'a'), (1, [2]), {3}, frozenset({4}), {5: {6: 7}},
            1j, range(3), decimal.Decimal('1.10'), fractions.Fraction(1, 3), datetime.date(2020, 2, 29), datetime.timedelta(1, 2, 3),
            collections.Counter('aab'), collections.OrderedDict(a=1), collections.deque([1])]
def views(): return [{1: 2}.keys(), list({1: 2}.values())]
def numbers():
    yield 1
    yield 2
class Node:
    def __init__(self, value): self.value, self.left = value, None
    def total(self): return self.value + (self.left.total() if self.left else 0)
def grow(items): items.append(4)
def empty(items): items.clear()
def bad(): raise KeyError('k')
value = {'a': [1]}
def pair(): return collections.namedtuple('P', 'a b')(1, 2)
def match(): import re; return re.match('a', 'ab')
"""
    tests = """
import collections, datetime, decimal, fractions
expected = [None, True, 1 << 90, -5, 1.5, float('inf'), 'é研\\ud800', b'\\x00', bytearray(b'a'), (1, [2]), {3}, frozenset({4}), {5: {6: 7}},
            1j, range(3), decimal.Decimal('1.10'), fractions.Fraction(1, 3), datetime.date(2020, 2, 29), datetime.timedelta(1, 2, 3),
            collections.Counter('aab'), collections.OrderedDict(a=1), collections.deque([1])]
found = kinds()
assert found == expected and [type(x) for x in found] == [type(x) for x in expected]
assert echo(expected) == expected and echo(x=2) == 2
assert views() == [{1}, [2]]
assert list(numbers()) == [1, 2] and next(numbers()) == 1
root = Node(1)
root.left = Node(2)
assert root.total() == 3 and root.left.value == 2 and bool(root)
items = [1]
grow(items)
assert items == [1, 4]
mapping = {1: 2}
empty(mapping)
assert mapping == {}
try:
    bad()
except KeyError as error:
    assert 'k' in str(error)
else:
    assert False
assert value == {'a': [1]} and math.floor(2.5) == 2
assert pair() == (1, 2)
assert match() and match()[0] == 'a' and match() is not None
assert not isinstance(numbers(), list)
"""
    found = judge(program, tests)
    assert found.passed, found


def test_names_are_taken_from_the_program_only_where_the_tests_do_not_bind_them():
    assert names_asked("assert set(f(1)) == set([2])") == ("f",)
    assert names_asked("assert sum(10, 15) == 6") == ("sum",)
    assert names_asked(
        "import math\ndef check(candidate):\n    x = math.pi\n    assert candidate(x) == g(x)\ncheck(f)"
    ) == ("f", "g")


@needs_sandbox
def test_a_programs_own_set_is_not_the_tests():
    assert not judge("set = lambda x: 0\ndef f(x): return 1, 2", "assert set(f(1)) == set((3, 4))").passed
    assert judge("def sum(a, b): return 6", "assert sum(10, 15) == 6").passed


@needs_sandbox
def test_many_in_order():
    pairs = [(GOOD if n % 2 else WRONG, TESTS) for n in range(6)]
    assert [verdict.passed for verdict in judge_many(pairs, workers=3)] == [False, True] * 3


def test_without_a_sandbox_it_refuses_in_one_line_unless_told(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sandbox, "available", lambda: "bwrap is not installed")
    with pytest.raises(UserError) as caught:
        judge(GOOD, TESTS)
    said = str(caught.value)
    assert said.startswith(
        "sandbox: generated programs are not run without one: bwrap is not installed; install bubblewrap"
    )
    assert "\n" not in said and "--unsafe" in said
    assert judge(GOOD, TESTS, unsafe=True).passed
    assert judge(WRONG, TESTS, unsafe=True).end == "failed"
    assert judge("import os\nos._exit(0)", TESTS, unsafe=True).end == "exit"
    assert judge("while True: pass", TESTS, unsafe=True, seconds=1).end == "timeout"
    assert judge("open('left', 'w').write('x')\n" + GOOD, TESTS, unsafe=True).passed
    mark = secrets.token_hex(8)
    sleeper = (
        f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)', {mark!r}])\n"
    )
    assert judge(sleeper + GOOD, TESTS, unsafe=True).passed
    assert left_over(mark.encode()) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("ldd") is None, reason="ldd is not installed")
def test_the_loader_asked_about_few_files_names_what_it_names_for_all():
    every = [isolation.interpreter()[0], *map(str, isolation.extension_modules())]
    assert isolation._libraries() == isolation.loaded(every)


def test_reasons_why_there_is_none(monkeypatch):
    monkeypatch.setattr(isolation.shutil, "which", lambda name: None)
    assert isolation.why_not() == "bwrap is not installed"
    monkeypatch.undo()
    monkeypatch.setattr(isolation.sys, "platform", "darwin")
    assert isolation.why_not() == "bubblewrap needs Linux, this is darwin"
    monkeypatch.undo()
    monkeypatch.setattr(isolation.shutil, "which", lambda name: "/bin/bwrap")
    monkeypatch.setattr(isolation.platform, "machine", lambda: "riscv64")
    assert isolation.why_not() == "there is no system call table for riscv64"


def test_a_sandbox_that_breaks_is_no_verdict(monkeypatch):
    monkeypatch.setattr(sandbox, "available", lambda: None)
    monkeypatch.setattr(
        sandbox, "command", lambda reader: [sys.executable, "-c", "import sys; sys.exit('no namespaces')"]
    )
    with pytest.raises(UserError, match="sandbox: did not start: no namespaces"):
        judge(GOOD, TESTS)


def test_the_filter_has_eight_bytes_a_step_and_both_machines_refuse_the_same():
    sizes = {len(syscall_filter(machine)) for machine in ("x86_64", "aarch64")}
    assert sizes == {8 * (6 + 2 * len(REFUSED) + 2 + 4 + 1)}
    assert all(len(set(column)) == len(column) for column in zip(*REFUSED.values(), strict=True))


@needs_sandbox
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try it as somebody else")
def test_the_same_holds_for_another_user_than_root(tmp_path):
    python = Path("/usr/bin/python3.11")
    if not python.exists():
        pytest.skip(f"{python} is not there: the interpreter of these tests may not be readable for another user")
    code = (
        "from eval.sandbox import available, judge\n"
        "if available(): raise SystemExit('skip: ' + available())\n"
        f"hostile = {[HOSTILE[n][0] for n in ('killing its parents', 'reading memory of the tests', 'reading passwd', 'new namespace', 'fork bomb')]!r}\n"
        f"print([judge(p, {TESTS!r}, seconds=1).passed for p in [{GOOD!r}, *hostile]])\n"
    )
    done = subprocess.run(
        ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", str(python), "-B", "-P", "-c", code],
        cwd="/", env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "skip: " in done.stderr or "Permission denied" in done.stderr:
        pytest.skip(done.stderr.strip()[-200:])
    assert done.stdout == "[True, False, False, False, False, False]\n", done.stderr


@pytest.mark.slow
@needs_sandbox
def test_the_canonical_solutions_pass(shared, tmp_path):
    for name in ("humaneval", "mbpp"):
        subprocess.run(["tar", "-xJf", shared / "benchmarks" / f"{name}.tar.xz", "-C", tmp_path], check=True)
    items = list(BENCHMARKS["humaneval"](tmp_path / "humaneval"))
    pairs = [(i.question + i.answer, f"{i.more['test']}\ncheck({i.more['entry_point']})") for i in items]
    tasks = [item for item in BENCHMARKS["mbpp"](tmp_path / "mbpp") if item.split == "test"]
    pairs += [(item.answer, "\n".join([item.more["setup"], *item.more["tests"]])) for item in tasks]
    failed = [(i.id, v) for i, v in zip([*items, *tasks], judge_many(pairs), strict=True) if not v.passed]
    assert (len(items), len(tasks), failed) == (164, 500, [])

"""``evaluate run`` as a user runs it, on tiny files in the official formats and a tiny random model."""

import json
import shutil
import tarfile
import zipfile

import pytest

import eval.run
from eval.cli import command
from eval.own_rows import own_row
from eval.parallel import Ranks
from eval.published import published
from eval.samples import read_samples
from eval.tasks import TASKS
from workbench import manifest
from workbench.errors import ConfigError, InputError, OutputError, UserError


def run(tiny, official, out, *more, tasks="mmlu"):
    return command(["run", "--model", str(tiny), "--data", str(official), "--out", str(out), "--tasks", tasks, *more])


def scores(out):
    return json.loads((out / "scores.json").read_text(encoding="utf-8"))


def lines(out, task):
    return list(read_samples(out / f"samples-{task}.jsonl"))


@pytest.fixture(scope="module")
def everything(tiny, official, tmp_path_factory):
    """All benchmarks from one command; programs run without a sandbox, so that the test needs none."""
    out = tmp_path_factory.mktemp("everything") / "out"
    with pytest.MonkeyPatch.context() as patch:
        for name in ("gsm8k", "math500", "humaneval", "mbpp", "bbh"):  # a random model never stops by itself
            task = TASKS[name]
            patch.setitem(TASKS, name, _short(task))
        assert run(tiny, official, out, "--limit", "3", "--unsafe", "--kind", "base", tasks="all") == 0
    return out


def _short(task):
    from dataclasses import replace

    return replace(task, ask=lambda *a: replace(task.ask(*a), max_tokens=6))


def test_all_benchmarks_from_one_command(everything):
    found = scores(everything)
    assert list(found["tasks"]) == ["mmlu", "ceval", "gsm8k", "math500", "humaneval", "mbpp", "bbh", "cmmlu", "medical"]
    for name, entry in found["tasks"].items():
        assert entry["n"] == entry["limit"] == 3 < entry["of"]
        assert entry["shots"] == TASKS[name].shots
        assert entry["protocol"] == "official"
        assert entry["official_items"] is (None if name == "math" else False)
        samples = lines(everything, name)
        assert len(samples) == 3
        assert all(0 <= one.correct <= 1 and one.prompt and one.task == name for one in samples)
    assert found["tasks"]["gsm8k"]["readings"].keys() == {"strict", "flexible"}
    assert found["tasks"]["math500"]["readings"].keys() == {"is_equiv", "math_verify"}
    assert found["tasks"]["humaneval"]["pass_at"].keys() == {"1"}
    done = manifest.read(everything, "scores", "evaluate run")
    assert {"model.safetensors", "mmlu/data/test/anatomy_test.csv"} <= {file["path"] for file in done.inputs}
    assert {"scores.json", "report.html", "samples-bbh.jsonl"} <= {file["path"] for file in done.files}


def test_its_scores_are_a_row_of_the_table_and_math500_is_not_math(everything):
    row = own_row(everything, published().benchmarks)
    assert set(row.row.figures) == {"mmlu", "ceval", "gsm8k", "humaneval", "mbpp", "bbh", "cmmlu"}
    assert "math500" in row.remarks[0]
    assert [t.en for t in row.row.figures["mmlu"].differs] == ["3 items only"]


def test_the_page_escapes_and_shows_what_was_wrong(everything):
    page = (everything / "report.html").read_text(encoding="utf-8")
    assert "评测报告" in page
    assert "MATH-500" in page
    assert "<script" not in page
    assert "题？" in page


def test_the_same_command_again_asks_nothing(tiny, official, tmp_path, monkeypatch, capsys):
    assert run(tiny, official, tmp_path / "o", "--limit", "4") == 0
    first = (tmp_path / "o/samples-mmlu.jsonl").read_bytes()
    monkeypatch.setattr(eval.run, "open_lm", lambda *a, **b: pytest.fail("a model was opened"))
    capsys.readouterr()
    assert run(tiny, official, tmp_path / "o", "--limit", "4", "--json") == 0
    said = capsys.readouterr()
    assert "nothing was asked again" in said.err
    assert json.loads(said.out)["tasks"]["mmlu"]["n"] == 4
    assert (tmp_path / "o/samples-mmlu.jsonl").read_bytes() == first
    with pytest.raises(OutputError, match="other inputs or settings"):
        run(tiny, official, tmp_path / "o", "--limit", "5")


def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(tiny, official, tmp_path, monkeypatch):
    monkeypatch.setattr("eval.plan.CHOICES_AT_ONCE", 5)
    assert run(tiny, official, tmp_path / "whole", tasks="mmlu,cmmlu") == 0
    real, asked = eval.run.answer, []

    def stops(lm, task, how, portion, *rest):
        if len(asked) == 6:
            raise KeyboardInterrupt
        asked.append([question.item.id for question in portion])
        return real(lm, task, how, portion, *rest)

    monkeypatch.setattr(eval.run, "answer", stops)
    with pytest.raises(KeyboardInterrupt):
        run(tiny, official, tmp_path / "o", tasks="mmlu,cmmlu")
    before = [key for portion in asked for key in portion]
    assert (tmp_path / "o/unfinished.json").is_file()
    asked[:] = []
    assert run(tiny, official, tmp_path / "o", tasks="mmlu,cmmlu") == 0
    after = [key for portion in asked for key in portion]
    assert before
    assert after
    assert not set(before) & set(after)
    for name in ("mmlu", "cmmlu"):
        one, other = ((tmp_path / o / f"samples-{name}.jsonl").read_text() for o in ("whole", "o"))
        assert [json.loads(x)["key"] for x in one.splitlines()] == [json.loads(x)["key"] for x in other.splitlines()]
    for o in ("whole", "o"):
        assert scores(tmp_path / o)["tasks"]["mmlu"]["value"] == scores(tmp_path / "whole")["tasks"]["mmlu"]["value"]


@pytest.mark.parametrize("damage", [b'{"task": "mmlu", "key"', b"\xff\xfe\n", b"{}\n"])
def test_a_damaged_cache_is_one_line(tiny, official, tmp_path, monkeypatch, damage):
    monkeypatch.setattr(eval.run, "_write", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run(tiny, official, tmp_path / "o", "--limit", "6")
    with (tmp_path / "o/samples-mmlu.jsonl").open("ab") as stream:
        stream.write(damage)
    with pytest.raises(InputError) as caught:
        run(tiny, official, tmp_path / "o", "--limit", "6")
    assert "samples-mmlu.jsonl" in str(caught.value)
    assert "delete the line or the file" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_cloze_and_chain_of_thought(tiny, official, tmp_path, monkeypatch):
    assert run(tiny, official, tmp_path / "cf", "--format", "cf", tasks="ceval,cmmlu") == 0
    entry = scores(tmp_path / "cf")["tasks"]["ceval"]
    assert entry["format"] == "cf"
    assert entry["bits_per_byte"] > 0
    sample = lines(tmp_path / "cf", "ceval")[0]
    assert "A. " not in sample.prompt
    assert len(sample.logprobs) == 4
    monkeypatch.setitem(TASKS, "ceval", _short(TASKS["ceval"]))
    assert run(tiny, official, tmp_path / "cot", "--mode", "cot", "--limit", "2", tasks="ceval") == 0
    sample = lines(tmp_path / "cot", "ceval")[0]
    assert sample.format == "generate"
    assert sample.prompt.endswith("\n答案：让我们一步一步思考，\n1.")
    assert "\n答案：让我们一步一步思考，\n因为如此\n所以答案是" in sample.prompt


def test_zero_shots_and_a_short_context(tiny, official, tmp_path):
    from .world import make_model

    assert run(tiny, official, tmp_path / "zero", "--shots", "0", "--limit", "6") == 0
    assert lines(tmp_path / "zero", "mmlu")[0].prompt.count("Answer:") == 1
    short = make_model(tmp_path / "short", positions=420)
    assert run(short, official, tmp_path / "o", "--limit", "6") == 0
    entry = scores(tmp_path / "o")["tasks"]["mmlu"]
    samples = lines(tmp_path / "o", "mmlu")
    assert entry["dropped_shots"] == {"items": 6, "shots": sum(one.dropped_shots for one in samples)}
    assert 0 < samples[0].dropped_shots < 5
    assert samples[0].prompt.count("Answer:") == 6 - samples[0].dropped_shots


def test_ceval_test_is_a_submission_and_no_score(tiny, official, tmp_path):
    assert run(tiny, official, tmp_path / "o", "--split", "test", tasks="ceval") == 0
    written = json.loads((tmp_path / "o/submission-ceval.json").read_text())
    assert set(written) == {"physician", "logic", "basic_medicine", "clinical_medicine"}
    assert set(written["logic"]) == {"0", "1", "2", "3"}
    assert set("".join(written["logic"].values())) <= set("ABCD")
    assert scores(tmp_path / "o")["tasks"] == {}


def test_the_medical_group_takes_over_what_was_answered(tiny, official, tmp_path, monkeypatch):
    real, asked = eval.run.answer, []
    monkeypatch.setattr(eval.run, "answer", lambda lm, task, *rest: asked.append(task.id) or real(lm, task, *rest))
    assert run(tiny, official, tmp_path / "o", tasks="mmlu,ceval,cmmlu,medical") == 0
    assert asked == ["mmlu", "ceval", "cmmlu"]
    entry = scores(tmp_path / "o")["tasks"]["medical"]
    assert {"mmlu/anatomy", "ceval/physician", "cmmlu/virology"} <= set(entry["subjects"])
    assert not {"mmlu/astronomy", "ceval/logic", "cmmlu/arts"} & set(entry["subjects"])


def test_several_samples_give_pass_at_k(tiny, official, tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "humaneval", _short(TASKS["humaneval"]))
    more = ("--samples", "10", "--temperature", "0.8", "--limit", "1", "--unsafe")
    assert run(tiny, official, tmp_path / "o", *more, tasks="humaneval") == 0
    assert scores(tmp_path / "o")["tasks"]["humaneval"]["pass_at"].keys() == {"1", "10"}
    assert len(lines(tmp_path / "o", "humaneval")[0].output) == 10


def test_archives_as_published(tiny, official, tmp_path):
    (tmp_path / "mmlu").mkdir()
    with tarfile.open(tmp_path / "mmlu/data.tar", "w") as tar:
        tar.add(official / "mmlu/data", "data")
    with zipfile.ZipFile(tmp_path / "ceval.zip", "w") as packed:
        for path in sorted((official / "ceval").rglob("*.csv")):
            packed.write(path, path.relative_to(official / "ceval"))
    assert run(tiny, tmp_path, tmp_path / "o", tasks="mmlu,ceval") == 0
    assert run(tiny, official, tmp_path / "p", tasks="mmlu,ceval") == 0
    assert (tmp_path / "o/samples-ceval.jsonl").read_bytes() == (tmp_path / "p/samples-ceval.jsonl").read_bytes()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/ceval.zip").write_bytes(b"PK no")
    with pytest.raises(InputError, match="cannot be unpacked"):
        run(tiny, tmp_path / "bad", tmp_path / "q", tasks="ceval")


def _changed(official, folder, path, old, new):
    shutil.copytree(official, folder)
    text = (folder / path).read_text(encoding="utf-8")
    assert old in text
    (folder / path).write_text(text.replace(old, new, 1), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("task", "path", "old", "new", "said"),
    [
        (
            "ceval",
            "ceval/val/logic_val.csv",
            "question,A,B",
            "question,B,A",
            "has the columns id,question,B,A,C,D,answer",
        ),
        ("ceval", "ceval/val/logic_val.csv", ",answer", "", "row 2 has 7 columns"),
        ("cmmlu", "cmmlu/test/arts.csv", "Question", "题目", "has the columns"),
        ("mmlu", "mmlu/data/test/anatomy_test.csv", ",A\n", ",E\n", "where an answer, A to D, is expected"),
        ("gsm8k", "gsm8k/test.jsonl", '"question"', '"q"', "has no question"),
        ("mbpp", "mbpp/mbpp.jsonl", '"test_list"', '"tests"', "has no test_list"),
        ("bbh", "bbh/bbh/navigate.json", '"input"', '"in"', "navigate.json"),
        ("bbh", "bbh/cot-prompts/navigate.txt", "step by step", "slowly", "is no chain-of-thought prompt"),
        ("math500", "math/math500.jsonl", '"answer"', '"a"', "has no answer"),
    ],
)
def test_a_changed_column_is_one_line(tiny, official, tmp_path, task, path, old, new, said):
    data = _changed(official, tmp_path / "data", path, old, new)
    with pytest.raises(UserError) as caught:
        run(tiny, data, tmp_path / "o", tasks=task)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_bad_input_is_one_line(tiny, official, tmp_path, monkeypatch):
    bare = tmp_path / "bare"
    shutil.copytree(tiny, bare)
    for path in bare.glob("tokenizer*"):
        path.unlink()
    broken = tmp_path / "broken"
    shutil.copytree(tiny, broken)
    (broken / "tokenizer.json").write_text("{")
    less = tmp_path / "less"
    shutil.copytree(official, less)
    shutil.rmtree(less / "cmmlu")
    (less / "mmlu/data/test/anatomy_test.csv").unlink()
    (less / "ceval/dev/logic_dev.csv").unlink()
    monkeypatch.setattr("eval.sandbox.available", lambda: "bwrap is missing")
    out = tmp_path / "o"
    for arguments, kind, said in (
        ((bare, official, out), InputError, "has no tokenizer"),
        ((broken, official, out), InputError, "its tokenizer cannot be loaded"),
        ((tmp_path / "nowhere", official, out), InputError, "no such folder"),
        ((tiny, tmp_path / "nowhere", out), InputError, "name the folder that holds the official files"),
        ((tiny, less, out), InputError, "has exemplars but no test items of anatomy"),
    ):
        with pytest.raises(kind) as caught:
            run(*arguments, "--overwrite")
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
    for tasks, more, kind, said in (
        ("cmmlu", (), InputError, "has no CMMLU"),
        ("ceval", (), InputError, "has no exemplars of ceval logic"),
        ("mmul", (), ConfigError, "did you mean mmlu"),
        (",", (), ConfigError, "names none"),
        ("gsm8k", ("--shots", "9"), ConfigError, "GSM8K has 8 exemplars"),
        ("gsm8k", ("--protocol", "qwen"), ConfigError, "GSM8K has no such"),
        ("humaneval", (), ConfigError, "there is no sandbox (bwrap is missing)"),
        ("gsm8k", ("--limit", "0"), ConfigError, "--limit: 0 is below 1"),
        ("gsm8k", ("--samples", "2"), ConfigError, "greedy texts are all the same"),
        ("gsm8k", ("--split", "dev"), ConfigError, "--split dev"),
        ("math", (), None, ""),
    ):
        if kind is None:
            continue
        with pytest.raises(kind) as caught:
            run(tiny, less, out, *more, "--overwrite", tasks=tasks)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
    assert "hendrycks/math" not in str(caught.value)


def test_math_alone_is_scored_as_math500_and_says_so(tiny, official, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(TASKS, "math500", _short(TASKS["math500"]))
    assert run(tiny, official, tmp_path / "o", "--limit", "1", tasks="math") == 0
    assert list(scores(tmp_path / "o")["tasks"]) == ["math500"]
    assert "which is not MATH" in capsys.readouterr().err


def test_two_processes_share_the_items_and_give_what_one_gives(tiny, official, tmp_path, monkeypatch):
    """What torchrun starts, one after the other: the second runs while the first waits for it."""
    rank, asked = [0], {0: [], 1: []}
    real = eval.run.answer

    def wait():
        if rank[0] == 0:
            rank[0] = 1
            assert run(tiny, official, tmp_path / "two", "--json", tasks="mmlu,ceval") == 0
            rank[0] = 0

    def answers(lm, task, how, portion, *rest):
        asked[rank[0]] += [question.item.id for question in portion]
        return real(lm, task, how, portion, *rest)

    assert run(tiny, official, tmp_path / "one", tasks="mmlu,ceval") == 0
    monkeypatch.setattr(eval.run, "join_ranks", lambda: Ranks(rank[0], 2))
    monkeypatch.setattr(eval.run, "wait", wait)
    monkeypatch.setattr(eval.run, "answer", answers)
    assert run(tiny, official, tmp_path / "two", tasks="mmlu,ceval") == 0
    assert asked[0]
    assert asked[1]
    assert not set(asked[0]) & set(asked[1])
    for name in ("mmlu", "ceval"):
        one, two = lines(tmp_path / "one", name), lines(tmp_path / "two", name)
        assert [sample.key for sample in one] == [sample.key for sample in two]
        assert [sample.correct for sample in one] == [sample.correct for sample in two]
    assert not list((tmp_path / "two").glob("*.rank-*"))

"""Results of three harnesses, in the form their own files have, become a run that the table and compare can read."""

import json

import pytest

from eval.imports import IMPORTERS, write
from eval.own_rows import own_row
from eval.published import published
from eval.samples import read_samples
from workbench.errors import UserError

DATE = "2026-11-25T07-34-11.237592"


def put(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    path.write_text(text, encoding="utf-8")
    return path


def lines(path, values):
    return put(path, "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values))


@pytest.fixture
def lm_eval(tmp_path):
    folder = tmp_path / "out/model"
    mmlu = {"alias": "mmlu", "acc,none": 0.5, "acc_stderr,none": 0.25}
    gsm = {
        "alias": "gsm8k",
        "exact_match,strict-match": 0.25,
        "exact_match_stderr,strict-match": 0.1,
        "exact_match,flexible-extract": 0.5,
        "exact_match_stderr,flexible-extract": "N/A",
    }
    put(
        folder / f"results_{DATE}.json",
        {
            "results": {
                "mmlu": mmlu,
                "mmlu_stem": {"acc,none": 0.5},
                "mmlu_anatomy": {"acc,none": 0.5},
                "gsm8k": gsm,
                "hellaswag": {"acc_norm,none": 0.3},
                "mbpp": {"pass_at_10,none": 0.1},
            },
            "group_subtasks": {"mmlu": ["mmlu_stem"], "mmlu_stem": ["mmlu_anatomy"], "gsm8k": []},
            "configs": {
                "mmlu_anatomy": {"output_type": "multiple_choice", "test_split": "test"},
                "gsm8k": {"output_type": "generate_until", "test_split": "test"},
            },
            "n-shot": {"mmlu_anatomy": 5, "gsm8k": 5},
            "n-samples": {
                "mmlu_anatomy": {"original": 135, "effective": 2},
                "gsm8k": {"original": 4, "effective": 4},
            },
            "config": {"model": "hf", "limit": 2},
            "model_name": "研墨-7b",
        },
    )
    choice = {
        "filter": "none",
        "metrics": ["acc"],
        "doc": {"question": "q"},
        "arguments": {"gen_args_0": {"arg_0": "q\nAnswer:", "arg_1": " A"}},
    }
    answers = [["-0.5", "False"], ["-0.25", "True"], ["-3", "False"], ["-2", "False"]]
    lines(
        folder / f"samples_mmlu_anatomy_{DATE}.jsonl",
        [
            {"doc_id": 0, "target": "1", "filtered_resps": answers, "acc": 1.0, **choice},
            {"doc_id": 1, "target": "3", "filtered_resps": answers, "acc": 0.0, **choice},
        ],
    )
    number = {
        "doc_id": 3,
        "doc": {"question": "q"},
        "target": "so\n#### 18",
        "resps": [["it is 18"]],
        "arguments": {"gen_args_0": {"arg_0": "Q"}},
    }
    lines(
        folder / f"samples_gsm8k_{DATE}.jsonl",
        [
            {"filter": "strict-match", "filtered_resps": ["[invalid]"], "exact_match": 0.0, **number},
            {"filter": "flexible-extract", "filtered_resps": ["18"], "exact_match": 1.0, **number},
        ],
    )
    return tmp_path / "out"


def test_lm_eval(lm_eval, tmp_path):
    found = IMPORTERS["lm-eval"](lm_eval, None)
    assert found.model == "研墨-7b"
    assert found.remarks == [
        "mbpp: its score is pass_at_1,none as a fraction; there is pass_at_10,none; left out",
        "not among the benchmarks, left out: hellaswag",
    ]
    mmlu = found.tasks["mmlu"]
    assert (mmlu["value"], mmlu["stderr"], mmlu["shots"], mmlu["n"], mmlu["limit"], mmlu["split"]) == (
        50,
        25,
        5,
        2,
        2,
        "test",
    )
    assert (mmlu["protocol"], mmlu["format"]) == ("lm-eval", "mc")
    gsm = found.tasks["gsm8k"]
    assert (gsm["value"], gsm["also"], gsm["n"]) == (25, {"exact_match,flexible-extract": 50}, 4)
    assert "limit" not in gsm

    files = write(found, tmp_path / "run", kind="base")
    assert [file.name for file in files] == ["samples-gsm8k.jsonl", "samples-mmlu.jsonl", "scores.json"]
    first, second = read_samples(tmp_path / "run/samples-mmlu.jsonl")
    assert (first.key, first.gold, first.correct, first.prompt) == ("mmlu/anatomy/test/0", "B", 1.0, "q\nAnswer:")
    assert first.logprobs == (-0.5, -0.25, -3, -2)
    assert (second.gold, second.correct) == ("D", 0.0)
    (only,) = read_samples(tmp_path / "run/samples-gsm8k.jsonl")
    assert (only.key, only.gold, only.correct, only.output, only.extracted) == (
        "gsm8k/all/test/3",
        "18",
        0.0,
        ("it is 18",),
        (None,),
    )
    row = own_row(tmp_path / "run", published().benchmarks).row
    assert row.figures["mmlu"].value == 50
    assert row.figures["mmlu"].differs[0].en == "2 items only"
    assert row.figures["gsm8k"].kind == "base"


SUMMARY = """dataset,version,metric,mode,model-a,model-b
--------- 考试 Exam ---------,-,-,-,-,-
mmlu,-,naive_average,gen,46.83,50.00
lukaemon_mmlu_anatomy,2db373,accuracy,gen,50.00,50.00
gsm8k,1d7fe4,accuracy,gen,16.76,-
openai_humaneval,8e312c,humaneval_pass@1,gen,12.80,13.00
mbpp,830460,score,gen,20.80,21.00
mbpp,830460,pass,gen,104.00,105.00
winogrande,b6c7ed,accuracy,ppl,60.00,61.00
"""


@pytest.fixture
def opencompass(tmp_path):
    root = tmp_path / "outputs/20241011_125436"
    put(root / "summary/summary_20241011_125436.csv", SUMMARY)
    judged = {
        "prompt": [{"role": "HUMAN", "prompt": "1+1?"}, {"role": "BOT", "prompt": "A:"}],
        "origin_prediction": "选B",
        "predictions": "B",
        "references": "B",
    }
    details = {
        "type": "GEN",
        "0": {**judged, "correct": True},
        "1": {**judged, "predictions": "", "correct": [False]},
        "2": judged,
    }
    put(root / "results/model-a/lukaemon_mmlu_anatomy.json", {"accuracy": 50.0, "details": details})
    put(root / "results/model-a/gsm8k.json", {"accuracy": 16.76})
    put(
        root / "results/model-a/mbpp.json",
        {"score": 20.8, "details": {"0": {"programs": "x", "result": "pass", "is_correct": True}}},
    )
    return root


def test_opencompass(opencompass, tmp_path):
    found = IMPORTERS["opencompass"](opencompass, "model-a")
    assert {task: figure["value"] for task, figure in found.tasks.items()} == {
        "mmlu": 46.83,
        "gsm8k": 16.76,
        "humaneval": 12.8,
        "mbpp": 20.8,
    }
    assert found.tasks["mmlu"]["mean"] == "macro"
    assert found.tasks["gsm8k"]["prompt_hash"] == "1d7fe4"
    assert "shots" not in found.tasks["gsm8k"]
    assert found.remarks == [
        "lukaemon_mmlu_anatomy.json: 1 items without a verdict, left out",
        "gsm8k.json: has no details (give --dump-eval-details), so no samples",
        "mbpp: pass is not its score (score is), left out",
        "not among the benchmarks, left out: --------- 考试 Exam ---------, winogrande",
    ]
    write(found, tmp_path / "run")
    right, wrong = read_samples(tmp_path / "run/samples-mmlu.jsonl")
    assert (right.key, right.correct, right.gold, right.prompt, right.output) == (
        "mmlu/anatomy/test/0",
        1.0,
        "B",
        "1+1?\nA:",
        ("选B",),
    )
    assert (wrong.correct, wrong.extracted) == (0.0, ("",))
    (program,) = read_samples(tmp_path / "run/samples-mbpp.jsonl")
    assert (program.key, program.correct) == ("mbpp/python/test/11", 1.0)
    assert IMPORTERS["opencompass"](opencompass, "model-b").remarks[0] == "gsm8k: has no figure, left out"


@pytest.fixture
def evalscope(tmp_path):
    root = tmp_path / "outputs/20250101_000000"
    subsets = [{"name": "anatomy", "score": 0.5, "num": 2}, {"name": "virology", "score": 1.0, "num": 1}]
    metric = {
        "name": "mean_acc",
        "num": 3,
        "score": 0.6667,
        "macro_score": 0.75,
        "categories": [{"name": ["STEM"], "subsets": subsets}],
    }
    report = {
        "name": "m@mmlu",
        "dataset_name": "mmlu",
        "model_name": "m",
        "score": 0.6667,
        "metrics": [metric],
        "analysis": "N/A",
    }
    put(root / "reports/Qwen-7B/mmlu.json", report)
    put(root / "reports/Qwen-7B/arc.json", {**report, "dataset_name": "arc"})
    put(
        root / "reports/Qwen-7B/bbh.json",
        {**report, "dataset_name": "bbh", "metrics": [{"name": "f1", "score": 0.5, "num": 3}]},
    )
    score = {"value": {"acc": 1.0}, "extracted_prediction": "B", "prediction": "答案是B", "main_score_name": "acc"}
    review = {"index": 1, "input": "q", "target": "B", "sample_score": {"score": score, "sample_id": 1}}
    lines(
        root / "reviews/Qwen-7B/mmlu_anatomy.jsonl",
        [review, {**review, "index": 0, "sample_score": {"score": {**score, "value": {"acc": False}}}}],
    )
    lines(root / "reviews/Qwen-7B/mmlu_virology.jsonl", [{"index": 0, "choices": []}])
    return root


def test_evalscope(evalscope, tmp_path):
    found = IMPORTERS["evalscope"](evalscope, None)
    assert found.model == "Qwen-7B"
    mmlu = found.tasks["mmlu"]
    assert (mmlu["value"], mmlu["macro"], mmlu["n"], mmlu["metric"], mmlu["protocol"]) == (
        66.67,
        75,
        3,
        "mean_acc",
        "evalscope",
    )
    assert list(found.tasks) == ["mmlu"]
    assert found.remarks[0].startswith(
        "bbh: its score is a fraction under mean_acc or acc or AverageAccuracy; there is f1"
    )
    assert found.remarks[1].startswith("mmlu_virology.jsonl:1: is no review of EvalScope 1.x")
    assert found.remarks[2] == "not among the benchmarks, left out: arc"
    write(found, tmp_path / "run")
    right, wrong = read_samples(tmp_path / "run/samples-mmlu.jsonl")
    assert (right.key, right.correct, right.output, right.extracted) == (
        "mmlu/anatomy/test/1",
        1.0,
        ("答案是B",),
        ("B",),
    )
    assert (wrong.key, wrong.correct) == ("mmlu/anatomy/test/0", 0.0)
    assert IMPORTERS["evalscope"](evalscope / "reports/Qwen-7B/mmlu.json", None).tasks["mmlu"]["value"] == 66.67


def test_what_cannot_be_imported_is_one_line(lm_eval, opencompass, evalscope, tmp_path):
    put(tmp_path / "two/results_a.json", {})
    put(tmp_path / "two/results_b.json", {})
    put(tmp_path / "half.json", '{"results"')
    put(tmp_path / "other.csv", "a,b\n1,2\n")
    put(tmp_path / "short.csv", "dataset,version,metric,mode,m\nmmlu,-\n")
    put(tmp_path / "wrong.csv", "dataset,version,metric,mode,m\nmmlu,-,naive_average,gen,468.3\n")
    put(tmp_path / "report.json", {"metrics": []})
    for source, path, model, said in (
        (
            "lm-eval",
            tmp_path / "two",
            None,
            "holds 2 of results_*.json (results_a.json, results_b.json); name one of the files",
        ),
        ("lm-eval", tmp_path / "nowhere", None, "holds no results_*.json"),
        ("lm-eval", tmp_path / "half.json", None, "cannot be read as JSON"),
        ("lm-eval", tmp_path / "two/results_a.json", None, "has no results"),
        ("lm-eval", lm_eval, "other", "--model: other is not in"),
        ("opencompass", opencompass, None, "holds 2 models: model-a, model-b; name one of them"),
        ("opencompass", tmp_path / "other.csv", None, "does not begin with dataset,version,metric,mode"),
        ("opencompass", tmp_path / "short.csv", None, "a row has 2 columns, 5 are expected"),
        ("opencompass", tmp_path / "wrong.csv", None, "mmlu: 468.3 is no percentage"),
        ("evalscope", tmp_path, None, "has no reports folder"),
        ("evalscope", tmp_path / "report.json", None, "has no dataset_name and metrics"),
    ):
        with pytest.raises(UserError) as caught:
            IMPORTERS[source](path, model)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)


def test_writing_refuses_nothing_and_what_is_there(lm_eval, tmp_path):
    found = IMPORTERS["lm-eval"](lm_eval, None)
    write(found, tmp_path / "run")
    with pytest.raises(UserError, match=r"holds scores.json already; name another --out"):
        write(found, tmp_path / "run")
    found.tasks.clear()
    with pytest.raises(UserError, match="holds no known metric of a benchmark"):
        write(found, tmp_path / "other")
    assert not (tmp_path / "other").exists()

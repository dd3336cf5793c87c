"""The real samples in ../shared: each file is read or refused, and no record is lost."""

from __future__ import annotations

import tarfile

import pytest

from corpus.instructions.reading import detect, read
from corpus.instructions.rows import Faulty
from workbench.errors import InputError

# Archive, file, form, stage, records, rows, bad rows: as counted by hand or by json alone where that is possible.
READ = (
    ("instruct__alpaca-chinese-carbonz0-00", "zh-data-part-00.json", "alpaca", "sft", 10021, 10015, 6),
    ("instruct__belle-eval-dev1k", "zh_seed_tasks.json", "seed-tasks", "sft", 175, 175, 0),
    ("instruct__belle-eval-dev1k", "eval_set.json", "completion", "sft", 1000, 631, 369),
    ("instruct__belle-eval-dev1k", "dev1K.json", "alpaca", "sft", 1000, 1000, 0),
    ("instruct__firefly-dummy", "dummy_data.jsonl", "conversation", "sft", 33, 33, 0),
    ("instruct__firefly-dummy", "dummy_dpo.jsonl", "pair", "dpo", 16, 16, 0),
    ("instruct__llama-factory-demo", "alpaca_zh_demo.json", "alpaca", "sft", 1000, 1000, 0),
    ("instruct__llama-factory-demo", "dpo_zh_demo.json", "pair", "rm", 300, 300, 0),
    ("instruct__llama-factory-demo", "glaive_toolcall_zh_demo.json", "sharegpt", "sft", 300, 298, 2),
    ("instruct__llama-factory-demo", "kto_en_demo.json", "kto-messages", "kto", 300, 300, 0),
    ("instruct__llama-factory-demo", "kto_en_demo.json", "kto-messages", "sft", 300, 150, 150),
    ("instruct__llama-factory-demo", "reason_tool_use_demo_50.jsonl", "messages", "sft", 50, 50, 0),
    ("instruct__llama-factory-demo", "v1_dpo_demo.jsonl", "pair-messages", "dpo", 10, 10, 0),
    ("instruct__llama-factory-demo", "v1_multimodal_demo.jsonl", "messages", "sft", 24, 0, 24),
    ("instruct__llama-factory-demo", "v1_sft_demo.jsonl", "messages", "sft", 500, 500, 0),
    ("instruct__llama-factory-demo", "lima.json", "alpaca", "sft", 1029, 1029, 0),
    ("instruct__llama-factory-demo", "oaast_sft_zh.json", "alpaca", "sft", 766, 766, 0),
    ("instruct__stanford-alpaca", "alpaca_5000.json", "alpaca", "sft", 5000, 4998, 2),
    ("medical__huatuo-bentsao", "liver_cancer.json", "alpaca", "sft", 1000, 1000, 0),
    ("medical__huatuo-bentsao", "llama_data.json", "alpaca", "sft", 8658, 8658, 0),
    ("medical__medicalgpt-data", "dpo_zh_500.jsonl", "pair", "dpo", 500, 500, 0),
    ("medical__medicalgpt-data", "dpo_zh_500.abb9af1.jsonl", "pair", "dpo", 500, 500, 0),
    ("medical__medicalgpt-data", "toolcall_dpo_zh_demo.jsonl", "pair", "dpo", 11, 11, 0),
    ("medical__medicalgpt-data", "test.json", "reward", "rm", 100, 100, 0),
    ("medical__medicalgpt-data", "sharegpt_zh_1K_format.jsonl", "sharegpt", "sft", 1000, 992, 8),
    ("medical__medicalgpt-data", "重新定义自己QA.jsonl", "sharegpt", "sft", 17, 15, 2),
    ("medical__medicalgpt-data", "sample.jsonl", "completion", "ppo", 32, 32, 0),
    ("medical__promptcblue-toy", "train.json", "completion", "sft", 80, 80, 0),
    ("medical__toyhom-dialogue-gb18030", "样例_内科5000-6000.csv", "consultation", "sft", 7644, 7644, 0),
    ("preference__oaast-rm-zh", "oaast_rm_zh.json", "ranked", "sft", 775, 775, 0),
    ("preference__cvalues-prompts", "cvalues_responsibility_prompts.jsonl", "prompt", "ppo", 664, 664, 0),
)
REFUSED = (
    ("instruct__firefly-dummy", "dummy_pretrain.jsonl", "plain text"),
    ("instruct__llama-factory-demo", "c4_demo.jsonl", "plain text"),
    ("instruct__llama-factory-demo", "dataset_info.json", "of no known form"),
    ("medical__promptcblue-toy", "dev_structured.json", "of no known form"),
    ("zh_dialog__cdial-gpt-lccc-toy", "toy_data.json", "of no known form: its keys are valid, train, test"),
    ("zh_dialog__cdial-gpt-lccc-toy", "toy_train.txt", "neither JSON records nor CSV"),
    ("zh_dialog__crosswoz-val-test", "val.json.zip", "a zip archive"),
)


@pytest.fixture(scope="module")
def unpacked(shared, tmp_path_factory):
    """A function that gives a file of an archive."""
    root, done = tmp_path_factory.mktemp("real"), {}

    def find(archive, name):
        if archive not in done:
            with tarfile.open(shared / "data" / f"{archive}.tar.xz") as members:
                members.extractall(root / archive, filter="data")
            done[archive] = {file.name: file for file in (root / archive).rglob("*") if file.is_file()}
        return done[archive][name]

    return find


@pytest.mark.parametrize(("archive", "name", "form", "stage", "records", "rows", "bad"), READ)
def test_a_real_file_is_read(unpacked, archive, name, form, stage, records, rows, bad):
    path = unpacked(archive, name)
    assert detect(path).name == form
    reading = read(path, stage)
    found = list(reading)
    faulty = [row for row in found if isinstance(row, Faulty)]
    assert (reading.records, len(found) - len(faulty), len(faulty)) == (records, rows, bad)


@pytest.mark.parametrize(("archive", "name", "said"), REFUSED)
def test_a_real_file_is_refused(unpacked, archive, name, said):
    with pytest.raises(InputError, match=said):
        detect(unpacked(archive, name))


def test_the_ranked_list_gives_all_pairs_and_is_about_help(unpacked):
    found = list(read(unpacked("preference__oaast-rm-zh", "oaast_rm_zh.json"), "rm"))
    bad = [row for row in found if isinstance(row, Faulty)]
    # 434 lists of 2, 263 of 3, 63 of 4, 12 of 5 and one each of 6, 8 and 10
    assert len(found) == 434 + 263 * 3 + 63 * 6 + 12 * 10 + 15 + 28 + 45
    assert {row.cause for row in bad} == {"chosen and rejected are the same"}
    assert {row.axis for row in found if not isinstance(row, Faulty)} == {"helpful"}


def test_the_two_forms_of_one_set_hold_the_same_pairs(unpacked):
    def pairs(name):
        return [(row.prompt, row.chosen) for row in read(unpacked("medical__medicalgpt-data", name), "dpo")]

    ours, theirs = pairs("dpo_zh_500.jsonl"), pairs("dpo_zh_500.abb9af1.jsonl")
    assert sum(a == b for a, b in zip(ours, theirs, strict=True)) > 450

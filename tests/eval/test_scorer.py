"""Rewards: rules, functions of the user's, reward models of the policy's tokenizer and of another; prompts and their faults."""

import pytest
import torch

from eval.scorer import make_reward
from tests.train.tiny_chat import CHARACTERS, make_model, make_tokenizer
from tokenizer.prompts import Prompt
from workbench.errors import ConfigError, InputError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(make_tokenizer(tmp_path_factory.mktemp("tokenizer")))


@pytest.fixture(scope="module")
def asked(tokenizer):
    pairs = [("天地？", "好好人"), ("日？", "山水火木金"), ("春夏秋冬？", "")]
    prompts = [Prompt(text, tuple(tokenizer(text)["input_ids"])) for text, _ in pairs]
    return prompts, [[*tokenizer(answer)["input_ids"], 2] for _, answer in pairs]


def test_rules(tokenizer, asked):
    assert make_reward("rule:share:好", tokenizer, CPU, 8)(*asked) == pytest.approx([2 / 3, 0, 0])
    assert make_reward("rule:length:4", tokenizer, CPU, 8)(*asked) == pytest.approx([-0.25, -0.25, -1])


def test_a_function_gets_texts(tokenizer, asked, tmp_path):
    path = tmp_path / "奖励.py"
    path.write_text(
        "def both(prompts, answers):\n    return [len(p) + len(a) / 10 for p, a in zip(prompts, answers)]\n"
    )
    assert make_reward(f"python:{path}:both", tokenizer, CPU, 8)(*asked) == pytest.approx([3.3, 2.5, 5.0])


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def f(prompts, answers):\n    return [1.0]\n", "returned 1 scores for 3 answers"),
        ("def f(prompts, answers):\n    return [float('nan')] * 3\n", "3 scores for 3 answers, 0 finite"),
        ("def f(prompts, answers):\n    return [1 / len(a) for a in answers]\n", r"ZeroDivisionError.*r\.py:2"),
    ],
)
def test_a_function_that_fails_is_named_with_its_line(tokenizer, asked, tmp_path, code, said):
    (tmp_path / "r.py").write_text(code)
    with pytest.raises(InputError, match=said) as caught:
        make_reward(f"python:{tmp_path}/r.py:f", tokenizer, CPU, 8)(*asked)
    assert "\n" not in str(caught.value)


def test_a_function_that_is_not_there(tokenizer, tmp_path):
    (tmp_path / "r.py").write_text("def score(prompts, answers): ...\n")
    (tmp_path / "broken.py").write_text("import nothing_of_the_kind\n")
    for words, said in (
        (f"{tmp_path}/r.py:scor", "did you mean score"),
        ("nowhere.py:f", "is no Python file"),
        (f"{tmp_path}/broken.py:f", "ModuleNotFoundError"),
    ):
        with pytest.raises(ConfigError, match=said):
            make_reward(f"python:{words}", tokenizer, CPU, 8)


def make_reward_model(folder, characters, labels=1):
    from transformers import AutoTokenizer, LlamaConfig, LlamaForSequenceClassification

    make_tokenizer(folder, characters)
    torch.manual_seed(4)
    config = LlamaConfig(
        vocab_size=len(AutoTokenizer.from_pretrained(folder)),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        num_labels=labels,
        pad_token_id=0,
        initializer_range=0.3,
    )
    LlamaForSequenceClassification(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("characters", [CHARACTERS, CHARACTERS[::-1] + "新"], ids=["own", "other"])
def test_a_reward_model_reads_the_last_token(tokenizer, asked, tmp_path, capsys, characters):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = make_reward_model(tmp_path / "rm", characters)
    found = make_reward(str(folder), tokenizer, CPU, 2)(*asked)
    assert ("another tokenizer" in capsys.readouterr().err) == (characters != CHARACTERS)
    model, own = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    for prompt, answer, score in zip(*asked, found, strict=True):
        text = prompt.text + tokenizer.decode(answer, skip_special_tokens=True)
        with torch.no_grad():
            wanted = model(torch.tensor([[*own(text)["input_ids"], own.eos_token_id]])).logits[0, 0]
        assert score == pytest.approx(float(wanted), abs=1e-5)
    assert max(found) - min(found) > 0.1


def test_what_is_no_reward_model(tokenizer, tmp_path):
    make_model(tmp_path / "lm")
    make_reward_model(tmp_path / "two", CHARACTERS, labels=2)
    for folder, said in (("lm", "is a language model"), ("two", "has 2 labels"), ("none", "no such folder")):
        with pytest.raises(InputError, match=said):
            make_reward(str(tmp_path / folder), tokenizer, CPU, 8)


def test_a_reward_model_that_is_an_adapter_alone_and_over_the_policys_own_base(tokenizer, asked, tmp_path):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    base = make_model(tmp_path / "base", initializer_range=0.3)
    reward = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    lora = {"r": 4, "target_modules": ["q_proj", "v_proj"], "base_model_name_or_path": str(base)}
    tuned = get_peft_model(reward, LoraConfig(task_type="SEQ_CLS", **lora)).eval()
    for n, parameter in enumerate(p for p in tuned.parameters() if p.requires_grad):
        torch.nn.init.normal_(parameter, std=0.2, generator=torch.Generator().manual_seed(n))
    tuned.save_pretrained(tmp_path / "rm/adapter")
    make_tokenizer(tmp_path / "rm/adapter")
    with torch.no_grad():
        wanted = [
            float(tuned(torch.tensor([[*prompt.ids, *answer]])).logits[0, 0])
            for prompt, answer in zip(*asked, strict=True)
        ]
    assert max(wanted) - min(wanted) > 0.1
    alone = make_reward(str(tmp_path / "rm"), tokenizer, CPU, 2)
    assert alone(*asked) == pytest.approx(wanted, abs=1e-4)
    policy = AutoModelForCausalLM.from_pretrained(base)
    wrapped = get_peft_model(policy, LoraConfig(task_type="CAUSAL_LM", **lora))
    trained = {name for name, p in policy.named_parameters() if p.requires_grad}
    count = sum(p.numel() for p in policy.parameters())
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        before = policy(ids).logits
        shared = make_reward(str(tmp_path / "rm"), tokenizer, CPU, 2, shared=(wrapped, base))
        assert shared(*asked) == pytest.approx(wanted, abs=1e-4)
        assert torch.equal(policy(ids).logits, before)
    assert {name for name, p in policy.named_parameters() if p.requires_grad} == trained
    assert sum(p.numel() for p in policy.parameters()) < 1.2 * count  # an adapter more, not a model

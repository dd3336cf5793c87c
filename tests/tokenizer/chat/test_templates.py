"""Pieces equal the jinja templates; ids and masks equal transformers'; a prompt is the beginning of its conversation."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from corpus.instructions.rows import Conversation, Turn
from tests.tokenizer.conftest import SENTENCES
from tokenizer.chat.encode import (
    PRESETS,
    ChatTokenizer,
    encode,
    encode_answered,
    encode_prompt,
    find_template,
    load,
    render,
    seam,
)
from tokenizer.chat.own import OwnTemplate
from tokenizer.chat.pieces import NoPlace, Specials, messages_of
from tokenizer.export import CHAT_TEMPLATE
from workbench.errors import ConfigError, InputError

TOOLS = '[{"type": "function", "function": {"name": "天气", "parameters": {"type": "object"}}}]'
SPECIALS = Specials("<s>", "</s>")

texts = st.text(st.sampled_from("你好，吗 aA1.:\n-（）`#🙂ｘ"), min_size=1, max_size=12).map(str.strip).filter(bool)
exchanges = st.lists(st.tuples(texts, texts), min_size=1, max_size=3)


def dialogue(pairs, system=None):
    turns = [Turn("system", system)] if system else []
    for question, answer in pairs:
        turns += [Turn("user", question), Turn("assistant", answer)]
    return tuple(turns)


WITH_TOOLS = (
    Turn("system", "你是助手。"),
    Turn("user", "北京天气？"),
    Turn("assistant", "我查一下。"),
    Turn("call", '{"name": "天气", "arguments": {"城市": "北京"}}'),
    Turn("tool", '{"温度": 3}'),
    Turn("tool", "晴"),
    Turn("assistant", "三度，晴。"),
    Turn("user", "上海和广州呢？"),
    Turn("call", '[{"name": "天气", "arguments": {"城市": "上海"}}, {"name": "天气", "arguments": {"城市": "广州"}}]'),
    Turn("tool", "十度"),
    Turn("assistant", "十度。"),
)


@cache
def byte_level_json():
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.ByteLevel(add_prefix_space=False)])
    made.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=420, initial_alphabet=alphabet, special_tokens=special, show_progress=False
    )
    made.train_from_iterator([*SENTENCES * 3, "a\n\nb\n\nc\n\n: x\n\n\nd" * 5, "x```` y```` " * 9], trainer)
    return made.to_str()


def fast(chat_template=None):
    transformers = pytest.importorskip("transformers")
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(byte_level_json()), bos_token="<|endoftext|>", eos_token="<|endoftext|>"
    )
    made.chat_template = chat_template
    return made


def test_the_table_names_each_preset_by_its_name():
    assert list(PRESETS) == ["ziya", "llama2", "chatml", "qwen", "alpaca", "vicuna"]
    assert PRESETS["ziya"].jinja == CHAT_TEMPLATE


GOLDEN = {
    "ziya": "<s>你是谁\n<human>一<bot>[二</s>]<human>三<bot>[四</s>]",
    "llama2": "<s>[INST] <<SYS>>\n你是谁\n<</SYS>>\n\n一 [/INST][ 二 </s>]<s>[INST] 三 [/INST][ 四 </s>]",
    "chatml": "<|im_start|>system\n你是谁<|im_end|>\n<|im_start|>user\n一<|im_end|>\n<|im_start|>assistant\n"
    "[二<|im_end|>]\n<|im_start|>user\n三<|im_end|>\n<|im_start|>assistant\n[四<|im_end|>]\n",
    "alpaca": "<s>你是谁\n\n### Instruction:\n一\n\n### Response:\n[二</s>]\n\n### Instruction:\n三\n\n### Response:\n[四</s>]\n\n",
    "vicuna": "<s>你是谁 USER: 一 ASSISTANT:[ 二</s>]USER: 三 ASSISTANT:[ 四</s>]",
}
GOLDEN["qwen"] = GOLDEN["chatml"]


@pytest.mark.parametrize("name", PRESETS)
def test_a_dialogue_with_its_loss_in_brackets(name):
    pieces = render(dialogue([("一", "二"), ("三", "四")], "你是谁"), name)
    assert "".join(f"[{text}]" if bears else text for text, bears in pieces) == GOLDEN[name]


def test_defaults_without_a_system_turn():
    turns = dialogue([("一", "二")])
    assert render(turns, "qwen")[0].text == "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    assert "system" not in render(turns, "chatml")[0].text
    assert render(turns, "alpaca")[0].text.startswith("<s>Below is an instruction")
    assert render(turns, "vicuna")[0].text.startswith("<s>A chat between")


def by_jinja(preset, turns, tools=None, ask=False):
    return OwnTemplate(preset.jinja).pieces(turns, tools, SPECIALS, ask)


def joined(pieces):
    """Pieces as (text, loss) with neighbours of one kind joined: the two faces cut the text differently."""
    out = []
    for text, bears in pieces:
        if text and out and out[-1][1] == bears:
            out[-1] = (out[-1][0] + text, bears)
        elif text:
            out.append((text, bears))
    return out


@pytest.mark.parametrize("name", PRESETS)
@given(pairs=exchanges, system=st.none() | texts, ask=st.booleans())
@settings(max_examples=40)
def test_pieces_equal_the_jinja_template(name, pairs, system, ask):
    turns = dialogue(pairs, system)
    turns = turns[:-1] if ask else turns
    preset = PRESETS[name]
    assert joined(preset.pieces(turns, None, SPECIALS, ask)) == joined(by_jinja(preset, turns, None, ask))


@pytest.mark.parametrize("name", ["chatml", "qwen"])
@pytest.mark.parametrize("tools", [TOOLS, None])
def test_tools_equal_the_jinja_template(name, tools):
    preset = PRESETS[name]
    for n in range(1, len(WITH_TOOLS) + 1):
        if WITH_TOOLS[n - 1].role == "assistant" and n < len(WITH_TOOLS) and WITH_TOOLS[n].role == "call":
            continue
        turns = WITH_TOOLS[:n]
        assert joined(preset.pieces(turns, tools, SPECIALS, False)) == joined(by_jinja(preset, turns, tools))
    said = [text for text, bears in preset.pieces(WITH_TOOLS, tools, SPECIALS, False) if bears]
    assert said[0] == '我查一下。\n<tool_call>\n{"name": "天气", "arguments": {"城市": "北京"}}\n</tool_call><|im_end|>'
    assert len(said) == 4
    assert said[2].count("<tool_call>") == 2


@pytest.mark.parametrize("name", ["ziya", "llama2", "alpaca", "vicuna"])
def test_a_template_without_a_place_for_tools_says_so(name):
    with pytest.raises(NoPlace, match=f"template {name}: has no place for a turn of role call; take template=qwen"):
        render(WITH_TOOLS, name)
    with pytest.raises(NoPlace, match="has no place for tools"):
        render(dialogue([("a", "b")]), name, TOOLS)


@pytest.mark.parametrize("name", PRESETS)
@given(pairs=exchanges, system=st.none() | texts)
@settings(max_examples=25)
def test_ids_and_mask_equal_transformers(name, pairs, system):
    preset, hf = PRESETS[name], fast(PRESETS[name].jinja)
    turns = dialogue(pairs, system)
    theirs = hf.apply_chat_template(messages_of(turns), return_assistant_tokens_mask=True, return_dict=True)
    ours = encode(ChatTokenizer.of(hf), Conversation("", turns), preset)
    assert ours.ids.tolist() == theirs["input_ids"]
    assert ours.loss.astype(int).tolist() == theirs["assistant_masks"]
    assert ours.ids.dtype == np.uint32


@pytest.mark.parametrize("name", ["chatml", "qwen"])
def test_tool_calls_equal_transformers(name):
    hf = fast(PRESETS[name].jinja)
    theirs = hf.apply_chat_template(
        messages_of(WITH_TOOLS), tools=json.loads(TOOLS), return_assistant_tokens_mask=True, return_dict=True
    )
    ours = encode(ChatTokenizer.of(hf), Conversation("", WITH_TOOLS, tools=TOOLS), PRESETS[name])
    assert ours.ids.tolist() == theirs["input_ids"]
    assert ours.loss.astype(int).tolist() == theirs["assistant_masks"]


@pytest.mark.parametrize("name", PRESETS)
@given(pairs=exchanges, system=st.none() | texts)
@settings(max_examples=25)
def test_a_prompt_is_the_beginning_of_its_conversation_byte_level(name, pairs, system):
    check_seam(ChatTokenizer(Tokenizer.from_str(byte_level_json()), Specials("", "<|endoftext|>")), name, pairs, system)


@pytest.mark.parametrize("name", PRESETS)
def test_a_prompt_is_the_beginning_of_its_conversation_sentencepiece(name, extended):
    chat = load(extended)

    @given(pairs=exchanges, system=st.none() | texts)
    @settings(max_examples=25)
    def holds(pairs, system):
        check_seam(chat, name, pairs, system)

    holds()
    assert seam(chat, PRESETS[name]) is None


def check_seam(chat, name, pairs, system):
    turns = dialogue(pairs, system)
    whole = encode(chat, Conversation("", turns), PRESETS[name])
    prompt, answer = encode_answered(chat, turns[:-1], turns[-1].content, PRESETS[name])
    assert prompt.tolist() == encode_prompt(chat, turns[:-1], PRESETS[name]).tolist()
    assert whole.ids[: len(prompt)].tolist() == prompt.tolist()
    last = whole.loss.copy()
    last[: len(prompt)] = False
    assert np.flatnonzero(last).tolist() == list(range(len(prompt), len(prompt) + len(answer)))
    assert whole.ids[last].tolist() == answer.tolist()


def test_the_folder_that_extend_writes_has_ziya_as_its_own(extended):
    chat = load(extended)
    assert find_template(None, chat) is PRESETS["ziya"]
    coded = encode(chat, Conversation("", dialogue([("研墨", "笔墨纸砚"), ("砚", "墨")])), find_template(None, chat))
    said = chat.tokenizer.decode(coded.ids[coded.loss].tolist(), skip_special_tokens=False)
    assert said.replace(" ", "") == "笔墨纸砚</s>墨</s>"


UNMARKED = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def test_a_template_without_marks_is_marked_by_what_an_answer_adds():
    pieces = OwnTemplate(UNMARKED).pieces(dialogue([("一", "二"), ("三", "四")]), None, SPECIALS, False)
    assert [text for text, bears in pieces if bears] == ["二<|im_end|>\n", "四<|im_end|>\n"]
    assert "".join(text for text, _ in pieces).startswith("<|im_start|>user\n一<|im_end|>\n<|im_start|>assistant\n二")


def test_a_template_without_marks_that_rewrites_the_past_is_refused():
    template = OwnTemplate("{{ messages | length }}{% for m in messages %}{{ m['content'] }}{% endfor %}")
    with pytest.raises(NoPlace, match="rewrites what came before an answer; name another"):
        template.pieces(dialogue([("一", "二"), ("三", "四")]), None, SPECIALS, False)


def test_a_template_that_refuses_is_one_line():
    with pytest.raises(NoPlace, match=r"refuses the turns \(只有用户\); name another template"):
        OwnTemplate("{{ raise_exception('只有用户') }}").pieces(dialogue([("一", "二")]), None, SPECIALS, False)


def test_a_seam_that_a_token_reaches_over_is_found():
    said = "{% generation %}{{ m.content }}{% endgeneration %}"
    leaky = OwnTemplate(
        "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}`{% else %}" + said + "{% endif %}{% endfor %}"
    )
    chat = ChatTokenizer(Tokenizer.from_str(byte_level_json()), SPECIALS)
    assert seam(chat, leaky) == "```"
    assert seam(chat, PRESETS["chatml"]) is None


def test_a_template_that_leaves_calls_or_tools_out_is_refused():
    template = OwnTemplate("{% for m in messages %}{{ m.content }}{% endfor %}")
    with pytest.raises(NoPlace, match="leaves tool calls out; take template=qwen"):
        template.pieces(WITH_TOOLS, None, SPECIALS, False)
    with pytest.raises(NoPlace, match="leaves tools out"):
        template.pieces(dialogue([("一", "二")]), TOOLS, SPECIALS, False)


def test_mistakes_are_one_line(tmp_path):
    with pytest.raises(ConfigError, match="template=chatlm: no such chat template; did you mean chatml"):
        find_template("chatlm")
    with pytest.raises(ConfigError, match="no chat template of its own; name one: ziya"):
        find_template(None, ChatTokenizer(None, SPECIALS))
    with pytest.raises(InputError, match=r"has no tokenizer\.json"):
        load(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path)

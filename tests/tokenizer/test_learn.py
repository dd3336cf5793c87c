import json
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tokenizer.conftest import SENTENCES, make_corpus
from tokenizer.base import Base
from tokenizer.cli import command
from tokenizer.extend import extend
from tokenizer.learn import LearnSettings, Sample, admit, learn, learn_words
from tokenizer.vocabularies import find_list, is_hanzi
from tokenizer.words import BREAK, Merges, learn_merges
from workbench.errors import ConfigError, InputError, OutputError
from workbench.files import sha256_file


def slow_merges(symbols, mark, alphabet, most, floor, longest):
    """Byte pair encoding by its definition: count all pairs, merge the best, begin again."""
    runs, run = [], []
    for place, symbol in enumerate([*symbols, BREAK]):
        if symbol == BREAK:
            runs.append((place <= mark, run))
            run = []
        else:
            run.append(symbol)
    chars = dict.fromkeys(range(alphabet), 1)
    out = []
    while len(out) < most:
        counts = Counter()
        for train, run in runs:
            if train:
                counts.update(zip(run, run[1:], strict=False))
        fit = [p for p, n in counts.items() if n >= floor and chars[p[0]] + chars[p[1]] <= longest]
        if not fit:
            break
        best = min(fit, key=lambda pair: (-counts[pair], pair))
        made = alphabet + len(out)
        chars[made] = chars[best[0]] + chars[best[1]]
        applied = [0, 0]
        for train, run in runs:
            k = 0
            while k < len(run) - 1:
                if (run[k], run[k + 1]) == best:
                    run[k : k + 2] = [made]
                    applied[not train] += 1
                k += 1
        out.append((*best, *applied))
    return out


@given(
    runs=st.lists(st.lists(st.integers(0, 3), max_size=25), max_size=30),
    held_out=st.lists(st.lists(st.integers(0, 3), max_size=25), max_size=5),
    floor=st.integers(1, 3),
    longest=st.integers(2, 8),
)
def test_merges_are_those_of_the_definition(runs, held_out, floor, longest):
    train, rest = ([s for run in part for s in (*run, BREAK)] for part in (runs, held_out))
    symbols = np.array([*train, *rest], np.int32)
    found = learn_merges(symbols.copy(), len(train), 4, 40, floor, longest)
    columns = (found.left, found.right, found.train, found.held_out)
    assert list(zip(*(c.tolist() for c in columns), strict=True)) == slow_merges(
        symbols.tolist(), len(train), 4, 40, floor, longest
    )


def test_many_pairs_make_the_tables_grow():
    rng = np.random.default_rng(0)
    symbols = (rng.zipf(1.2, 60_000) % 900).astype(np.int32)
    symbols[rng.random(60_000) < 0.1] = BREAK
    symbols[50_000] = BREAK
    found = learn_merges(symbols.copy(), 50_001, 900, 12, 2, 6)
    columns = (found.left, found.right, found.train, found.held_out)
    assert list(zip(*(c.tolist() for c in columns), strict=True)) == slow_merges(
        symbols.tolist(), 50_001, 900, 12, 2, 6
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    rows = [
        {"id": f"t/{n}", "text": "".join(SENTENCES[(n + k) % 10] for k in range(3)), "bucket": "head"}
        for n in range(120)
    ]
    return make_corpus(tmp_path_factory.mktemp("corpus"), rows)


def test_admitted_words_can_all_be_reached_and_save_what_is_said(corpus, small, tmp_path):
    settings = LearnSettings(30, min_count=2)
    found, _ = learn(corpus, settings)
    assert len(found.words) == 30 == len(set(found.words))
    assert all(len(word) >= 2 and all(map(is_hanzi, word)) for word in found.words)
    assert "研究生" in found.words
    out = tmp_path / "words.txt"
    assert command(["learn", str(corpus), "--count", "30", "--min-count", "2", "--out", str(out), "--json"]) == 0
    report = extend(Base("small", small, sha256_file(small)), [find_list(str(out))], tmp_path / "tok", pad_to=1)
    assert report["unreachable"] == []
    assert find_list(str(out)).pieces == found.words
    assert 0 < found.held_out_saved < found.held_out_hanzi


def test_more_documents_than_fit_are_sampled_whatever_their_order(capsys):
    ids = pl.Series([f"d/{n}" for n in range(400)])
    texts = pl.Series([SENTENCES[n % 5] * 3 for n in range(400)])
    whole, turned, settings = Sample(4000), Sample(4000), LearnSettings(20, min_count=1)
    whole.add(ids, texts)
    for n in range(399, -1, -7):
        turned.add(ids[max(0, n - 6) : n + 1], texts[max(0, n - 6) : n + 1])
    assert 30 < len(whole) == len(turned) < 400
    assert whole.documents == turned.documents == 400
    assert len(whole.symbols()[0]) <= 4000
    assert learn_words(whole, settings) == learn_words(turned, settings)


def test_admission_is_by_held_out_uses_and_keeps_the_order_of_merging():
    merges = Merges(*(np.array(column) for column in ([0] * 4, [1] * 4, [9, 8, 7, 6], [1, 5, 0, 5])))
    assert admit(merges, 2).tolist() == [1, 3]
    assert admit(merges, 3).tolist() == [0, 1, 3]
    assert admit(merges, 9).tolist() == [0, 1, 2, 3]


def test_bad_input_is_one_line(corpus, tmp_path, capsys):
    with pytest.raises(InputError, match="has no manifest"):
        learn(tmp_path, LearnSettings(5))
    with pytest.raises(InputError, match="lower --min-count"):
        learn(corpus, LearnSettings(5, min_count=10**6))
    for given_, said in (({"count": 0}, "--count"), ({"count": 1, "max_chars": 17}, "--max-chars")):
        with pytest.raises(ConfigError, match=said):
            LearnSettings(**given_)
    out = tmp_path / "words.txt"
    out.write_text("mine\n")
    with pytest.raises(OutputError, match="--overwrite"):
        command(["learn", str(corpus), "--count", "5", "--min-count", "2", "--out", str(out)])
    assert command(["learn", str(corpus), "--count", "5", "--min-count", "2", "--out", str(out), "--overwrite"]) == 0
    assert "words admitted" in capsys.readouterr().out
    again = ["learn", str(corpus), "--count", "5", "--min-count", "2", "--out", str(out), "--json"]
    assert command(again) == 0
    said = capsys.readouterr()
    assert "nothing to do" in said.err
    assert json.loads(said.out)["words"] == 5
    with pytest.raises(OutputError, match="is a folder"):
        command(["learn", str(corpus), "--count", "5", "--min-count", "2", "--out", str(tmp_path)])

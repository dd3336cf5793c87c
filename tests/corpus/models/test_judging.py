from __future__ import annotations

import fasttext
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.classifier import positive_scores, train
from corpus.models.judging import calibration, judge, probabilities, roc_auc

SCORES = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9]), st.booleans()), min_size=2, max_size=30)


@given(SCORES)
def test_auc_is_the_share_of_pairs_in_order(rows: list[tuple[float, bool]]) -> None:
    scores, positive = np.array([s for s, _ in rows]), np.array([p for _, p in rows])
    pairs = [(a > b) + (a == b) / 2 for a in scores[positive] for b in scores[~positive]]
    auc, error = roc_auc(scores, positive)
    if pairs:
        assert auc == pytest.approx(sum(pairs) / len(pairs))
        assert error is not None
    else:
        assert auc is error is None


def test_hanley_and_mcneils_error() -> None:
    """Their own example: area .89305, 58 normal and 51 abnormal images, standard error about .032."""
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(0, 1, 58), rng.normal(1.757, 1, 51)])
    positive = np.arange(109) >= 58
    auc, error = roc_auc(scores, positive)
    assert auc == pytest.approx(0.893, abs=0.04)
    assert error == pytest.approx(0.032, abs=0.006)


def test_by_label_by_hand() -> None:
    truth = np.array([0, 0, 0, 1, 1, 2])
    given_to = np.array([0, 0, 1, 1, 1, 1])
    chances = np.full((6, 3), 0.1)
    chances[np.arange(6), given_to] = 0.8
    found = judge(chances, truth, ("a", "b", "c"))
    by = {one.label: (one.documents, one.given, one.precision, one.recall, one.f1) for one in found.labels}
    assert by == {"a": (3, 2, 1.0, 2 / 3, 0.8), "b": (2, 4, 0.5, 1.0, 2 / 3), "c": (1, 0, None, 0.0, 0.0)}
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.auc is None
    assert found.calibration_of == "the label given"
    assert found.expected_calibration_error == pytest.approx(abs(0.8 - 4 / 6))


def test_calibration_counts_every_document_once() -> None:
    chance = np.array([0.0, 0.05, 0.1, 0.55, 0.95, 1.0])
    came_true = np.array([False, True, False, True, True, True])
    bins = calibration(chance, came_true)
    assert [one.documents for one in bins] == [2, 1, 0, 0, 0, 1, 0, 0, 0, 2]
    assert (bins[0].predicted, bins[0].observed) == (pytest.approx(0.025), 0.5)
    assert bins[2].predicted is bins[2].observed is None
    chances = np.stack([1 - chance, chance], axis=1)
    found = judge(chances, came_true.astype(np.int64), ("negative", "positive"))
    expected = (2 * abs(0.025 - 0.5) + 0.1 + abs(0.55 - 1) + 2 * abs(0.975 - 1)) / 6
    assert found.expected_calibration_error == pytest.approx(expected)
    assert found.calibration_of == "positive"


def test_probabilities_are_the_librarys_and_the_stages(
    tmp_path_factory: pytest.TempPathFactory, labelled: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("judging") / "a.bin"
    train([f"__label__{label} {' '.join(text)}\n" for text, label in labelled[:100]], path, epochs=20)
    model = fasttext.load_model(str(path))
    texts = [" ".join(text) for text, _ in labelled[100:130]]
    found = probabilities(model, texts, ("negative", "positive"))
    assert found.sum(axis=1) == pytest.approx(np.ones(30))
    assert found[:, 1] == pytest.approx(positive_scores(model, texts), abs=1e-4)
    assert probabilities(model, [], ("negative", "positive")).shape == (0, 2)

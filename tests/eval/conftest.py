import shutil

import pytest

from tests.train.toy import make_tokenizer, make_tokens


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """A folder with ``tok`` and ``tokens``, made once."""
    folder = tmp_path_factory.mktemp("toy")
    make_tokens(folder / "tokens", make_tokenizer(folder / "tok"))
    return folder


@pytest.fixture(scope="module")
def saved(toy, tmp_path_factory):
    """The folder of a tiny model with the tokenizer of ``toy``."""
    from tests.train.test_data import tiny

    folder = tmp_path_factory.mktemp("model")
    tiny().save_pretrained(folder)
    shutil.copy(toy / "tok/tokenizer.model", folder)
    return folder

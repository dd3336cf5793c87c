import pytest

from tests.train.toy import make_tokenizer, make_tokens


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """A folder with ``tok`` and ``tokens``, made once."""
    folder = tmp_path_factory.mktemp("toy")
    make_tokens(folder / "tokens", make_tokenizer(folder / "tok"))
    return folder

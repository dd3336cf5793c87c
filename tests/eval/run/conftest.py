import pytest

from .world import make_data, make_model


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Tiny products are slower on two threads, and far slower where the machine is busy."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def official(tmp_path_factory):
    """Tiny files in the official formats."""
    return make_data(tmp_path_factory.mktemp("official"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A tiny random model."""
    return make_model(tmp_path_factory.mktemp("models") / "tiny")

from tests.train.conftest import toy  # noqa: F401 - a fixture

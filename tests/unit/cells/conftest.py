import pytest
from derotated_cells import derotated


@pytest.fixture(scope="session")
def turned(tmp_path_factory):
    return derotated(tmp_path_factory.mktemp("turned"))

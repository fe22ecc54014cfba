import pytest

from derotation.io.movie import open_movie
from derotation.simulate import simulate_recording
from unit.sessions import save_movie, true_angles, true_timing


@pytest.fixture(scope="session")
def incremental(tmp_path_factory):
    """An incremental session, tilted: recording, movie, true angles."""
    recording = simulate_recording(
        protocol="incremental", shape=(144, 160), n_cells=22, degrees_per_step=15.0,
        step_rest_s=0.5, rest_before_s=0.5, rest_after_s=0.5, plane_angle=25.0,
        plane_orientation=40.0, center_offset=(4.3, -3.2), seed=3,
    )  # fmt: skip
    with open_movie(save_movie(recording, tmp_path_factory.mktemp("incremental"))) as movie:
        yield recording, movie, true_angles(recording)


@pytest.fixture(scope="session")
def full(tmp_path_factory):
    """A full session: recording, movie, true angles, timing."""
    recording = simulate_recording(
        shape=(112, 128), n_cells=20, stimulus=((100.0, 1), (100.0, -1), (200.0, 1)),
        center_offset=(3.3, -2.2), rest_before_s=1.0, rest_between_s=0.5, rest_after_s=0.5, seed=5,
    )  # fmt: skip
    with open_movie(save_movie(recording, tmp_path_factory.mktemp("full"))) as movie:
        yield recording, movie, true_angles(recording), true_timing(recording)

"""The two-cell sample and its turns."""

import numpy as np
import pytest

from derotation.errors import InputError
from derotation.simulate.synthetic_data import SyntheticData


def test_picture_has_two_discs_on_a_background():
    image = SyntheticData().image
    assert image.shape == (100, 100)
    assert image.dtype == np.uint8
    assert image[10, 50] == 255  # centers are (x, y)
    assert image[60, 60] == 128
    assert image[0, 0] == 80
    y, x = np.nonzero(image == 255)
    assert np.hypot(x - 50, y - 10).max() <= 5
    assert np.count_nonzero(image == 255) == 81


def test_padding_moves_everything_along():
    data = SyntheticData(pad=20, second_cell=False, background_value=0)
    assert data.lines_per_frame == 140
    assert data.center_of_bright_cell == (70, 30)
    image = data.create_sample_image_with_cells()
    assert image.shape == (140, 140)
    assert image[30, 70] == 255
    assert set(np.unique(image)) == {0, 255}
    np.testing.assert_array_equal(image, data.create_sample_image_with_cells())


def test_angles_of_both_turns():
    incremental, sinusoidal = SyntheticData.create_rotation_angles((50, 40, 60))
    assert incremental.shape == sinusoidal.shape == (2000,)
    np.testing.assert_array_equal(np.unique(incremental), np.arange(0, 360, 10))
    assert np.all(np.diff(incremental) >= 0)
    assert np.abs(sinusoidal).max() == pytest.approx(360, abs=0.01)
    assert sinusoidal[0] == 0
    assert sinusoidal[-1] == pytest.approx(0, abs=1e-9)


def test_pipeline_turns_the_sample_back():
    pytest.importorskip("derotation.derotate_by_line")
    data = SyntheticData(
        lines_per_frame=60,
        center_of_bright_cell=(30, 12),
        center_of_dimmer_cell=(40, 38),
        num_frames=40,
        center_of_rotation_offset=(3, -2),
    )
    data.integration_pipeline()
    assert data.center_of_rotation == (32.5, 27.5)
    assert data.rotated_stack_incremental.shape == (40, 60, 60)
    assert data.derotated_sinusoidal.shape == (40, 60, 60)
    inner = np.s_[15:45, 15:45]
    turned = data.rotated_stack_sinusoidal.mean(axis=0)
    back = data.derotated_sinusoidal.mean(axis=0)
    error_turned = np.abs(turned - data.image)[inner].mean()
    error_back = np.abs(back - data.image)[inner].mean()
    assert error_back < 0.3 * error_turned


def test_plots_are_saved_only_when_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = SyntheticData(lines_per_frame=20, num_frames=5, radius=2)
    data.image_stack = data.create_image_stack()
    data.incremental_angles, data.sinusoidal_angles = data.create_rotation_angles((5, 20, 20))
    data.rotated_stack_incremental = data.rotated_stack_sinusoidal = data.image_stack
    data.derotated_sinusoidal = data.image_stack
    for name in ("angles", "original_image", "a_few_rotated_frames", "derotated_frames"):
        figure = getattr(data, f"plot_{name}")()
        assert figure.axes[0].get_title()
    assert data.plot_mean_projection().axes
    assert list(tmp_path.iterdir()) == []
    data._save_plots()
    assert len(list((tmp_path / "debug").glob("*.png"))) == 5


def test_impossible_samples_are_refused():
    with pytest.raises(InputError, match="pad >= 0"):
        SyntheticData(pad=-1)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"center_of_rotation_offset": (3, -2), "second_cell": False, "pad": 20},
        {"rotation_plane_angle": 25, "rotation_plane_orientation": 40, "pad": 20},
    ],
)
def test_center_is_found_from_the_stack_turned_in_steps(parameters):
    data = SyntheticData(num_frames=72, **parameters)
    data.integration_pipeline()
    assert data.fitted_center == pytest.approx(data.center_of_rotation, abs=0.05)


def test_the_plane_is_found_not_given():
    truth = {"rotation_plane_angle": 25, "rotation_plane_orientation": 40}
    data = SyntheticData(lines_per_frame=80, center_of_bright_cell=(40, 16), pad=10,
                         center_of_dimmer_cell=(54, 50), num_frames=72, **truth)  # fmt: skip
    data.integration_pipeline()
    found = (data.rotation_plane_angle, data.rotation_plane_orientation)
    assert found == pytest.approx((25, 40), abs=3)
    assert found != (25, 40)
    assert data.center == data.center_of_rotation
    # A second run is of the same sample.
    first = data.rotated_stack_sinusoidal
    data.integration_pipeline()
    np.testing.assert_array_equal(data.rotated_stack_sinusoidal, first)

"""A window, the tiles cut from it, and sessions that share it."""

import numpy as np
import pytest

from derotation.errors import InputError
from derotation.simulate import View, cut_tiles, plan_recording, stage_matrix, window_scene


def test_tiles_show_the_window_at_their_places():
    scene = window_scene((80, 100), seed=1, brightness=10)
    places = [(3.5, 7.25), (10.0, 30.0)]
    cut = cut_tiles(scene, places, (20, 30), rng=np.random.default_rng(0), photons=False)
    assert cut.images.shape == (2, 20, 30)
    for image, (row, column) in zip(cut.images, places, strict=True):
        y, x = np.mgrid[:20, :30]
        np.testing.assert_allclose(image, 100 + 20 * scene.evaluate(x + column, y + row), rtol=1e-6)
    np.testing.assert_allclose(cut.images, cut.exact)


def test_noise_light_and_disc():
    scene = window_scene((60, 60), seed=2, brightness=50)
    light = np.full((40, 40), 0.5)
    cut = cut_tiles(
        scene, np.zeros((2, 2)), (40, 40), rng=np.random.default_rng(0), illumination=light,
        brightness=[1.0, 2.0], disc=True,
    )  # fmt: skip
    assert not cut.masks[0, 0, 0]
    assert cut.masks[0, 20, 1]
    assert (cut.images[~cut.masks] == cut.blank).all()
    expected = (cut.exact[1] - 100) / 20
    counts = (cut.images[1] - 100)[cut.masks[1]] / 20
    # Half the light, twice the brightness: Poisson counts of the scene itself.
    rest = (counts - expected[cut.masks[1]]) / np.sqrt(expected[cut.masks[1]])
    assert rest.mean() == pytest.approx(0, abs=0.1)
    assert rest.std() == pytest.approx(1, abs=0.1)


def test_sessions_with_one_window_share_the_sample():
    def rest_image(position, **more):
        plan = plan_recording(
            shape=(32, 40), view={"window": [90, 90], "position": position, "seed": 3},
            photons_per_pixel=None, **more,
        )  # fmt: skip
        return plan.rest_image

    one, other = rest_image([10, 12], seed=1), rest_image([25, 17], seed=2, center_offset=[3, 1])
    np.testing.assert_allclose(one[5:, 15:], other[:-5, :-15], atol=1e-9)
    assert np.ptp(one) > 0.5
    with pytest.raises(InputError, match="unknown view 'windo'"):
        plan_recording(view={"windo": [90, 90]})


def test_view_takes_lists():
    assert View(window=[50, 60], position=[1, 2]).window == (50, 60)
    with pytest.raises(InputError, match="at least 8 x 8"):
        window_scene((4, 50))


def test_the_stages_matrix_by_hand():
    # (row, column): a step along the columns goes up by sin, one along the rows right by sin.
    np.testing.assert_allclose(
        stage_matrix(30, 0, (10, 20)),
        [[10 * np.sqrt(3) / 2, -10], [5, 10 * np.sqrt(3)]],
    )
    np.testing.assert_allclose(stage_matrix(0, 30), [[np.sqrt(3) / 2, 0], [-0.5, 1]], atol=1e-12)

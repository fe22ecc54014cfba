import numpy as np
import pytest

from derotation.errors import InputError
from derotation.images.ptd import most_detected_blob, ptd_of_most_detected_blob
from unit.images.test_blob_detection import draw

TURNED = np.radians(np.arange(0, 360, 15))


def wandering(radius, noise=0.02, gain=1.0):
    """Images in which the blobs move on a circle, as about a wrong center."""
    places = [(30.0, 45.0), (75.0, 30.0), (70.0, 65.0)]
    images = []
    for k, a in enumerate(TURNED):
        shift = radius * np.array([np.cos(a), np.sin(a)])
        spots = [(*(place + shift), 4.0, 1.0) for place in places]
        images.append(gain * (5 + draw(spots, noise=noise, seed=k)))
    return np.stack(images)


def circle_distance(radius):
    points = radius * np.column_stack([np.cos(TURNED), np.sin(TURNED)])
    away = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    return away[np.triu_indices(len(points), 1)].mean()


@pytest.mark.parametrize("radius", [0.5, 2.0, 5.0])
def test_distance_is_that_of_the_circle(radius):
    found = ptd_of_most_detected_blob(wandering(radius, noise=0.01))
    assert found == pytest.approx(circle_distance(radius), abs=0.1)


def test_lower_is_better_and_brightness_does_not_matter():
    values = [ptd_of_most_detected_blob(wandering(r, gain=900.0)) for r in (0, 0.5, 1, 2, 4, 8)]
    assert np.all(np.diff(values) > 0)
    assert values[0] < 0.3
    assert ptd_of_most_detected_blob(wandering(1.0)) == pytest.approx(values[2], abs=1e-6)


def test_without_blobs_the_distance_is_finite(caplog):
    nothing = ptd_of_most_detected_blob(np.ones((5, 30, 40)))
    assert nothing == pytest.approx(50.0)
    images = wandering(1.0)
    known = {"min_sigma": 7, "max_sigma": 10, "threshold": 0.95, "overlap": 0}
    assert ptd_of_most_detected_blob(images, blob_log_kwargs=known) == np.hypot(90, 110)
    assert "scaled to 0..1" in caplog.text


def test_a_blob_by_chance_is_worse_than_one_that_stands_still():
    rng = np.random.default_rng(0)
    chance = [draw([(*rng.uniform(10, 80, 2), 4.0, 1.0)]) for _ in TURNED]
    chance[3] = chance[4]
    assert ptd_of_most_detected_blob(np.stack(chance)) > ptd_of_most_detected_blob(wandering(1.0))


def test_picture_and_arguments(tmp_path):
    images = wandering(2.0)[:6]
    ptd_of_most_detected_blob(
        images, dbscan_kwargs={"eps": 10, "min_samples": 2}, debug_plots_folder=tmp_path / "new"
    )
    assert (tmp_path / "new" / "most_detected_blob.png").stat().st_size > 1000
    ptd_of_most_detected_blob(images, plot=False, debug_plots_folder=tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with pytest.raises(InputError, match="epsilon"):
        ptd_of_most_detected_blob(images, dbscan_kwargs={"epsilon": 10})
    blob, blobs = most_detected_blob(images)
    assert blob.share == 1
    assert len(blobs) == blob.n_images == 6


def test_keywords_of_derotation_0_1(tmp_path):
    images = wandering(2.0)
    plain = ptd_of_most_detected_blob(images)
    named = ptd_of_most_detected_blob(
        mean_images_by_angle=images,
        plot=True,
        blob_log_kwargs={"min_sigma": 3, "max_sigma": 8, "threshold": 0.1, "overlap": 0},
        debug_plots_folder=tmp_path,
        image_names=["detected_blobs.png", "most_detected_blob_centers.png"],
        DBSCAN_max_distance=10.0,
        clipping_percentiles=[1.0, 99.99],
    )
    assert named == pytest.approx(plain, abs=0.1)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["detected_blobs.png", "most_detected_blob_centers.png"]
    grouped = most_detected_blob(images, dbscan_kwargs={"eps": 0.4})[0].ptd
    assert ptd_of_most_detected_blob(images, DBSCAN_max_distance=0.4) == grouped
    assert grouped != plain
    low, high = np.percentile(images, [40, 99.5], axis=(1, 2), keepdims=True)
    clipped = ptd_of_most_detected_blob(np.clip(images, low, high))
    assert ptd_of_most_detected_blob(images, clipping_percentiles=[40, 99.5]) == clipped
    with pytest.raises(InputError, match="one name or two"):
        ptd_of_most_detected_blob(images, image_names=["a", "b", "c"])
    with pytest.raises(InputError, match="0 to 100"):
        ptd_of_most_detected_blob(images, clipping_percentiles=[99, 1])

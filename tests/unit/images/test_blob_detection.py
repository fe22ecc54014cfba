import numpy as np
import pytest

from derotation.errors import InputError
from derotation.images.blob_detection import MAX_BLOBS, Blobs, detect_blobs
from derotation.images.blob_tracks import cluster_blobs
from derotation.images.blobs import BlobDetection
from derotation.images.ellipses import fit_shared_ellipses
from derotation.images.mean_images import mean_images_at_rest
from derotation.simulate import plan_recording


def draw(spots, shape=(90, 110), noise=0.0, seed=0):
    """Gaussian spots: rows of x, y, sigma, height."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = np.zeros(shape)
    for cx, cy, sigma, height in spots:
        image += height * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2))
    return image + noise * np.random.default_rng(seed).standard_normal(shape)


SPOTS = [(30.3, 40.7, 4.0, 1.0), (80.6, 25.2, 6.0, 0.8), (70.25, 65.5, 3.2, 1.2)]


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (3e4, 1e4), (1e-3, -5.0)])
def test_places_and_sizes_whatever_the_brightness(gain, offset):
    blobs = detect_blobs(offset + gain * draw(SPOTS, noise=0.02))
    assert len(blobs) == 3
    for x, y, sigma, _ in SPOTS:
        near = np.argmin(np.hypot(*(blobs.positions - (x, y)).T))
        assert blobs.positions[near] == pytest.approx((x, y), abs=0.15)
        assert blobs.sigmas[near] == pytest.approx(sigma, rel=0.15)
    assert np.all(np.diff(blobs.strengths) <= 0)


def test_the_largest_blob_is_the_widest():
    stack = np.stack([draw(SPOTS), draw(SPOTS[:1]), np.full((90, 110), 7.0)])
    coords = BlobDetection().get_coords_of_largest_blob(stack)
    assert coords.shape == (3, 2)
    assert coords[0].data == pytest.approx(SPOTS[1][:2], abs=0.1)
    assert coords[1].data == pytest.approx(SPOTS[0][:2], abs=0.1)
    assert np.ma.getmaskarray(coords).tolist() == [[False] * 2, [False] * 2, [True] * 2]
    assert np.isfinite(coords.data).all()


def test_slow_changes_and_unseen_corners_are_no_blobs():
    y, x = np.mgrid[:90, :110]
    image = draw(SPOTS) + 5 * np.exp(-((x - 55) ** 2 + (y - 45) ** 2) / (2 * 60.0**2))
    seen = np.hypot(x - 55, y - 45) < 42
    blobs = detect_blobs(np.where(seen, image, np.nan))
    expected = [s[:2] for s in SPOTS if np.hypot(s[0] - 55, s[1] - 45) < 35]
    assert len(blobs) == len(expected) == 3
    again = detect_blobs(image, seen)
    np.testing.assert_array_equal(again.positions, blobs.positions)


def test_large_images_are_binned():
    blobs = detect_blobs(draw([(300.4, 500.7, 9.0, 1.0)], (700, 1100)))
    assert blobs.positions[0] == pytest.approx((300.4, 500.7), abs=0.6)
    assert blobs.sigmas[0] == pytest.approx(9, rel=0.15)


@pytest.mark.parametrize("params", [{}, {"threshold": 0.0}, {"threshold": 0.0, "overlap": 1.0}])
def test_the_work_is_bounded(params):
    noise = np.random.default_rng(0).normal(1000, 300, (256, 256))
    assert len(detect_blobs(noise, blob_log_kwargs=params)) <= MAX_BLOBS


def test_options_and_errors(tmp_path):
    image = draw(SPOTS)
    assert len(detect_blobs(image, blob_log_kwargs={"threshold": 0.99})) == 0
    dim = draw([SPOTS[0], (80.0, 25.0, 4.0, 0.5)])
    assert len(detect_blobs(dim)) == 2
    assert len(detect_blobs(dim, blob_log_kwargs={"threshold_rel": 0.8})) == 1
    with pytest.raises(InputError, match="blob_log"):
        detect_blobs(image, blob_log_kwargs={"min_sgima": 3})
    with pytest.raises(InputError, match="shape"):
        BlobDetection().detect(image)
    with pytest.raises(InputError, match="seen has the shape"):
        BlobDetection().detect(image[None], seen=np.ones((2, 2, 2)))
    with pytest.raises(InputError, match="debug_plots_folder"):
        BlobDetection(debugging_plots=True)
    BlobDetection(True, tmp_path / "new").get_coords_of_largest_blob(image[None])
    assert (tmp_path / "new" / "blobs.png").stat().st_size > 1000


def blobs_at(*places):
    n = len(places)
    return Blobs(
        positions=np.array(places, float).reshape(-1, 2), sigmas=np.ones(n), strengths=np.ones(n)
    )


def test_clusters_are_those_of_dbscan():
    # A chain of neighbors is one group; two detections in one image count for one image.
    images = [blobs_at((0, 0), (50, 50)), blobs_at((3, 0), (50, 51), (51, 50)), blobs_at((6, 0))]
    first, second = cluster_blobs(images, eps=4, min_samples=2)
    assert first[0].tolist() == [0, 1, 2]
    assert second[0].tolist() == [0, 1, 1]
    # With three neighbors needed, the ends of the chain still join their core.
    assert len(cluster_blobs(images, eps=4, min_samples=3)[0][0]) == 3
    assert cluster_blobs([blobs_at(), blobs_at()]) == []
    with pytest.raises(InputError, match="eps"):
        cluster_blobs(images, eps=0)


def test_the_most_detected_blob_is_followed_in_place():
    stack = np.stack([draw(SPOTS[:1] + SPOTS[1:] * (k % 2)) for k in range(6)])
    coords = BlobDetection().get_coords_of_most_detected_blob(stack)
    np.testing.assert_allclose(coords, [SPOTS[0][:2]] * 6, atol=0.2)
    assert BlobDetection().get_coords_of_most_detected_blob(np.ones((3, 40, 40))).mask.all()


def test_tracks_of_several_blobs(incremental):
    recording, movie, angles = incremental
    means = mean_images_at_rest(movie, angles)
    tracks = BlobDetection().track_blobs(means.images, means.angles, seen=means.seen)
    assert len(tracks) > 8
    assert np.all(np.diff(tracks.sigmas) <= 0)
    assert not tracks.positions[~tracks.found].any()
    # Every track is one place of the sample, found by the simulator's own formula.
    for places, found in zip(tracks.positions, tracks.found, strict=True):
        x, y = recording.plan.place_in_sample(*places[found].T, means.angles[found])
        away = np.hypot(x - np.median(x), y - np.median(y))
        assert np.median(away) < 1.6
        assert np.mean(away < 4) > 0.95


def test_the_largest_blob_may_vanish_at_some_angles():
    plan = plan_recording(
        shape=(90, 110), center_offset=(2.0, 3.0), plane_angle=20.0,
        plane_orientation=70.0, stimulus=((200.0, 1),), n_cells=1,
    )  # fmt: skip
    turned = np.arange(0.0, 360.0, 15.0)
    sample = [(70.0, 60.0, 6.0, 1.0), (40.0, 40.0, 4.0, 1.0), (75.0, 30.0, 4.0, 1.0)]
    images = []
    for k, angle in enumerate(turned):
        spots = [(*plan.place_in_picture(x, y, angle), s, h) for x, y, s, h in sample]
        images.append(draw(spots[1:] if k % 3 == 0 else spots, noise=0.03, seed=k))
    tracks = BlobDetection().track_blobs(np.stack(images), turned)
    assert len(tracks) == 3
    assert tracks.sigmas[0] > 5
    assert tracks.found[0].tolist() == [k % 3 != 0 for k in range(len(turned))]
    assert tracks.found[1:].all()
    fit = fit_shared_ellipses(tracks)
    assert fit.center == pytest.approx(plan.center, abs=0.1)
    assert fit.plane_angle == pytest.approx(20, abs=1)
    assert fit.plane_orientation == pytest.approx(70, abs=2)


def test_nothing_to_follow():
    rng = np.random.default_rng(0)
    turned = np.arange(0.0, 360.0, 15.0)
    images = [
        draw(np.column_stack([rng.uniform(10, 80, (3, 2)), [4] * 3, [1] * 3])) for _ in turned
    ]
    with pytest.raises(InputError, match="no blob can be followed"):
        BlobDetection().track_blobs(np.stack(images), turned)
    with pytest.raises(InputError, match="0 to 0 blobs"):
        BlobDetection().track_blobs(np.ones((24, 30, 30)), turned)
    with pytest.raises(InputError, match="one angle in degrees per image"):
        BlobDetection().track_blobs(np.ones((24, 30, 30)), turned[:3])

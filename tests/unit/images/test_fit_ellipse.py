import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derotation.errors import InputError
from derotation.images.ellipses import (
    BlobTracks,
    derive_angles_from_ellipse_fits,
    fit_ellipse_to_points,
    fit_shared_ellipses,
    plot_ellipse_fit_and_centers,
)
from derotation.simulate import plan_recording

ANGLES = np.arange(0.0, 360.0, 10.0)


def ellipse_points(center=(60.0, 50.0), a=40.0, b=30.0, theta=0.5, turn=ANGLES):
    t = np.radians(turn)
    u, v = a * np.cos(t), b * np.sin(t)
    x = center[0] + np.cos(theta) * u - np.sin(theta) * v
    y = center[1] + np.sin(theta) * u + np.cos(theta) * v
    return np.column_stack([x, y])


def seen_by_simulator(points, tilt, orientation, angles=ANGLES, offset=(3.5, -2.0)):
    """Where the simulator, which shares no code with the fit, shows points of the sample."""
    plan = plan_recording(
        shape=(128, 160), plane_angle=tilt, plane_orientation=orientation,
        center_offset=offset, n_cells=1, stimulus=((200.0, 1),),
    )  # fmt: skip
    places = [plan.place_in_picture(x, y, angles) for x, y in points]
    return np.array([np.column_stack(place) for place in places]), plan.center


def as_tracks(positions, angles=ANGLES, found=None):
    there = np.ones(positions.shape[:2], bool) if found is None else found
    return BlobTracks(
        angles=angles,
        positions=np.where(there[:, :, None], positions, 0.0),
        found=there,
        sigmas=np.full(len(positions), 4.0),
    )


@settings(max_examples=25)
@given(
    a=st.floats(20, 80), ratio=st.floats(0.5, 0.97), theta=st.floats(0, 3.1),
    x=st.floats(0, 200), y=st.floats(0, 200),
)  # fmt: skip
def test_exact_points_give_the_ellipse_back(a, ratio, theta, x, y):
    fit = fit_ellipse_to_points(ellipse_points((x, y), a, a * ratio, theta))
    assert (fit.center_x, fit.center_y) == pytest.approx((x, y), abs=1e-4)
    assert (fit.a, fit.b) == pytest.approx((a, a * ratio), abs=1e-4)
    assert 0 <= fit.theta < np.pi
    assert abs((fit.theta - theta + np.pi / 2) % np.pi - np.pi / 2) < 1e-4


def test_outliers_and_masked_points_do_not_matter():
    rng = np.random.default_rng(0)
    points = ellipse_points() + rng.normal(0, 0.2, (36, 2))
    points[::4] = rng.uniform(0, 120, (9, 2))
    masked = np.ma.MaskedArray(points, mask=np.zeros_like(points, bool))
    masked[1] = np.ma.masked
    masked[2] = np.nan
    center_x, center_y, a, b, theta = fit_ellipse_to_points(masked, pixels_in_row=128)
    assert (center_x, center_y) == pytest.approx((60, 50), abs=0.3)
    assert (a, b) == pytest.approx((40, 30), abs=0.4)
    assert theta == pytest.approx(0.5, abs=0.03)


def line(n=20):
    return np.column_stack([np.arange(n), 2.0 * np.arange(n)])


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (line(), "line|lie on an ellipse|of the ellipse"),
        (ellipse_points()[:4], "4 different points"),
        (np.tile([[3.0, 4.0]], (20, 1)), "1 different points"),
        (ellipse_points(turn=np.arange(0.0, 80.0, 4.0)), "80|76 degrees of the ellipse"),
        (np.random.default_rng(1).uniform(0, 100, (40, 2)), "same blob"),
        (np.zeros((4, 3)), "shape"),
    ],
)
def test_what_is_no_ellipse_is_refused(points, message):
    with pytest.raises(InputError, match=message):
        fit_ellipse_to_points(points)


def test_center_outside_the_picture_is_refused():
    with pytest.raises(InputError, match="outside the picture of 50 pixels"):
        fit_ellipse_to_points(ellipse_points(), pixels_in_row=50)


@pytest.mark.parametrize(("tilt", "orientation"), [(25.0, 40.0), (10.0, 0.0), (35.0, 130.0)])
def test_orientation_is_that_of_the_simulator(tilt, orientation):
    positions, center = seen_by_simulator([(110.0, 70.0)], tilt, orientation)
    fit = fit_ellipse_to_points(positions[0])
    assert (fit.center_x, fit.center_y) == pytest.approx(center, abs=1e-3)
    assert derive_angles_from_ellipse_fits(fit) == pytest.approx((tilt, orientation), abs=0.01)
    assert derive_angles_from_ellipse_fits(fit._asdict()) == derive_angles_from_ellipse_fits(fit)


def test_axes_in_either_order_mean_the_same():
    ordered = {"center_x": 0, "center_y": 0, "a": 10, "b": 8, "theta": np.radians(130)}
    swapped = {"a": 8, "b": 10, "theta": np.radians(40)}
    tilt = np.degrees(np.arccos(0.8))
    assert derive_angles_from_ellipse_fits(ordered) == pytest.approx((tilt, 40))
    assert derive_angles_from_ellipse_fits(swapped) == pytest.approx((tilt, 40))
    with pytest.raises(InputError, match="lacks b"):
        derive_angles_from_ellipse_fits({"a": 1, "theta": 0})
    with pytest.raises(InputError, match="positive"):
        derive_angles_from_ellipse_fits((0, 0, 1, 0, 0))
    with pytest.raises(InputError, match="3 values"):
        derive_angles_from_ellipse_fits((1, 2, 3))


BLOBS = [(110.0, 70.0), (60.0, 40.0), (90.0, 95.0), (40.0, 80.0), (85.0, 50.0)]


@pytest.mark.parametrize(("tilt", "orientation"), [(25.0, 40.0), (8.0, 170.0), (0.0, 0.0)])
def test_shared_ellipses_with_noise_and_outliers(tilt, orientation):
    rng = np.random.default_rng(3)
    positions, center = seen_by_simulator(BLOBS, tilt, orientation)
    exact = positions.copy()
    positions += rng.normal(0, 0.15, positions.shape)
    positions[0, 3:9] += 12.0
    found = rng.random(positions.shape[:2]) > 0.3
    fit = fit_shared_ellipses(as_tracks(positions, found=found))
    assert fit.center == pytest.approx(center, abs=0.15)
    assert np.all(np.abs(np.subtract(fit.center, center)) < 4 * np.array(fit.center_sd))
    assert 0.005 < max(fit.center_sd) < 0.06
    assert not fit.inliers[0, 3:9].any()
    assert not (fit.inliers & ~found).any()
    assert np.abs(fit.predicted - exact).max() < 0.5
    assert fit.plane_significant == (tilt > 0)
    if tilt:
        assert fit.plane_angle == pytest.approx(tilt, abs=max(4 * fit.plane_angle_sd, 0.2))
        assert fit.plane_orientation == pytest.approx(orientation, abs=4)
        assert fit.plane_orientation_sd < 5
    else:
        assert fit.plane_angle < 5
    np.testing.assert_allclose(
        derive_angles_from_ellipse_fits(fit.ellipse(1)),
        (fit.plane_angle, fit.plane_orientation), atol=1e-6,
    )  # fmt: skip


def test_one_blob_over_part_of_the_turn_is_enough_with_angles():
    turned = np.arange(0.0, 150.0, 10.0)
    positions, center = seen_by_simulator(BLOBS[:1], 20.0, 60.0, turned)
    fit = fit_shared_ellipses(as_tracks(positions, turned))
    assert fit.center == pytest.approx(center, abs=1e-3)
    assert (fit.plane_angle, fit.plane_orientation) == pytest.approx((20, 60), abs=0.01)
    assert fit.coverage == pytest.approx(140)
    radius = np.hypot(*fit.points[0])
    assert fit.radii[0] == radius
    assert fit.phases[0] == pytest.approx(np.degrees(np.arctan2(*fit.points[0][::-1])) % 360)


def test_without_a_plane_all_are_circles():
    positions, center = seen_by_simulator(BLOBS, 0.0, 0.0)
    fit = fit_shared_ellipses(as_tracks(positions), plane=False)
    assert fit.center == pytest.approx(center, abs=1e-6)
    assert fit.plane_angle == 0
    assert not fit.plane_significant
    a, b = fit.ellipse(0)[2:4]
    assert a == b


def test_tracks_that_tell_too_little():
    turned = np.arange(0.0, 40.0, 4.0)
    positions, _ = seen_by_simulator(BLOBS, 0.0, 0.0, turned)
    with pytest.raises(InputError, match="36 degrees of the turn only"):
        fit_shared_ellipses(as_tracks(positions, turned))
    with pytest.raises(InputError, match="more than 4 angles"):
        fit_shared_ellipses(as_tracks(positions[:, :4], turned[:4]))
    with pytest.raises(InputError, match="expected"):
        fit_shared_ellipses(as_tracks(positions, turned[:4]))


def test_an_ellipse_is_drawn_over_its_points(tmp_path):
    points = np.ma.masked_array(ellipse_points(), mask=False)
    points[3] = np.ma.masked
    images = np.zeros((len(points), 90, 110))
    folder = tmp_path / "plots"
    path = plot_ellipse_fit_and_centers(
        points, *fit_ellipse_to_points(points), image_stack=images, debug_plots_folder=folder
    )
    assert path == folder / "ellipse_fit.png"
    assert path.stat().st_size > 3000
    plot_ellipse_fit_and_centers(points, 60, 50, 40, 30, 0.5, images, folder, saving_name="b.png")
    assert (folder / "b.png").exists()

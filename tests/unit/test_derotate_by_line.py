import doctest

import numpy as np
import pytest

from derotation import derotate_by_line
from derotation.derotate_by_line import derotate_an_image_array_line_by_line as derotate
from derotation.errors import InputError
from derotation.plotting_hooks.for_derotation import image_completed, line_addition
from derotation.simulate.line_scanning_microscope import Rotator


@pytest.fixture
def cells():
    """Three frames of a few smooth cells on a dark ground."""
    y, x = np.mgrid[:60, :60]
    image = np.full((60, 60), 100.0)
    for cell_x, cell_y, height in ((25, 20, 800), (40, 33, 500), (22, 40, 300)):
        image += height * np.exp(-((x - cell_x) ** 2 + (y - cell_y) ** 2) / (2 * 2.5**2))
    return np.stack([image] * 3)


@pytest.fixture
def angles():
    return np.concatenate([np.zeros(60), np.linspace(0, 20, 60), np.linspace(20, -8, 60)])


def inside(stack, center, radius=27):
    y, x = np.mgrid[: stack.shape[1], : stack.shape[2]]
    return np.hypot(x - center[0], y - center[1]) < radius


# Linear interpolation halfway between samples errs by up to f'' / 8 along each axis; here f'' is at
# most 800 / 2.5^2 = 128 at the top of the brightest cell.
@pytest.mark.parametrize(
    ("interpolation", "error"), [("linear", 32), ("quadratic", 6), ("cubic", 4)]
)
@pytest.mark.parametrize("offset", [(0, 0), (3, -2)])
@pytest.mark.parametrize("plane", [(0, 0), (25, 40)])
def test_undoes_the_rotator(cells, angles, interpolation, error, offset, plane):
    rotated = Rotator(angles, cells, offset, *plane, order=3).rotate_by_line()
    center = (29.5 + offset[0], 29.5 + offset[1])
    derotated = derotate(
        rotated, angles, 0, center, None, None, plane[0] != 0, *plane, interpolation=interpolation
    )
    within = inside(cells, center, 22)
    assert np.abs(derotated - cells)[:, within].max() < error
    assert np.abs(rotated - cells)[1:, within].max() > 100


def test_defaults_are_the_documented_ones(cells, angles):
    plain = derotate(cells, angles)
    spelled = derotate(cells, angles, blank_pixels_value=0, center=(29.5, 29.5))
    np.testing.assert_array_equal(plain, spelled)
    np.testing.assert_array_equal(plain[0], cells[0])
    assert (plain == 0).any()


def test_line_hook_sees_the_frame_being_built(cells, angles):
    calls = []
    derotated = derotate(
        cells,
        angles,
        center=(29.5, 29.5),
        plotting_hook_line_addition=lambda *given: calls.append(given),
    )
    assert len(calls) == 180
    np.testing.assert_array_equal(
        derotated, derotate(cells, angles, center=(29.5, 29.5), interpolation="nearest")
    )
    image, line, frame, number, angle, original = calls[60 + 20]
    assert (frame, number) == (1, 20)
    assert angle == pytest.approx(angles[80])
    np.testing.assert_array_equal(original, cells[1])
    placed = np.isfinite(line)
    assert 0 < np.count_nonzero(placed) <= 60
    assert set(line[placed]) <= set(cells[1, 20])
    previous = calls[60 + 19][0]
    np.testing.assert_array_equal(image, np.where(placed, line, previous))
    np.testing.assert_array_equal(calls[119][0], derotated[1])


def test_image_hook_comes_after_each_frame(cells, angles):
    seen = []
    derotated = derotate(
        cells,
        angles,
        plotting_hook_image_completed=lambda stack, frame: seen.append((frame, stack.copy())),
    )
    assert [frame for frame, _ in seen] == [0, 1, 2]
    np.testing.assert_array_equal(seen[1][1][:2], derotated[:2])
    assert (seen[1][1][2] == 0).all()


def test_documented_hooks_draw(cells, angles, tmp_path):
    stack, folder = cells[:1], tmp_path / "plots"
    derotate(
        stack,
        angles[60:120],
        plotting_hook_line_addition=lambda *given: line_addition(*given, folder=folder, every=30),
        plotting_hook_image_completed=lambda *given: image_completed(
            *given, frame_of_interest=0, folder=folder
        ),
    )
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        "frame_00000.png",
        "frame_00000_line_00000.png",
        "frame_00000_line_00030.png",
        "maximum_until_00000.png",
    ]


@pytest.mark.parametrize("surplus", [1, 60, 61])
def test_more_angles_than_lines_are_cut_with_a_warning(cells, angles, surplus):
    more = np.concatenate([angles, np.full(surplus, 77.0)])
    with pytest.warns(UserWarning, match=f"need 180; the last {surplus} are not used"):
        cut = derotate(cells, more)
    np.testing.assert_array_equal(cut, derotate(cells, angles))
    if surplus == 60:
        with pytest.warns(UserWarning, match="the last 60 are not used"):
            derotate(cells, more.reshape(4, 60))


def test_bad_arguments(cells, angles):
    with pytest.raises(InputError, match="3 frames of 60 lines need 180 angles"):
        derotate(cells, angles[:-1])
    with pytest.raises(InputError, match=r"shape \(60, 60\)"):
        derotate(cells[0], angles)
    with pytest.raises(InputError, match="hook for lines"):
        derotate(cells, angles, plotting_hook_line_addition=print, interpolation="linear")


def test_examples():
    assert doctest.testmod(derotate_by_line).failed == 0

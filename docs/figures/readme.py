"""The picture at the top of the README."""

from derotation.plots.movie import show_image
from figures.session import simulated
from figures.style import Figure, figure


def before_after() -> Figure:
    """Draw a frame and the mean image as recorded and derotated."""
    with simulated(
        shape=(200, 200),
        stimulus=((150.0, 1), (150.0, -1), (200.0, 1)),
        center_offset=(9.0, -6.0),
        bidirectional=True,
        photons_per_pixel=25.0,
        n_cells=45,
        seed=12,
    ) as session:
        result = session.derotated()
    picture = figure(11.2, 3.1)
    k = len(result.examples) // 2
    panels = (
        (result.raw_examples[k], "a frame, recorded while turning"),
        (result.derotated_examples[k], "the same frame, derotated"),
        (result.raw_turned_mean, "mean of all turning frames"),
        (result.turned_mean, "the same mean, derotated"),
    )
    for axis, (image, title) in zip(picture.subplots(1, 4), panels, strict=True):
        show_image(axis, image, title)
    return picture

"""The model of all blobs' positions with one center and one plane, and its least squares."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.images.ellipses.through_points import MIN_SCALE
from derotation.images.ellipses.tracks import BlobTracks
from derotation.maps import transforms

__all__ = ["Positions", "foreshortening", "scale_of"]

Floats = NDArray[np.float64]

# Fewer blobs or images than this do not tell how they scatter as wholes.
MIN_GROUPS = 6
# Bound of the correction for weights that change with the fit.
MIN_EFFICIENCY = 0.3
# The largest tilt that is believed: |f| = 0.5 is 70 degrees.
MAX_PLANE = 0.5


def foreshortening(plane: ArrayLike) -> Floats:
    """Make the matrix I - M(f) on (x, y) from the two numbers f that describe a plane.

    With ``g = |f|`` and ``f = g (cos 2o, sin 2o)`` it scales by 1 - g along the orientation o and
    by 1 + g across: P up to a factor, without a special case at tilt 0.
    """
    f1, f2 = np.asarray(plane, np.float64)
    return np.array([[1 - f1, -f2], [-f2, 1 + f1]])


def scale_of(distance: Floats) -> float:
    """Estimate the standard deviation of one coordinate from the median length of two."""
    return max(float(np.median(distance)) / 1.1774, MIN_SCALE)


class Positions:
    """All positions found, and the model ``c + (I - M(f)) R(-a) r_k`` of them.

    Values are (c, f, r_1, r_2, ...): see :func:`foreshortening` for f; r_k is scaled accordingly.
    Each position depends on the four shared values and on the point of its own track only, so
    that the points are eliminated track by track, and the work grows with the positions alone.
    """

    def __init__(self, tracks: BlobTracks, plane: bool) -> None:
        self.track, self.image = np.nonzero(tracks.found)
        self._seen = tracks.positions[self.track, self.image]
        # R(-a) is the transpose of what turns a line back.
        self._turns = transforms.rotation_matrices(tracks.angles).transpose(0, 2, 1)
        self._n_tracks, self._plane = len(tracks), plane

    def predict(self, values: Floats) -> Floats:
        """Predict all positions, shape (n_tracks, n_angles, 2)."""
        turned = np.einsum("aij,kj->kai", self._turns, values[4:].reshape(-1, 2))
        return np.asarray(turned @ foreshortening(values[2:4]) + values[:2])

    def residuals(self, values: Floats) -> Floats:
        """Found minus predicted, shape (n, 2)."""
        return np.asarray(self._seen - self.predict(values)[self.track, self.image])

    def solve(self, start: ArrayLike | None) -> Floats:
        """Find the values with weights that no far-off position can pull at."""
        values = np.zeros(4 + 2 * self._n_tracks)
        if start is not None:
            values[:2] = np.asarray(start, np.float64)
        weights = np.ones(len(self.track))
        # First circles, for which the model is linear.
        for held in [True] * 10 + [not self._plane] * 30:
            values = self.step(values, weights, hold_plane=held)
            distance = np.hypot(*self.residuals(values).T)
            weights = 1 / (1 + (distance / (2 * scale_of(distance))) ** 2)
        return values

    def step(self, values: Floats, weights: Floats, *, hold_plane: bool = False) -> Floats:
        """Take one Gauss-Newton step with given weights."""
        shared, own = self._derivatives(values)
        reduced, mixed, solve_own = self._eliminate(shared, own, weights)
        if hold_plane:
            reduced[:, :, 2:] = 0.0
        residuals = self.residuals(values)
        weighted = residuals * weights[:, np.newaxis]
        left = np.einsum("nip,niq,n->pq", reduced, reduced, weights)
        change: Floats = np.linalg.pinv(left, rcond=1e-12) @ np.einsum(
            "nip,ni->p", reduced, weighted
        )
        gradient = self._per_track(np.einsum("nip,ni->np", own, weighted))
        points = np.einsum("kij,kj->ki", solve_own, gradient - mixed @ change)
        moved = values + np.concatenate([change, points.ravel()])
        # Beyond this the model turns inside out.
        size = float(np.hypot(*moved[2:4]))
        if size > MAX_PLANE:
            moved[2:4] *= MAX_PLANE / size
        return np.asarray(moved)

    def covariance(self, values: Floats, residuals: Floats, weights: Floats) -> Floats:
        """Covariance of center and plane, shape (4, 4)."""
        shared, own = self._derivatives(values)
        reduced, _, _ = self._eliminate(shared, own, weights)
        scores = np.einsum("nip,ni,n->np", reduced, residuals, weights)
        # Positions with low weight would have more of it if the fit moved towards them: the slope
        # of Tukey's psi, 1 - 6 s + 5 s^2 with s the relative distance squared, replaces psi / r.
        relative = 1 - np.sqrt(weights)
        slope = 1 - 6 * relative + 5 * relative**2
        loss = max(float(slope[weights > 0].sum() / weights.sum()), MIN_EFFICIENCY)
        left = np.einsum("nip,niq,n->pq", reduced, reduced, weights) * loss
        inverse = np.linalg.pinv(left, rcond=1e-12)
        kinds = []
        for label in (self.track, self.image):
            groups = np.unique(label[weights > 0])
            if len(groups) < MIN_GROUPS:
                continue
            sums = np.stack([scores[label == group].sum(axis=0) for group in groups])
            kinds.append(sums.T @ sums * (len(groups) / (len(groups) - 3)))
        single = scores.T @ scores
        free = max(2 * int((weights > 0).sum()) - len(values), 1)
        single *= 2 * int((weights > 0).sum()) / free
        middle = single if len(kinds) < 2 else kinds[0] + kinds[1]
        if len(kinds) == 1:
            middle = middle + kinds[0]
        return np.asarray(inverse @ middle @ inverse)

    def _derivatives(self, values: Floats) -> tuple[Floats, Floats]:
        """Derive predictions by the shared values (n, 2, 4) and by the own point (n, 2, 2)."""
        turns = self._turns[self.image]
        points = values[4:].reshape(-1, 2)[self.track]
        x, y = np.einsum("nij,nj->ni", turns, points).T
        shared = np.zeros((len(self.track), 2, 4))
        shared[:, 0, 0] = shared[:, 1, 1] = 1.0
        if self._plane:
            shared[:, :, 2] = np.column_stack([-x, y])
            shared[:, :, 3] = np.column_stack([-y, -x])
        return shared, foreshortening(values[2:4]) @ turns

    def _eliminate(
        self, shared: Floats, own: Floats, weights: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """Take out of the shared derivatives what the points take up.

        Returns the reduced derivatives (n, 2, 4), and per track the products of own and shared
        derivatives (n_tracks, 2, 4) and the inverse of those of the own ones (n_tracks, 2, 2).
        """
        gram = self._per_track(np.einsum("nip,niq,n->npq", own, own, weights))
        mixed = self._per_track(np.einsum("nip,niq,n->npq", own, shared, weights))
        solve_own = np.linalg.pinv(gram, rcond=1e-12)
        taken = own @ (solve_own @ mixed)[self.track]
        return shared - taken, mixed, np.asarray(solve_own)

    def _per_track(self, values: Floats) -> Floats:
        """Sum over the positions of each track."""
        total = np.zeros((self._n_tracks, *values.shape[1:]))
        np.add.at(total, self.track, values)
        return total

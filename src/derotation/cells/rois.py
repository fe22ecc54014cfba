"""Regions of interest (ROIs) in the derotated picture, and the ring of neuropil around each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, sparse

from derotation.errors import InputError
from derotation.maps import transforms

__all__ = ["Rois", "neuropil_rings"]

NDFloat = NDArray[np.float64]
NDInt = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rois:
    """Regions of a picture: the pixels of each, with weights, one after the other."""

    number: NDInt
    """What each is called, shape (n,); the file they come from counts them so."""
    start: NDInt
    """Where the pixels of each begin, and the end of the last ones, shape (n + 1,)."""
    row: NDInt
    """Row of each pixel, shape (pixel,)."""
    column: NDInt
    """Column of each pixel, shape (pixel,)."""
    weight: NDFloat
    """Weight of each pixel, above 0; those of a ROI add up to 1. Shape (pixel,)."""
    shape: tuple[int, int]
    """Height and width of the picture."""

    def __len__(self) -> int:
        return len(self.number)

    @property
    def roi(self) -> NDInt:
        """Index (from 0) of the ROI of each pixel, shape (pixel,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.start))

    @property
    def place(self) -> NDInt:
        """Index of each pixel in the flat picture, shape (pixel,)."""
        return self.row * self.shape[1] + self.column

    @property
    def n_pixels(self) -> NDInt:
        """Number of pixels of each, shape (n,)."""
        return np.diff(self.start)

    @property
    def centroids(self) -> NDFloat:
        """Weighted mean place (x, y) of each, pixels, shape (n, 2)."""
        roi, n = self.roi, len(self)
        x, y = (np.bincount(roi, self.weight * at, n) for at in (self.column, self.row))
        return np.stack([x, y], axis=1)

    @property
    def sparse(self) -> sparse.csr_array:
        """The weights as a matrix of shape (n, pixels of the picture)."""
        return sparse.csr_array(
            (self.weight, self.place, self.start), (len(self), self.shape[0] * self.shape[1])
        )

    def labels(self) -> NDInt:
        """Draw them: index from 1 on, 0 where there is none; later ones lie over earlier ones."""
        drawn = np.zeros(self.shape, np.int64)
        drawn[self.row, self.column] = self.roi + 1
        return drawn

    def take(self, which: ArrayLike) -> "Rois":
        """Keep some of them, by index or by a mask of shape (n,)."""
        chosen = np.arange(len(self))[np.asarray(which)]
        parts = [slice(self.start[k], self.start[k + 1]) for k in chosen]
        return Rois.of(
            [np.stack([self.row[part], self.column[part]]) for part in parts],
            self.shape,
            weights=[self.weight[part] for part in parts],
            number=self.number[chosen],
        )

    @classmethod
    def of(
        cls,
        pixels: Sequence[ArrayLike],
        shape: tuple[int, int],
        *,
        weights: Sequence[ArrayLike] | None = None,
        number: ArrayLike | None = None,
    ) -> "Rois":
        """Make ROIs of lists of pixels.

        Parameters
        ----------
        pixels : sequence of array_like of shape (2, p)
            Rows and columns of the pixels of each.
        shape : tuple of int
            Height and width of the picture.
        weights : sequence of array_like of shape (p,), optional
            Weight of each pixel, not below 0; all alike by default.
        number : array_like of shape (n,), optional
            What they are called; by default from 1 on.

        Returns
        -------
        Rois
            Pixels outside the picture are left out, and so are ROIs of which nothing is left.
        """
        if number is None:
            number = np.arange(1, len(pixels) + 1)
        kept, rows, columns, shares = [], [], [], []
        for k, own in enumerate(pixels):
            row, column = np.asarray(own, np.int64).reshape(2, -1)
            weight = np.ones(len(row)) if weights is None else np.asarray(weights[k], np.float64)
            if len(weight) != len(row) or not np.isfinite(weight).all() or np.any(weight < 0):
                msg = (
                    f"ROI {np.asarray(number)[k]}: {len(weight)} weights of {len(row)} pixels; "
                    "each pixel needs a finite weight that is not negative"
                )
                raise InputError(msg)
            inside = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
            inside &= weight > 0
            if not inside.any():
                continue
            kept.append(k)
            rows.append(row[inside])
            columns.append(column[inside])
            shares.append(weight[inside] / weight[inside].sum())
        nothing = [np.empty(0, np.int64)]
        lengths = [len(row) for row in rows]
        return cls(
            number=np.asarray(number, np.int64)[kept],
            start=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            row=np.concatenate(nothing + rows),
            column=np.concatenate(nothing + columns),
            weight=np.concatenate([np.empty(0), *shares]),
            shape=(int(shape[0]), int(shape[1])),
        )

    @classmethod
    def of_labels(cls, labels: ArrayLike) -> "Rois":
        """Make ROIs of a picture of labels: 0 where there is none, the same number for one ROI."""
        picture = np.asarray(labels)
        flat = picture.ravel()
        places = np.flatnonzero(flat > 0)
        order = places[np.argsort(flat[places], kind="stable")]
        number, first = np.unique(flat[order], return_index=True)
        parts = np.split(order, first[1:]) if len(number) else []
        pixels = [np.stack(np.divmod(part, picture.shape[1])) for part in parts]
        height, width = picture.shape
        return cls.of(pixels, (height, width), number=number.astype(np.int64))

    def carried(self, matrix: ArrayLike, shape: tuple[int, int] | None = None) -> "Rois":
        """Carry them into another field of view.

        Parameters
        ----------
        matrix : array_like of shape (2, 3) or (3, 3)
            Map (x, y) from this picture to the other.
        shape : tuple of int, optional
            Height and width of the other picture; as of this one by default.

        Returns
        -------
        Rois
            Each pixel of the other picture has the weight of that pixel of this one that it shows.
        """
        shape = shape or self.shape
        there = np.asarray(matrix, np.float64)[:2]
        back = transforms.invert(there)
        pixels, weights = [], []
        for k in range(len(self)):
            part = slice(self.start[k], self.start[k + 1])
            row, column, weight = self.row[part], self.column[part], self.weight[part]
            corners = transforms.apply(
                there,
                np.array(
                    [
                        (x, y)
                        for x in (column.min() - 1, column.max() + 1)
                        for y in (row.min() - 1, row.max() + 1)
                    ],
                    np.float64,
                ),
            )
            (x0, y0), (x1, y1) = np.floor(corners.min(0)), np.ceil(corners.max(0))
            y, x = np.mgrid[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1]
            own = np.rint(transforms.apply(back, np.stack([x.ravel(), y.ravel()], axis=1)))
            local = np.zeros((np.ptp(row) + 3, np.ptp(column) + 3))
            local[row - row.min() + 1, column - column.min() + 1] = weight
            at = (own - [column.min() - 1, row.min() - 1]).astype(np.int64)
            at = np.clip(at, 0, [local.shape[1] - 1, local.shape[0] - 1])
            there_weight = local[at[:, 1], at[:, 0]]
            drawn = there_weight > 0
            pixels.append(np.stack([y.ravel()[drawn], x.ravel()[drawn]]))
            weights.append(there_weight[drawn])
        return Rois.of(pixels, shape, weights=weights, number=self.number)


def without_overlap(rois: Rois) -> Rois:
    """Leave out pixels that several ROIs share, but of ROIs that have no others."""
    shared = np.bincount(rois.place, minlength=rois.shape[0] * rois.shape[1]) > 1
    pixels, weights = [], []
    for k in range(len(rois)):
        part = slice(rois.start[k], rois.start[k + 1])
        own = ~shared[rois.place[part]]
        own = own if own.any() else np.ones_like(own)
        pixels.append(np.stack([rois.row[part][own], rois.column[part][own]]))
        weights.append(rois.weight[part][own])
    return Rois.of(pixels, rois.shape, weights=weights, number=rois.number)


def neuropil_rings(rois: Rois, gap: float, width: float) -> Rois:
    """Draw a ring around each ROI, without the pixels of any ROI.

    Parameters
    ----------
    rois : Rois
    gap : float
        Distance between a ROI and its ring, pixels.
    width : float
        Width of the ring, pixels.

    Returns
    -------
    Rois
        One per ROI, numbered alike; a ring may have no pixel if ROIs lie close together.
    """
    taken = np.zeros(rois.shape, np.bool_)
    taken[rois.row, rois.column] = True
    reach = int(np.ceil(gap + width)) + 1
    rows, columns = [], []
    for k in range(len(rois)):
        part = slice(rois.start[k], rois.start[k + 1])
        row, column = rois.row[part], rois.column[part]
        top, left = max(row.min() - reach, 0), max(column.min() - reach, 0)
        bottom = min(row.max() + reach + 1, rois.shape[0])
        right = min(column.max() + reach + 1, rois.shape[1])
        own = np.ones((bottom - top, right - left), np.bool_)
        own[row - top, column - left] = False
        away = ndimage.distance_transform_edt(own)
        ring = (away > gap) & (away <= gap + width) & ~taken[top:bottom, left:right]
        y, x = np.nonzero(ring)
        rows.append(y + top)
        columns.append(x + left)
    n = np.array([len(row) for row in rows], np.int64)
    nothing = [np.empty(0, np.int64)]
    return Rois(
        number=rois.number,
        start=np.concatenate([[0], np.cumsum(n)]).astype(np.int64),
        row=np.concatenate(nothing + rows).astype(np.int64),
        column=np.concatenate(nothing + columns).astype(np.int64),
        weight=np.repeat(1 / np.maximum(n, 1), n),
        shape=rois.shape,
    )

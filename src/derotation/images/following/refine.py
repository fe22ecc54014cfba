"""Refine the angle over a whole movie: each frame against the mean of the others."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derotation.images.following.comparing import Reference, compare
from derotation.images.following.path import Path
from derotation.images.following.spline import Equations, ORDER
from derotation.maps import transforms

NDFloat = NDArray[np.float64]
SHIFT_SD = 2.0
STIFF = 10.0 ** np.arange(-4, 8.1, 0.5)


def refined(path: Path, frames, smoothing: float, scale=1.0):
    shape = frames.shape[1:]
    ref = Reference.none(shape)
    for f in np.flatnonzero(path.found):
        ref = ref.with_frame(path.place(frames[f], int(f), lines=False))
    per = round(1 / path.knots.step)
    eq = Equations.none(path.knots.n, per + ORDER)
    said_ = {}
    dof = 0
    for f in np.flatnonzero(path.found):
        one = path.place(frames[f], int(f))
        said = compare(one, ref.with_frame(one, -1), path.center, path.times[f], path.knots, smoothing)
        if said is None:
            continue
        normal, moment = said.without_shift(SHIFT_SD)
        own = slice(said.first, said.first + len(moment))
        eq.add(said.first, normal / scale, (moment + normal @ path.coefficients[own]) / scale)
        said_[int(f)] = said
    ev = [eq.solve(s)[1] for s in STIFF]
    s = STIFF[int(np.argmax(ev))]
    c, _ = eq.solve(s)
    shifts = path.shifts.copy()
    corr = path.correlation.copy()
    info = np.zeros((len(shifts), 2, 2))
    for f, said in said_.items():
        own = slice(said.first, said.first + len(said.moment) - 2)
        shifts[f] += said.shift(c[own] - path.coefficients[own], SHIFT_SD)
        corr[f] = said.correlation
        info[f] = np.linalg.inv(np.linalg.inv(said.normal[-2:, -2:] + 1e-9*np.eye(2)) + 0.3**2*np.eye(2))
    new = dataclasses.replace(path, coefficients=c, shifts=shifts, correlation=corr)
    lev = np.eye(2) - transforms.rotation_matrices(new.middle)
    D = np.concatenate([lev, np.broadcast_to(np.eye(2), lev.shape)], axis=2)
    N = np.einsum('nij,nik,nkl->jl', D, info, D) + np.diag([1e-6,1e-6,1.,1.])
    b = np.einsum('nij,nik,nk->j', D, info, shifts)
    e = np.linalg.solve(N, b)
    cen = path.center + e[:2]
    shifts = shifts - lev @ e[:2] - e[2:]
    return dataclasses.replace(new, center=cen, shifts=shifts), s, eq

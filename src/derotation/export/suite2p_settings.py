"""Suite2p's own settings, in the words of its two generations.

Suite2p 1.x takes ``db`` (where the data are) and ``settings`` (sections); a section that it is
given replaces its own, so it has to be complete. Suite2p 0.14 takes one flat ``ops``, in which a
missing key has its default. Values that say nothing about derotation are the defaults of 1.1.0.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from derotation.errors import ConfigError
from derotation.settings.spelling import did_you_mean

__all__ = ["PlaneFacts", "make_db", "make_ops", "make_settings"]

REGISTRATION_BLOCK = 128
DETECTION_BLOCK = 64

# From when on an ROI counts as marked: by its brightness in the other channel relative to its
# surroundings, where 0.5 is as bright as these; or by its overlap with a cell that Cellpose found
# there. Suite2p 1.1.0 has one setting for both, and its default, that of Cellpose, would let every
# ROI count by its brightness.
RED_BRIGHTNESS, RED_OVERLAP = 0.65, 0.25

_SETTINGS: dict[str, Any] = {
    "torch_device": "cuda",  # Suite2p takes the CPU where there is no such device
    "tau": 1.0,
    "fs": 10.0,
    "diameter": [12.0, 12.0],
    "run": {
        "do_registration": 1,
        "do_regmetrics": True,
        "do_detection": True,
        "do_deconvolution": True,
        "multiplane_parallel": False,
    },
    "io": {
        "combined": True,
        "save_mat": False,
        "save_NWB": False,
        "save_ops_orig": True,
        "delete_bin": False,
        "move_bin": False,
    },
    "registration": {
        "align_by_chan2": False,
        "nimg_init": 400,
        "maxregshift": 0.1,
        # Rows of a derotated frame are no scan lines any more.
        "do_bidiphase": False,
        "bidiphase": 0.0,
        "batch_size": 100,
        "nonrigid": True,
        "maxregshiftNR": 5,
        "block_size": [REGISTRATION_BLOCK, REGISTRATION_BLOCK],
        "smooth_sigma_time": 0,
        "smooth_sigma": 1.15,
        "spatial_taper": 3.45,
        "th_badframes": 1.0,
        "norm_frames": True,
        "snr_thresh": 1.2,
        "subpixel": 10,
        "two_step_registration": False,
        "reg_tif": False,
        "reg_tif_chan2": False,
        "upsample_meanImg": None,
    },
    "detection": {
        "algorithm": "sparsery",
        "denoise": False,
        "block_size": [DETECTION_BLOCK, DETECTION_BLOCK],
        "nbins": 5000,
        "bin_size": None,
        "highpass_time": 100,
        "threshold_scaling": 1.0,
        "npix_norm_min": 0.0,
        "npix_norm_max": 100,
        "max_overlap": 0.75,
        "soma_crop": True,
        "chan2_threshold": RED_BRIGHTNESS,
        "cellpose_chan2": False,
        "sparsery_settings": {
            "highpass_neuropil": 25,
            "max_ROIs": 5000,
            "spatial_scale": 0,
            "active_percentile": 0.0,
        },
        "sourcery_settings": {"connected": True, "max_iterations": 20, "smooth_masks": False},
        "cellpose_settings": {
            "cellpose_model": "cpsam",
            "img": "max_proj / meanImg",
            "highpass_spatial": 0,
            "flow_threshold": 0.4,
            "cellprob_threshold": 0.0,
            "params": None,
            "params_chan2": None,
        },
    },
    "classification": {
        "classifier_path": None,
        "use_builtin_classifier": False,
        "preclassify": 0.0,
    },
    "extraction": {
        "snr_threshold": 0.0,
        "batch_size": 500,
        "neuropil_extract": True,
        "neuropil_coefficient": 0.7,
        "inner_neuropil_radius": 2,
        "min_neuropil_pixels": 350,
        "lam_percentile": 50.0,
        "allow_overlap": False,
        "circular_neuropil": False,
    },
    "dcnv_preprocess": {
        "baseline": "maximin",
        "win_baseline": 60.0,
        "sig_baseline": 10.0,
        "prctile_baseline": 8.0,
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneFacts:
    """What Suite2p has to know about the movie."""

    session: str
    """Name of the folder that holds ``suite2p/``."""
    n_frames: int
    height: int
    width: int
    frame_rate: float
    """Frames per second of this plane, Hz."""
    tau: float
    """Decay time of the indicator, seconds."""
    diameter: float
    """Diameter of a cell, pixels."""
    register: bool
    """Whether Suite2p is to register the movie."""
    keep_raw: bool
    """Whether there is a second copy of the movie that registration does not overwrite."""
    channels: tuple[int, ...] = (1,)
    """The microscope's numbers of the functional channel and, if there is one, of the other."""
    plane: int = 0
    """Suite2p's number of this plane, from 0."""
    n_planes: int = 1
    """Planes that are exported."""

    @property
    def folder(self) -> str:
        """The folder of the plane, from the folder that holds all sessions."""
        return f"{self.session}/suite2p/plane{self.plane}"

    def block(self, largest: int) -> list[int]:
        """Height and width of Suite2p's blocks: powers of 2 below the size of a frame."""
        return [min(largest, 1 << ((size - 1).bit_length() - 1)) for size in self._size]

    @property
    def functional_chan(self) -> int:
        """The place of the functional channel among the exported ones, from 1.

        Whatever it is, Suite2p expects that channel in ``data.bin``.
        """
        return sorted(self.channels).index(self.channels[0]) + 1

    @property
    def binaries(self) -> dict[str, str]:
        """Names of the binary files, by Suite2p's keys for them."""
        names = {"reg_file": "data.bin"}
        raw = {"raw_file": "data_raw.bin"}
        if len(self.channels) > 1:
            names["reg_file_chan2"] = "data_chan2.bin"
            raw["raw_file_chan2"] = "data_chan2_raw.bin"
        return names | raw if self.keep_raw else names

    @property
    def _size(self) -> tuple[int, int]:
        return self.height, self.width

    def files(self) -> dict[str, Any]:
        """Where the files lie, by the keys that both generations share; see `make_db`."""
        paths: dict[str, Any] = {
            "data_path": [f"{self.session}/suite2p"],
            "save_path0": self.session,
            "save_folder": "suite2p",
            "save_path": self.folder,
        }
        return paths | {key: f"{self.folder}/{name}" for key, name in self.binaries.items()}


def make_db(facts: PlaneFacts) -> dict[str, Any]:
    """Make what Suite2p 1.x calls the database of a plane.

    Notes
    -----
    Paths start at the folder that holds all sessions. From anywhere else Suite2p does not find
    ``reg_file`` there, takes the folder for moved, and uses the one in which ``db.npy`` lies; the
    session's name in the path keeps it from finding another session's file.
    """
    return facts.files() | {
        "settings_path": f"{facts.folder}/settings.npy",
        "db_path": f"{facts.folder}/db.npy",
        "fast_disk": facts.folder,
        "input_format": "binary",
        "nframes": facts.n_frames,
        "Ly": facts.height,
        "Lx": facts.width,
        "nplanes": facts.n_planes,
        "nchannels": len(facts.channels),
        "functional_chan": facts.functional_chan,
        "nrois": 1,
        "iplane": facts.plane,
        "keep_movie_raw": facts.keep_raw,
        "batch_size": 500,
        "look_one_level_down": False,
        "swap_order": False,
        "file_list": None,
        "subfolders": None,
        "ignore_flyback": None,
        "lines": None,
        "dy": None,
        "dx": None,
    }


def make_settings(facts: PlaneFacts, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Make the settings of Suite2p 1.x.

    Parameters
    ----------
    facts : PlaneFacts
        Of the movie.
    overrides : mapping
        Values that the user wants, by Suite2p's own names and sections.

    Raises
    ------
    ConfigError
        If Suite2p has no such setting.
    """
    settings = copy.deepcopy(_SETTINGS)
    settings |= {
        "fs": facts.frame_rate,
        "tau": facts.tau,
        "diameter": [facts.diameter, facts.diameter],
    }
    settings["run"]["do_registration"] = int(facts.register)
    # Suite2p 1.1.0 fails on blocks that are not smaller than a frame.
    settings["registration"]["block_size"] = facts.block(REGISTRATION_BLOCK)
    settings["detection"]["block_size"] = facts.block(DETECTION_BLOCK)
    detection = overrides.get("detection")
    if isinstance(detection, Mapping) and detection.get("cellpose_chan2"):
        settings["detection"]["chan2_threshold"] = RED_OVERLAP
    _override(settings, overrides, "export.suite2p.settings")
    return settings


def make_ops(
    facts: PlaneFacts, always_seen: Mapping[str, Any], overrides: Mapping[str, Any]
) -> dict[str, Any]:
    """Make the ``ops`` of Suite2p 0.14.

    Parameters
    ----------
    facts : PlaneFacts
        Of the movie.
    always_seen : mapping
        ``yrange``, ``xrange`` and ``badframes``, which hold unless Suite2p registers the movie;
        with two channels also their mean images.
    overrides : mapping
        Values that the user wants, by Suite2p's own names.
    """
    return (
        facts.files()
        | {
            "ops_path": f"{facts.folder}/ops.npy",
            "fast_disk": [],
            "nframes": facts.n_frames,
            "Ly": facts.height,
            "Lx": facts.width,
            "nplanes": facts.n_planes,
            "nchannels": len(facts.channels),
            "functional_chan": facts.functional_chan,
            # Suite2p 0.14 registers by the other channel if the two numbers differ.
            "align_by_chan": facts.functional_chan,
            "fs": facts.frame_rate,
            "tau": facts.tau,
            "diameter": facts.diameter,
            "do_registration": int(facts.register),
            "keep_movie_raw": facts.keep_raw,
            # Suite2p 0.14.6 fails when it puts planes side by side that have no second channel.
            "combined": facts.n_planes == 1 or len(facts.channels) > 1,
            "do_bidiphase": False,
            "bidiphase": 0,
            "block_size": facts.block(REGISTRATION_BLOCK),
        }
        | dict(always_seen)
        | dict(overrides)
    )


def _override(settings: dict[str, Any], wanted: Mapping[str, Any], name: str) -> None:
    """Put what the user wants in place of the defaults."""
    for key, value in wanted.items():
        if key not in settings:
            hint = did_you_mean(key, settings) or f"; known are {', '.join(settings)}"
            msg = f"{name}.{key}: Suite2p has no such setting there{hint}"
            raise ConfigError(msg)
        if isinstance(settings[key], dict):
            if not isinstance(value, Mapping):
                msg = f"{name}.{key}: found {value!r}, expected settings of this section"
                raise ConfigError(msg)
            _override(settings[key], value, f"{name}.{key}")
        else:
            settings[key] = value

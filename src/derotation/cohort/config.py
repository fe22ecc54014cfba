"""Read and check the configuration; ``settings/config.schema.yaml`` says what it may hold.

All that is wrong is reported at once: which file, line and key, what was found, what is allowed.
What comes back is canonical, so that equal settings are equal values: defaults filled in, keys
sorted, numbers that are whole written as whole numbers.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from derotation.cells import ROI_FILES
from derotation.cohort.rigs import Given, read_rig_files
from derotation.errors import PYNWB_MISSING, ROIFILE_MISSING, ConfigError
from derotation.maps.corrections import schema_with_corrections
from derotation.settings.schema import (
    Problem,
    Schema,
    canonical,
    fill_defaults,
    find_problems,
    plain,
)
from derotation.settings.yaml_files import merge_files

__all__ = [
    "check_config",
    "check_given",
    "load_config",
    "merge_files",
    "section",
    "validate_config",
]

Config = dict[str, Any]


def load_config(paths: str | Path | Sequence[str | Path], schema: Schema | None = None) -> Config:
    """Read one or several configuration files and check what they say together.

    Parameters
    ----------
    paths : path or sequence of paths
        YAML files. Later files override earlier ones, key by key.
    schema : mapping, optional
        The JSON schema; by default that of this package.

    Returns
    -------
    dict
        The canonical configuration.

    Raises
    ------
    ConfigError
        With everything that is wrong, one line each.
    """
    files = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    return validate_config(merge_files(files), schema, files=files)


def validate_config(
    config: Mapping[str, Any],
    schema: Schema | None = None,
    *,
    files: Iterable[str | Path] = (),
) -> Config:
    """Check a configuration that was read already, and return it in canonical form.

    Parameters
    ----------
    config : mapping
        The configuration, for instance Snakemake's ``config``.
    schema : mapping, optional
        The JSON schema; by default that of this package.
    files : iterable of paths
        The files that it was read from, later ones overriding earlier ones: messages name the
        file in which a key stands.

    Returns
    -------
    dict
        The canonical configuration.

    Raises
    ------
    ConfigError
        With everything that is wrong, one line each.
    """
    checked, errors = check_config(config, schema, files=files)
    if errors:
        raise ConfigError("\n".join(errors))
    return checked


def check_config(
    config: Mapping[str, Any],
    schema: Schema | None = None,
    *,
    files: Iterable[str | Path] = (),
) -> tuple[Config, list[str]]:
    """Check a configuration without raising, for callers that collect more errors.

    Parameters
    ----------
    config : mapping
        The configuration.
    schema : mapping, optional
        The JSON schema; by default that of this package.
    files : iterable of paths
        The files that it was read from, later ones overriding earlier ones.

    Returns
    -------
    config : dict
        The canonical configuration; use it only if there are no errors.
    errors : list of str
        One line per error, with file, line, key, what was found and what is allowed.
    """
    checked, _, errors = check_given(config, schema, files=files)
    return checked, errors


def check_given(
    config: Mapping[str, Any],
    schema: Schema | None = None,
    *,
    files: Iterable[str | Path] = (),
) -> tuple[Config, Given, list[str]]:
    """Do what :func:`check_config` does, and say what was given, for callers that check more.

    Where there are rigs, they may give what the cohort's sections have to give otherwise: whether
    every session then has all it needs only the sample sheet tells.

    Returns
    -------
    config : dict
        The canonical configuration. Its section ``rigs`` holds what the rigs say and no defaults.
    given : Given
        The configuration without its defaults, rigs in files of their own included.
    errors : list of str
        One line per error.
    """
    schema = schema_with_corrections() if schema is None else schema
    given, errors = read_rig_files(plain(config), files)
    filled = fill_defaults(given.config, schema, schema)
    problems = find_problems(filled, _without_rigs_keys(schema) if filled["rigs"] else schema)
    problems += _rig_names(filled["rigs"])
    if not problems:
        problems = _contradictions(filled)
    return canonical(filled), given, errors + given.locate(problems)


def _without_rigs_keys(schema: Schema) -> Schema:
    """Require nothing of the sections that rigs may have."""
    sections = schema["properties"]
    open_ones = {
        name: {**sections[name], "required": []} for name in schema["$defs"]["rig"]["properties"]
    }
    return {**schema, "properties": {**sections, **open_ones}}


def _rig_names(rigs: Any) -> list[Problem]:
    """Find names that the sample sheet cannot hold, since they are no text."""
    text = "the name of a rig is text; put it in quotation marks."
    names = rigs if isinstance(rigs, Mapping) else ()
    return [Problem(path=("rigs", name), text=text) for name in names if not isinstance(name, str)]


def section(config: Mapping[str, Any], *names: str) -> Config:
    """Take some sections out of a checked configuration: all that one step may depend on.

    Parameters
    ----------
    config : mapping
        The canonical configuration.
    *names : str
        Sections (``"angles"``) or single keys (``"scan.lines_per_frame"``), also of sections
        within sections.

    Returns
    -------
    dict
        The sections under their names, keys sorted; of a section of which single keys are
        wanted, these keys only.
    """
    chosen: Config = {}
    for name in sorted(names):
        *homes, key = name.split(".")
        source: Mapping[str, Any] = config
        target = chosen
        for home in homes:
            source, target = source[home], target.setdefault(home, {})
        target[key] = source[key]
    return chosen


def _contradictions(config: Mapping[str, Any]) -> list[Problem]:
    """Find values that are allowed by themselves but not together."""
    problems = []
    center = config["center"]
    if center["method"] == "fixed" and center["fixed"] is None:
        text = "found null (nothing), but center.method is fixed: give [x, y] in pixels."
        problems.append(Problem(path=("center", "fixed"), text=text))
    upright = [config["mosaic"][axis] in ("up", "down") for axis in ("x_axis", "y_axis")]
    if upright[0] == upright[1]:
        x_axis, y_axis = config["mosaic"]["x_axis"], config["mosaic"]["y_axis"]
        text = (
            f"found {y_axis}, but mosaic.x_axis is {x_axis}: one axis of the stage has to point "
            "right or left, the other one up or down."
        )
        problems.append(Problem(path=("mosaic", "y_axis"), text=text))
    if not config["rigs"]:  # which may say what calibrates
        problems += _contradicting_channels(config["movie"], config["export"]["functional_channel"])
    problems += _contradicting_cells(config["cells"])
    return problems + _contradicting_exports(config["export"])


def _contradicting_cells(cells: Mapping[str, Any]) -> list[Problem]:
    """Find traces and files of ROIs that cannot be read."""
    problems = []
    rois = cells["rois"]
    if cells["traces"] == "suite2p" and rois not in (None, "suite2p"):
        text = f"found suite2p, but cells.rois is {rois}: Suite2p has traces of its own ROIs only."
        problems.append(Problem(path=("cells", "traces"), text=text))
    if rois in (None, "suite2p", "blobs"):
        return problems
    kind = Path(rois).suffix.lower()
    if kind not in ROI_FILES:
        text = (
            f'found "{rois}"; allowed are suite2p, blobs, null, or a file whose name ends in '
            f"{', '.join(ROI_FILES)}."
        )
        problems.append(Problem(path=("cells", "rois"), text=text))
    if kind in (".zip", ".roi") and find_spec("roifile") is None:
        text = f'found "{rois}", but {ROIFILE_MISSING}.'
        problems.append(Problem(path=("cells", "rois"), text=text))
    return problems


def _contradicting_channels(movie: Mapping[str, Any], functional: int | None) -> list[Problem]:
    """Find channels and planes that cannot be meant."""
    wanted, calibrating = movie["channels"], movie["channel"]
    listed = [] if wanted in (None, "all") else wanted
    problems = []
    for name in ("channel", "plane"):
        several = movie[f"{name}s"]
        if several not in (None, "all") and len(several) > 1 and movie[name] is None:
            text = (
                f"found null (nothing), but movie.{name}s is {several}: say which one calibrates"
                f"{'; the structural one is often the better' if name == 'channel' else ''}."
            )
            problems.append(Problem(path=("movie", name), text=text))
    if functional not in (None, calibrating, *listed) and wanted != "all":
        text = (
            f"found {functional}, but only movie.channel ({calibrating}) and movie.channels "
            f"({wanted}) are derotated: add it to movie.channels."
        )
        problems.append(Problem(path=("export", "functional_channel"), text=text))
    return problems


def _contradicting_exports(export: Mapping[str, Any]) -> list[Problem]:
    """Find exports that cannot be made, before hours of work on what they need."""
    problems = []
    suite2p, nwb = export["suite2p"], export["nwb"]
    if suite2p["run"] and not suite2p["write"]:
        text = "found true, but export.suite2p.write is false: Suite2p needs the folder."
        problems.append(Problem(path=("export", "suite2p", "run"), text=text))
    if suite2p["run"] and shutil.which(suite2p["python"]) is None:
        text = (
            f'found "{suite2p["python"]}", which is no program here: give the path of a Python in '
            "whose environment Suite2p is installed."
        )
        problems.append(Problem(path=("export", "suite2p", "python"), text=text))
    if nwb != "none" and find_spec("pynwb") is None:
        text = f'found "{nwb}", but {PYNWB_MISSING}.'
        problems.append(Problem(path=("export", "nwb"), text=text))
    if not export["keep_derotated"] and nwb == "external":
        text = (
            "found false, but export.nwb is external: the NWB file would name a movie that is "
            "gone. Set export.nwb to inside, or keep the movie."
        )
        problems.append(Problem(path=("export", "keep_derotated"), text=text))
    if not (export["keep_derotated"] or suite2p["write"] or export["tiff"] or nwb == "inside"):
        text = "found false, and no export is wanted either: nothing would be left of the movie."
        problems.append(Problem(path=("export", "keep_derotated"), text=text))
    return problems

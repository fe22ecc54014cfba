# What the rules share: the checked cohort, and helpers that look things up in it.

import gc
import re
import sys

from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

from derotation.jobs.cluster import ClusterError, check_queue
from derotation.cohort import calibrations
from derotation.cohort.cohort import load_cohort, simulated_files
from derotation.cohort.config import section
from derotation.cohort.rigs import rig_config
from derotation.errors import ConfigError
from derotation.jobs.fingerprint import code_fingerprint
from derotation.jobs.planning import keep_lookups
from derotation.jobs.submission import check_submission, merged_requests
from derotation.cohort.groups import mosaic_groups
from derotation.cohort.nwb_columns import nwb_of_session
from derotation.settings.schema import config_schema, section_schema

min_version("9.19")

# The plan of a large cohort is made of millions of objects that all stay: to look for garbage among
# them again and again would take a fifth of the time. When the plan is made, onstart goes on with it.
gc.disable()
keep_lookups()


def configuration_files():
    """The files that the configuration was read from, later ones overriding earlier ones."""
    given = [str(file) for file in workflow.overwrite_configfiles]
    own = [str(file) for file in workflow.configfiles]
    return [file for file in own if file not in given] + given


def checked_cohort():
    """Settings and sessions, or the end of the run with all that is wrong with them."""
    try:
        return load_cohort(
            config,
            files=configuration_files(),
            # Jobs on a cluster read this file again: what was found once is there.
            check_files=workflow.is_main_process,
        )
    except ConfigError as error:
        sys.exit(f"Nothing was run, since this is not valid:\n{error}")


COHORT = checked_cohort()
# What scripts see as their config is the checked one, with its defaults.
config.update(COHORT.config)

# The sessions of each mosaic.
MOSAICS = mosaic_groups(COHORT.sheet)

# What the sheet's schema allows. Snakemake looks at a constraint for every file, so that the names of
# a large cohort themselves would take long.
ANY_SESSION = "[A-Za-z0-9][A-Za-z0-9_-]*"

# The keys of the section movie that decide what is read; frames_per_chunk only decides how.
MOVIE_KEYS = (
    "movie.channel",
    "movie.plane",
    "movie.n_planes",
    "movie.n_channels",
    "movie.dataset",
    "movie.undo",
)

# The keys of the section scan that decide when and where each sample of a line was recorded.
SCAN_KEYS = ("scan.line_duty", "scan.bidirectional", "scan.bidi_phase")

# What derotate_movie reads.
DEROTATE_KEYS = ("derotate", "movie.channels", *MOVIE_KEYS)

# Those that decide which channels an export holds.
CHANNEL_KEYS = ("movie.channel", "export.functional_channel")

# The keys of the section movement that decide what is found; the others decide what is looked at.
DETECTION_KEYS = (
    "movement.method",
    "movement.transform",
    "movement.max_rotation",
    "movement.max_scale",
)


wildcard_constraints:
    session=ANY_SESSION,


def configuration(name):
    """The configuration that holds for a session: the cohort's, with the keys of its rig."""
    return _of_rig(COHORT.sheet[name].rig)


@cache
def _of_rig(rig):
    return rig_config(COHORT.config, rig)


@cache
def _sections_of_rig(rig, names):
    return section(_of_rig(rig), *names)


def session_settings(name, *names):
    """The sections of a session's configuration that a step reads."""
    return _sections_of_rig(COHORT.sheet[name].rig, names)


def settings(*names):
    """What a step reads of its session's configuration: only this can make it run again."""
    return lambda wildcards: session_settings(wildcards.session, *names)


def frames_per_chunk(wildcards):
    """How many frames are held in memory, which is a resource and never changes the result; 0: as fit."""
    return configuration(wildcards.session)["movie"]["frames_per_chunk"] or 0


def parse_keys(wildcards):
    """What parse_signals reads: the size of a step only matters if there are steps."""
    steps = ["angles.degrees_per_step"] if protocol(wildcards) == "incremental" else []
    source = configuration(wildcards.session)["angles"]["source"]
    own = {
        "ticks": ["angles.direction"],
        "table": [],
        "movie": ["angles.line_reference", *SCAN_KEYS],
    }.get(source, [f"angles.{source}"])
    scan = [
        "scan.lines_per_frame",
        "scan.rows",
        "scan.frame_rate",
        "scan.flyback_lines",
    ]
    if not COHORT.sheet[wildcards.session].signals:
        scan.append("scan.line_duty")
    keys = ["signals", "angles.source", *scan, *own, *steps, *MOVIE_KEYS]
    return list(dict.fromkeys(keys))


def parse_settings(wildcards):
    return session_settings(wildcards.session, *parse_keys(wildcards))


def angle_keys(wildcards):
    """What interpolate_angles reads; again, without steps their size does not matter."""
    keys = ["line_reference", "direction_sign", "lag_ms", "zero"]
    if protocol(wildcards) == "incremental":
        keys.append("degrees_per_step")
    own = [f"angles.{key}" for key in keys]
    return [*own, *SCAN_KEYS, *MOVIE_KEYS]


def angle_settings(wildcards):
    return session_settings(wildcards.session, *angle_keys(wildcards))


def nwb_settings(wildcards):
    """What export_nwb reads: what the sheet says about the session is a part of it."""
    keys = ["export.nwb", "derotate", "angles", "scan.bidirectional", *MOVIE_KEYS]
    own = session_settings(wildcards.session, *keys, "nwb")
    row, rules = COHORT.sheet[wildcards.session], section_schema("nwb", config_schema())
    return {**own, "nwb": nwb_of_session(row, own["nwb"], rules)}


def plane_settings(wildcards):
    """What derotate_planes reads: all that the three steps do that it does for each plane."""
    keys = {
        *parse_keys(wildcards),
        *angle_keys(wildcards),
        *DEROTATE_KEYS,
        "movie.planes",
    }
    return session_settings(wildcards.session, *sorted(keys))


def code(step):
    """A fingerprint of the library's code behind a step, which makes it run again on a change."""
    return code_fingerprint(f"derotation.steps.{step}")


def one_of(names):
    """A wildcard's constraint to some sessions; it matches nothing if there are none."""
    if set(names) == set(COHORT.sheet.names):
        return ANY_SESSION
    return "|".join(re.escape(name) for name in names) or "(?!)"


def simulated(protocol):
    """The names of the simulated sessions of a protocol."""
    sessions = (COHORT.sheet[name] for name in COHORT.simulated)
    return [session.name for session in sessions if session.protocol == protocol]


def protocol(wildcards):
    return COHORT.sheet[wildcards.session].protocol


def movie_pattern(wildcards):
    """The session's movie as the sample sheet names it."""
    return COHORT.sheet[wildcards.session].movie


def movie_files(wildcards):
    """The session's movie: one file or several in the order of acquisition."""
    return COHORT.sheet[wildcards.session].movie_files()


def signal_files(wildcards):
    """The session's analog signals, its stimulus table and its table of angles, if there are."""
    session = COHORT.sheet[wildcards.session]
    files = {"signals": session.signals, "stimulus": session.stimulus}
    if configuration(session.name)["angles"]["source"] == "table":
        files["angles"] = session.angles
    return {name: file for name, file in files.items() if file}


def given_calibration(name):
    """The calibration that a session's row stands for: its own, another's, or a given file."""
    return calibrations.given_calibration(
        name, COHORT.sheet[name].calibration, COHORT.sheet.names, results="<results>"
    )


def calibration_of(name):
    """The calibration that holds for a session: that of another one may have to be carried over."""
    return calibrations.calibration_in_use(
        name,
        COHORT.sheet[name].calibration,
        COHORT.sheet.names,
        COHORT.config,
        results="<results>",
    )


def calibration_file(wildcards):
    return calibration_of(wildcards.session)


def calibrated_by_themselves():
    """The names of the sessions whose row names no calibration."""
    return [session.name for session in COHORT.sheet if session.calibration is None]


def carried_over():
    """The names of the sessions to which a calibration has to be carried: the scanner may move."""
    return [
        session.name
        for session in COHORT.sheet
        if calibrations.is_carried_over(session.calibration, COHORT.config)
    ]


def aligned():
    """The names of the sessions that are aligned to a reference."""
    return [session.name for session in COHORT.sheet if session.reference is not None]


def rest_image(name):
    return f"<results>/{name}/images/rest.tif"


def points_file(name):
    """A table of points that a person wrote for a session; nothing if there is none."""
    path = Path(COHORT.config["movement"]["points"], f"{name}.csv")
    return {"points": str(path)} if path.exists() else {}


def alignment_files(wildcards):
    """The images and calibrations of a session and of its reference."""
    own, reference = wildcards.session, COHORT.sheet[wildcards.session].reference
    files = {
        "moved_image": rest_image(own),
        "ref_image": rest_image(reference),
        "moved_calibration": calibration_of(own),
        "ref_calibration": calibration_of(reference),
    }
    return files | points_file(own)


def carried_files(wildcards):
    """A calibration, its image, and the image of the session to which it is carried."""
    own = wildcards.session
    source = COHORT.sheet[own].calibration
    files = {"given": given_calibration(own), "image": rest_image(own)}
    if source in COHORT.sheet.names:
        files["given_image"] = rest_image(source)
    return files | points_file(f"{own}_calibration")


def motion_file(wildcards):
    """The sample's motion during a session, if it is to be looked for."""
    if COHORT.config["motion_correction"]["correct"] == "never":
        return {}
    return {"motion": f"<results>/{wildcards.session}/motion.npz"}


def corrections(wildcards):
    """What derotate_movie corrects besides the rotation: files that not every session has."""
    files = motion_file(wildcards)
    if COHORT.config["illumination"]["correct"] == "auto":
        files["illumination"] = f"<results>/{wildcards.session}/illumination.npz"
    if wildcards.session in aligned():
        files["movement"] = f"<results>/{wildcards.session}/movement.json"
    return files


def exported(wildcards):
    """What the exports read that fill what a derotated movie has not seen."""
    return {
        "movie": f"<results>/{wildcards.session}/derotated.tif",
        "seen": f"<results>/{wildcards.session}/seen.npz",
        "angles": f"<results>/{wildcards.session}/angles.npz",
        "calibration": calibration_file(wildcards),
        "mean": f"<results>/{wildcards.session}/images/mean.tif",
        "coverage": f"<results>/{wildcards.session}/images/coverage.tif",
        **{
            name: folder.format(session=wildcards.session)
            for name, folder in derotated_channels().items()
        },
    }


@cache
def any_wants(key):
    """Whether a session wants further channels or planes: rules have the same outputs for all."""
    return any(
        _of_rig(rig)["movie"][key] is not None for rig in {s.rig for s in COHORT.sheet}
    )


def derotated_channels():
    """The folders of channels that are derotated beside the one that calibrates, if wanted.

    Folders, since only the files tell which channels there are if all are wanted.
    """
    if not any_wants("channels"):
        return {}
    return {
        "channels": "<results>/{session}/channels",
        "channel_means": "<results>/{session}/images/channels",
    }


def derotated_planes():
    """The folder of planes that are derotated beside the one that calibrates, if wanted."""
    if not any_wants("planes"):
        return {}
    return {"planes": "<results>/{session}/planes"}


def further_channels():
    """What derotate_movie writes of these channels."""
    folders = derotated_channels()
    if not folders:
        return {}
    return {
        "channels": kept(directory(folders["channels"])),
        "channel_means": directory(folders["channel_means"]),
        "channels_plot": report(
            "<results>/{session}/plots/channels.png",
            caption="../report/channels.rst",
            category="4 Derotated movie",
            labels={"session": "{session}", "plot": "mean image of each channel"},
        ),
    }


def kept(file):
    """A file that is removed when everything has been made from it, if the user wants so."""
    return file if COHORT.config["export"]["keep_derotated"] else temp(file)


def suite2p_results(name):
    """The files that tell that Suite2p has been run on a session, by hand, if they are there."""
    results = Path(workflow.pathvars.apply("<results>"), name, "suite2p")
    files = [results / "plane0" / file for file in ("stat.npy", "iscell.npy")]
    return [file for file in files if file.exists()]


@cache
def has_cells(name):
    """Whether there are ROIs in a session, or will be."""
    rois, suite2p = COHORT.config["cells"]["rois"], COHORT.config["export"]["suite2p"]
    if rois == "suite2p":
        # To make the movie again would make the export again, and so need Suite2p again.
        kept_there = COHORT.config["export"]["keep_derotated"] and suite2p_results(name)
        return suite2p["write"] and (suite2p["run"] or bool(kept_there))
    if rois in (None, "blobs"):
        return rois == "blobs"
    return rois_file(name).exists()


def rois_file(name):
    """The file with a session's ROIs, as the configuration names it."""
    return Path(COHORT.config["cells"]["rois"].replace("{session}", name))


def with_cells():
    """The names of the sessions whose cells are measured."""
    return [name for name in COHORT.sheet.names if has_cells(name)]


def cell_files(wildcards):
    """What measure_cells reads that not every session has."""
    name = wildcards.session
    rois, suite2p = COHORT.config["cells"]["rois"], COHORT.config["export"]["suite2p"]
    files = motion_file(wildcards) | {
        key: file.format(session=name) for key, file in derotated_planes().items()
    }
    if name in aligned():
        files["movement"] = f"<results>/{name}/movement.json"
    if rois == "suite2p":
        last = "suite2p_run" if suite2p["run"] else "export"
        files["suite2p"] = f"<results>/{name}/suite2p/{last}.json"
    elif rois != "blobs":
        files["rois"] = str(rois_file(name))
    return files


def cells_by_hand(wildcards):
    """When Suite2p was run, and cells were chosen, by hand: no file of a rule tells."""
    if COHORT.config["cells"]["rois"] != "suite2p":
        return []
    if COHORT.config["export"]["suite2p"]["run"]:
        return []
    return [file.stat().st_mtime_ns for file in suite2p_results(wildcards.session)]


def exported_cells(wildcards):
    """The cells of a session, for an export, if there are any."""
    name = wildcards.session
    return {"cells": f"<results>/{name}/cells.npz"} if has_cells(name) else {}


@cache
def fields_of_view():
    """The sessions with cells of each field of view, by the name of the reference."""
    fields = {}
    for name in with_cells():
        fields.setdefault(COHORT.sheet[name].reference or name, []).append(name)
    several = {first: names for first, names in fields.items() if len(names) > 1}
    # The reference's own cells come first.
    return {
        first: sorted(names, key=lambda name: name != first)
        for first, names in several.items()
    }


def matched_files():
    """What the workflow makes of cells of several sessions."""
    return ["<results>/cells_matched.csv"] if fields_of_view() else []


def raw_binary():
    """The second copy of the movie, which Suite2p's registration leaves as it is, if wanted."""
    if not COHORT.config["export"]["keep_raw"]:
        return {}
    return {"raw": "<results>/{session}/suite2p/plane0/data_raw.bin"}


def exports():
    """The exports that the user wants, each by its last file."""
    export = COHORT.config["export"]
    wanted = {
        "suite2p/export.json": export["suite2p"]["write"],
        "suite2p/suite2p_run.json": export["suite2p"]["run"],
        "suite2p_tiff/{session}.tif": export["tiff"],
        "{session}.nwb": export["nwb"] != "none",
    }
    return [name for name, asked in wanted.items() if asked]


def final_files(session):
    """What the workflow makes of one session."""
    names = ["angles.csv", "plots/before_after.png", "quality.json"]
    names.append("dark_angles.csv")
    names += [name.format(session=session.name) for name in exports()]
    if COHORT.config["export"]["keep_derotated"]:
        names += ["derotated.tif", *(["planes"] if derotated_planes() else [])]
    if session.calibration is None:
        names.append("center_of_rotation.txt")
    if has_cells(session.name):
        names.append("cells.csv")
    if COHORT.config["report"]["animation"]:
        names += ["plots/animation.gif", "player.json"]
    return [f"<results>/{session.name}/{name}" for name in names]


def check_cluster():
    """Submit nothing that SLURM refuses, or on which a job of a killed Snakemake still works."""
    jobs = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    names = [job.group or job.rule.name for job in jobs]
    asked = [(dict(job.resources.items()), job.threads) for job in jobs]
    requests = merged_requests(
        (name, *request) for name, request in zip(names, asked, strict=True)
    )
    try:
        check_queue(
            Path.cwd(),
            set(names),
            workflow.executor_settings.status_command or "sacct",
        )
        check_submission(requests)
    except ClusterError as error:
        raise WorkflowError(str(error)) from None


def mosaic_images(wildcards, name):
    """One kind of image of all sessions of a mosaic."""
    return [
        f"<results>/{session.name}/images/{name}.tif"
        for session in MOSAICS[wildcards.group]
    ]


def mosaic_sessions(wildcards):
    """What the sample sheet says about the sessions of a mosaic."""
    return [
        {
            "name": session.name,
            "stage_x_um": session.stage_x_um,
            "stage_y_um": session.stage_y_um,
            "movie": next(iter(session.movie_files()), session.movie),
        }
        for session in MOSAICS[wildcards.group]
    ]


def mosaic_movies(wildcards):
    """The raw files that tell where the stage was, of sessions of which the sheet does not."""
    asked = [
        session["movie"]
        for session in mosaic_sessions(wildcards)
        if session["stage_x_um"] is None
    ]
    return {"movies": asked} if asked else {}


def mosaic_megabytes(wildcards, attempt):
    """Memory of a mosaic's job: several float images per session, of up to 1024 x 1024 pixels."""
    return (1000 + 50 * len(MOSAICS[wildcards.group])) * 2 ** (attempt - 1)


def mosaic_files(group):
    """What the workflow makes of a mosaic."""
    return [f"<results>/mosaic/{group}.tif"]


@cache
def gigabytes(name):
    """Size of a session's raw files, as far as they exist: simulated ones may not, yet.

    Not the size of a rule's inputs: in a group of jobs most of them do not exist when the group
    is submitted, and Snakemake then leaves out all that the rule asks for.
    """
    session = COHORT.sheet[name]
    files = [*session.movie_files(), session.signals]
    return (
        sum(Path(file).stat().st_size for file in files if Path(file).is_file()) / 1e9
    )


def threads_up_to(most):
    """Threads of a job: small sessions gain nothing by several, and run side by side instead."""
    return lambda wildcards: min(most, 1 + int(gigabytes(wildcards.session) / 0.25))


def growing(base, per_gigabyte, least=0):
    """A resource that grows with a session's raw files, and doubles with each further attempt."""

    def amount(wildcards, attempt):
        size = gigabytes(wildcards.session) if hasattr(wildcards, "session") else 0
        return round(max(least, base + per_gigabyte * size) * 2 ** (attempt - 1))

    return amount


def megabytes(base, per_gigabyte=0.0):
    """Memory of a job. On a cluster it contains Snakemake twice: less than 500 is not enough."""
    return growing(base, per_gigabyte, least=500)


def minutes(base, per_gigabyte=0.0):
    """Time limit of a job."""
    return growing(base, per_gigabyte, least=5)


def disk(base, per_gigabyte=0.0):
    """Megabytes that a job writes; no reason to ask for more at a further attempt."""
    amount = growing(base, per_gigabyte)
    return lambda wildcards: amount(wildcards, attempt=1)

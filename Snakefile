# From raw movies and analog signals of a cohort of sessions to movies that stand still.
#
#     snakemake            # run what is missing or out of date, on all cores
#     snakemake -n         # only say what would be run
#
# config/config.yaml holds the settings, config/sessions.tsv the sessions; config/README.md
# explains both.


configfile: "config/config.yaml"


# Without effect unless a run asks for containers (--sdm apptainer). It names the base that the
# package is known to install on; jobs run in the environment from which Snakemake is started.
container: "docker://python:3.11-slim"


include: "workflow/rules/common.smk"
include: "workflow/rules/run.smk"


rule all:
    input:
        # Not there after a failure, so that the report beside it is made anew.
        "<results>/run/complete.txt",
        "<results>/report.html",
        [final_files(session) for session in COHORT.sheet],
        [mosaic_files(group) for group in MOSAICS],
        matched_files(),


include: "workflow/rules/simulate_session.smk"
include: "workflow/rules/parse_signals.smk"
include: "workflow/rules/interpolate_angles.smk"
include: "workflow/rules/estimate_center.smk"
include: "workflow/rules/estimate_plane.smk"
include: "workflow/rules/estimate_illumination.smk"
include: "workflow/rules/estimate_motion.smk"
include: "workflow/rules/average_rest.smk"
include: "workflow/rules/carry_calibration.smk"
include: "workflow/rules/align_session.smk"
include: "workflow/rules/derotate_movie.smk"
include: "workflow/rules/derotate_planes.smk"
include: "workflow/rules/measure_quality.smk"
include: "workflow/rules/export_suite2p.smk"
include: "workflow/rules/export_tiff.smk"
include: "workflow/rules/export_nwb.smk"
include: "workflow/rules/run_suite2p.smk"
include: "workflow/rules/measure_cells.smk"
include: "workflow/rules/match_cells.smk"
include: "workflow/rules/animate_session.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/build_mosaic.smk"

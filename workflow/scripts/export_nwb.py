"""Write a session as one NWB file."""

from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0]):
    from derotation.steps import export_nwb

    export_nwb.run(
        movie=snakemake.input.movie,
        recorded=snakemake.params.movie,
        channels=snakemake.input.get("channels"),
        planes=snakemake.input.get("planes"),
        angles=snakemake.input.angles,
        calibration=snakemake.input.calibration,
        motion=snakemake.input.get("motion"),
        cells=snakemake.input.get("cells"),
        session=snakemake.wildcards.session,
        config=snakemake.params.config,
        output=snakemake.output[0],
    )

"""Make the movies of a session's further planes that stand still."""

from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0], draws=True):
    from derotation.steps import derotate_planes

    derotate_planes.run(
        movie=snakemake.params.movie,
        signals=snakemake.input.get("signals"),
        stimulus=snakemake.input.get("stimulus"),
        angle_table=snakemake.input.get("angles"),
        protocol=snakemake.params.protocol,
        calibration=snakemake.input.calibration,
        config=snakemake.params.config,
        outputs=derotate_planes.Outputs.of(**dict(snakemake.output.items())),
        movement=snakemake.input.get("movement"),
        motion=snakemake.input.get("motion"),
        illumination=snakemake.input.get("illumination"),
        frames_per_chunk=snakemake.resources.frames_per_chunk or None,
        threads=snakemake.threads,
    )

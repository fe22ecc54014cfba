"""Find what the center does not explain: lag, tilted plane, wobbling axis."""

from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0], draws=True):
    from derotation.steps import estimate_plane

    estimate_plane.run(
        movie=snakemake.params.movie,
        angles=snakemake.input.angles,
        center=snakemake.input.center,
        session=snakemake.wildcards.session,
        config=snakemake.params.config,
        outputs=estimate_plane.Outputs.of(**dict(snakemake.output.items())),
        threads=snakemake.threads,
    )

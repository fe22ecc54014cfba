"""Find the movement of a session against its reference."""

from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0], draws=True):
    from derotation.steps import align_session

    align_session.run(
        session=snakemake.wildcards.session,
        reference=snakemake.params.reference,
        moved_image=snakemake.input.moved_image,
        ref_image=snakemake.input.ref_image,
        moved_calibration=snakemake.input.moved_calibration,
        ref_calibration=snakemake.input.ref_calibration,
        points=snakemake.input.get("points"),
        config=snakemake.params.config,
        outputs=align_session.Outputs.of(**dict(snakemake.output.items())),
    )

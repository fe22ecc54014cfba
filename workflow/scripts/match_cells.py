"""Match the cells of sessions that share a field of view."""

from typing import TYPE_CHECKING

from derotation.jobs.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job_log(snakemake.log[0]):
    from derotation.steps import match_cells

    fields = snakemake.params.fields
    names = [name for group in fields.values() for name in group]
    cells = dict(zip(names, snakemake.input.cells, strict=True))
    match_cells.run(
        cells={
            reference: {name: cells[name] for name in group} for reference, group in fields.items()
        },
        means=dict(zip(names, snakemake.input.means, strict=True)),
        config=snakemake.params.config,
        table=snakemake.output.table,
        plots=snakemake.output.plots,
    )

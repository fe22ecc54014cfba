# The same cell in all sessions of one field of view.


rule match_cells:
    input:
        cells=lambda wildcards: [
            f"<results>/{name}/cells.npz"
            for names in fields_of_view().values()
            for name in names
        ],
        means=lambda wildcards: [
            f"<results>/{name}/images/mean.tif"
            for names in fields_of_view().values()
            for name in names
        ],
    output:
        table="<results>/cells_matched.csv",
        plots=directory("<results>/cells_matched"),
    log:
        "<logs>/cohort/match_cells.log",
    benchmark:
        "<benchmarks>/cohort/match_cells.tsv"
    resources:
        mem_mb=megabytes(1500),
        runtime=30,
        disk_mb=100,
    params:
        fields=lambda wildcards: {
            reference: list(names) for reference, names in fields_of_view().items()
        },
        config=section(COHORT.config, "cells.match_px"),
        code=code("match_cells"),
    message:
        "Matching the cells of sessions that share a field of view"
    script:
        "../scripts/match_cells.py"

# What cells say: traces at the times at which they were scanned, and what they follow.


rule measure_cells:
    input:
        unpack(exported),
        unpack(cell_files),
        statistics="<results>/{session}/statistics.npz",
        events="<results>/{session}/events.npz",
    output:
        table="<results>/{session}/cells.csv",
        traces="<results>/{session}/cells.npz",
        summary="<results>/{session}/cells.json",
        tuning=report(
            "<results>/{session}/plots/cell_tuning.png",
            caption="../report/cell_tuning.rst",
            category="6 Cells",
            labels={"session": "{session}", "plot": "what cells follow"},
        ),
        responses=report(
            "<results>/{session}/plots/cell_responses.png",
            caption="../report/cell_responses.rst",
            category="6 Cells",
            labels={"session": "{session}", "plot": "responses to rotations"},
        ),
    log:
        "<logs>/{session}/measure_cells.log",
    benchmark:
        "<benchmarks>/{session}/measure_cells.tsv"
    wildcard_constraints:
        session=one_of(with_cells()),
    threads: threads_up_to(4)
    resources:
        mem_mb=megabytes(1500, 100),
        runtime=minutes(15, 3),
        disk_mb=disk(300, 200),
    params:
        protocol=protocol,
        by_hand=cells_by_hand,
        config=settings(
            "cells",
            "export.scale",
            "export.suite2p.tau",
            "movie.plane",
            *CHANNEL_KEYS,
        ),
        code=code("measure_cells"),
    message:
        "Measuring the cells of {wildcards.session}"
    script:
        "../scripts/measure_cells.py"

# Suite2p itself, in an environment of its own (export.suite2p.run, off by default).


rule run_suite2p:
    input:
        # Suite2p changes all other files of the folder, this one it leaves alone: it tells whether
        # there is a new export.
        summary="<results>/{session}/suite2p/export.json",
        data=ancient("<results>/{session}/suite2p/plane0/data.bin"),
        script=ancient("<results>/{session}/suite2p/run_suite2p.py"),
    output:
        "<results>/{session}/suite2p/suite2p_run.json",
    log:
        "<logs>/{session}/run_suite2p.log",
    benchmark:
        "<benchmarks>/{session}/run_suite2p.tsv"
    conda:
        "../envs/suite2p.yaml"
    threads: 4
    resources:
        mem_mb=megabytes(8000, 3000),
        runtime=minutes(60, 120),
        disk_mb=disk(500, 2200),
    params:
        python=COHORT.config["export"]["suite2p"]["python"],
    message:
        "Running Suite2p on {wildcards.session}"
    shell:
        "{params.python:q} {input.script:q} > {log:q} 2>&1"

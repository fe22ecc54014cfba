# The sessions of a group, recorded side by side, as one picture of the window.


rule build_mosaic:
    input:
        unpack(mosaic_movies),
        means=lambda wildcards: mosaic_images(wildcards, "mean"),
        coverages=lambda wildcards: mosaic_images(wildcards, "coverage"),
    output:
        image="<results>/mosaic/{group}.tif",
        labels="<results>/mosaic/{group}_labels.tif",
        summary="<results>/mosaic/{group}.json",
        table="<results>/mosaic/{group}_offsets.tsv",
        plot=report(
            "<results>/mosaic/{group}.png",
            caption="../report/mosaic.rst",
            category="9 Mosaics",
            labels={"group": "{group}", "plot": "mosaic"},
        ),
        overlaps_plot=report(
            "<results>/mosaic/{group}_overlaps.png",
            caption="../report/mosaic_overlaps.rst",
            category="9 Mosaics",
            labels={"group": "{group}", "plot": "overlaps"},
        ),
    log:
        "<logs>/mosaic/{group}.log",
    benchmark:
        "<benchmarks>/mosaic/{group}.tsv"
    wildcard_constraints:
        group=one_of(MOSAICS),
    threads: 2
    resources:
        mem_mb=mosaic_megabytes,
        runtime=minutes(30),
        disk_mb=500,
    params:
        sessions=mosaic_sessions,
        config=section(COHORT.config, "mosaic"),
        code=code("build_mosaic"),
    message:
        "Building the mosaic {wildcards.group}"
    script:
        "../scripts/build_mosaic.py"

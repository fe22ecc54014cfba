# The picture at rest of sessions whose calibration, which brings one along, is another's.


rule average_rest:
    input:
        movie=movie_files,
        angles="<results>/{session}/angles.npz",
    output:
        image="<results>/{session}/images/rest.tif",
    log:
        "<logs>/{session}/average_rest.log",
    benchmark:
        "<benchmarks>/{session}/average_rest.tsv"
    wildcard_constraints:
        session=one_of(set(COHORT.sheet.names) - set(calibrated_by_themselves())),
    resources:
        mem_mb=megabytes(1000, 50),
        runtime=minutes(10, 1),
        disk_mb=disk(100),
    params:
        movie=movie_pattern,
        config=settings(*MOVIE_KEYS),
        code=code("average_rest"),
    message:
        "Averaging the frames of {wildcards.session} at rest"
    script:
        "../scripts/average_rest.py"

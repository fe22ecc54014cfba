# What the center does not explain: a lag, a tilted plane of rotation, an axis that wobbles.


rule estimate_plane:
    input:
        movie=movie_files,
        angles="<results>/{session}/angles.npz",
        center="<results>/{session}/center.json",
    output:
        calibration="<results>/{session}/calibration.json",
        text="<results>/{session}/center_of_rotation.txt",
        rest="<results>/{session}/images/rest.tif",
        plane=report(
            "<results>/{session}/plots/plane.png",
            caption="../report/plane.rst",
            category="3 Center",
            labels={"session": "{session}", "plot": "plane of rotation"},
        ),
        wobble=report(
            "<results>/{session}/plots/wobble.png",
            caption="../report/wobble.rst",
            category="3 Center",
            labels={"session": "{session}", "plot": "wobble of the axis"},
        ),
    log:
        "<logs>/{session}/estimate_plane.log",
    benchmark:
        "<benchmarks>/{session}/estimate_plane.tsv"
    wildcard_constraints:
        session=one_of(calibrated_by_themselves()),
    threads: threads_up_to(2)
    resources:
        mem_mb=megabytes(1500, 50),
        runtime=minutes(15, 1),
        disk_mb=disk(100),
    params:
        movie=movie_pattern,
        config=settings(
            "plane", "wobble", "angles.lag_ms", *MOVIE_KEYS
        ),
        code=code("estimate_plane"),
    message:
        "Looking for lag, tilt and wobble of {wildcards.session}"
    script:
        "../scripts/estimate_plane.py"

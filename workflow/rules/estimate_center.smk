# The center of rotation, for sessions that do not take it from another calibration.


rule estimate_center:
    input:
        movie=movie_files,
        angles="<results>/{session}/angles.npz",
    output:
        center="<results>/{session}/center.json",
        table="<results>/{session}/center.csv",
        plot=report(
            "<results>/{session}/plots/center.png",
            caption="../report/center.rst",
            category="3 Center",
            labels={"session": "{session}", "plot": "center with residuals"},
        ),
    log:
        "<logs>/{session}/estimate_center.log",
    benchmark:
        "<benchmarks>/{session}/estimate_center.tsv"
    threads: threads_up_to(2)
    resources:
        mem_mb=megabytes(1500, 50),
        runtime=minutes(15, 1),
        disk_mb=disk(100),
    params:
        movie=movie_pattern,
        config=settings("center", *MOVIE_KEYS),
        code=code("estimate_center"),
    message:
        "Finding the center of rotation of {wildcards.session}"
    script:
        "../scripts/estimate_center.py"

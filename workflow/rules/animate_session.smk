# The raw beside the derotated movie: a short animation, and what the report plays.


rule animate_session:
    input:
        movie=movie_files,
        derotated="<results>/{session}/derotated.tif",
        seen="<results>/{session}/seen.npz",
        mean="<results>/{session}/images/mean.tif",
        raw_mean="<results>/{session}/images/raw_mean.tif",
        angles="<results>/{session}/angles.npz",
        calibration=calibration_file,
    output:
        animation=report(
            "<results>/{session}/plots/animation.gif",
            caption="../report/animation.rst",
            category="4 Derotated movie",
            labels={"session": "{session}", "plot": "animation"},
        ),
        player="<results>/{session}/player.json",
    log:
        "<logs>/{session}/animate_session.log",
    benchmark:
        "<benchmarks>/{session}/animate_session.tsv"
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(10),
        disk_mb=disk(100),
    params:
        movie=movie_pattern,
        config=settings(*MOVIE_KEYS),
        code=code("animate_session"),
    message:
        "Animating {wildcards.session}"
    script:
        "../scripts/animate_session.py"

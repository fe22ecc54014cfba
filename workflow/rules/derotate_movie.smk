# The movie that stands still, in one resampling.


rule derotate_movie:
    input:
        unpack(corrections),
        movie=movie_files,
        angles="<results>/{session}/angles.npz",
        calibration=calibration_file,
    output:
        **further_channels(),
        movie=kept("<results>/{session}/derotated.tif"),
        seen="<results>/{session}/seen.npz",
        mean="<results>/{session}/images/mean.tif",
        raw_mean="<results>/{session}/images/raw_mean.tif",
        coverage="<results>/{session}/images/coverage.tif",
        coverage_table="<results>/{session}/coverage.csv",
        statistics="<results>/{session}/statistics.npz",
        before_after=report(
            "<results>/{session}/plots/before_after.png",
            caption="../report/before_after.rst",
            category="4 Derotated movie",
            labels={"session": "{session}", "plot": "mean image before and after"},
        ),
        contact_sheet=report(
            "<results>/{session}/plots/contact_sheet.png",
            caption="../report/contact_sheet.rst",
            category="4 Derotated movie",
            labels={"session": "{session}", "plot": "derotated frames"},
        ),
    log:
        "<logs>/{session}/derotate_movie.log",
    benchmark:
        "<benchmarks>/{session}/derotate_movie.tsv"
    threads: threads_up_to(4)
    resources:
        mem_mb=megabytes(1500, 100),
        runtime=minutes(15, 5),
        disk_mb=disk(300, 1100),
        frames_per_chunk=frames_per_chunk,
    params:
        movie=movie_pattern,
        config=settings(*DEROTATE_KEYS),
        code=code("derotate_movie"),
    message:
        "Derotating {wildcards.session}"
    script:
        "../scripts/derotate_movie.py"

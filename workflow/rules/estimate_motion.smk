# How the sample moved in its own plane during the session (motion_correction.correct).


rule estimate_motion:
    input:
        movie=movie_files,
        angles="<results>/{session}/angles.npz",
        calibration=calibration_file,
    output:
        motion="<results>/{session}/motion.npz",
        table="<results>/{session}/motion.csv",
        summary="<results>/{session}/motion.json",
        plot=report(
            "<results>/{session}/plots/motion.png",
            caption="../report/motion.rst",
            category="4 Derotated movie",
            labels={"session": "{session}", "plot": "motion of the sample"},
        ),
    log:
        "<logs>/{session}/estimate_motion.log",
    benchmark:
        "<benchmarks>/{session}/estimate_motion.tsv"
    resources:
        mem_mb=megabytes(1500, 50),
        runtime=minutes(15, 3),
        disk_mb=disk(100),
        frames_per_chunk=frames_per_chunk,
    params:
        movie=movie_pattern,
        config=settings("motion_correction.n_frames", *MOVIE_KEYS),
        code=code("estimate_motion"),
    message:
        "Looking for motion of the sample in {wildcards.session}"
    script:
        "../scripts/estimate_motion.py"

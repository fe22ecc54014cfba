# The microscope's light, which does not turn with the sample, and the brightness at each angle.


rule estimate_illumination:
    input:
        movie=movie_files,
        angles="<results>/{session}/angles.npz",
        calibration=calibration_file,
    output:
        illumination="<results>/{session}/illumination.npz",
        summary="<results>/{session}/illumination.json",
        dark_angles="<results>/{session}/dark_angles.csv",
        plot=report(
            "<results>/{session}/plots/illumination.png",
            caption="../report/illumination.rst",
            category="3 Center",
            labels={"session": "{session}", "plot": "illumination"},
        ),
        dark_angles_plot=report(
            "<results>/{session}/plots/dark_angles.png",
            caption="../report/dark_angles.rst",
            category="4 Derotated movie",
            labels={"session": "{session}", "plot": "brightness at each angle"},
        ),
    log:
        "<logs>/{session}/estimate_illumination.log",
    benchmark:
        "<benchmarks>/{session}/estimate_illumination.tsv"
    resources:
        mem_mb=megabytes(1500, 50),
        runtime=minutes(15, 1),
        disk_mb=disk(100),
    params:
        movie=movie_pattern,
        config=settings("illumination.n_frames", *MOVIE_KEYS),
        code=code("estimate_illumination"),
    message:
        "Looking for uneven illumination and dark angles in {wildcards.session}"
    script:
        "../scripts/estimate_illumination.py"

# One angle for each line of the movie, from the ticks.


rule interpolate_angles:
    input:
        events="<results>/{session}/events.npz",
        movie=movie_files,
    output:
        angles="<results>/{session}/angles.npz",
        table="<results>/{session}/angles.csv",
        scan="<results>/{session}/scan.json",
        plot=report(
            "<results>/{session}/plots/angles.png",
            caption="../report/angles.rst",
            category="2 Angles",
            labels={"session": "{session}", "plot": "angle and speed"},
        ),
    log:
        "<logs>/{session}/interpolate_angles.log",
    benchmark:
        "<benchmarks>/{session}/interpolate_angles.tsv"
    resources:
        mem_mb=megabytes(1000, 100),
        runtime=minutes(10, 1),
        disk_mb=disk(100, 50),
    params:
        movie=movie_pattern,
        config=angle_settings,
        protocol=protocol,
        code=code("interpolate_angles"),
    message:
        "Giving each line of {wildcards.session} its angle"
    script:
        "../scripts/interpolate_angles.py"

# One angle for each line of the movie, from the ticks.


rule interpolate_angles:
    input:
        events="<results>/{session}/events.npz",
    output:
        angles="<results>/{session}/angles.npz",
        table="<results>/{session}/angles.csv",
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
        mem_mb=megabytes(1000, per_input=10),
        runtime=minutes(10, 0),
    params:
        config=settings("angles"),
        protocol=protocol,
        code=code("interpolate_angles"),
    message:
        "Giving each line of {wildcards.session} its angle"
    script:
        "../scripts/interpolate_angles.py"

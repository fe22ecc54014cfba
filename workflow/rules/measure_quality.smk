# Whether a session was derotated well, from what was learned while its movie passed by.


rule measure_quality:
    input:
        unpack(motion_file),
        statistics="<results>/{session}/statistics.npz",
        events="<results>/{session}/events.npz",
        angles="<results>/{session}/angles.npz",
        calibration=calibration_file,
    output:
        quality="<results>/{session}/quality.json",
        table="<results>/{session}/quality.csv",
        over_time=report(
            "<results>/{session}/plots/quality_over_time.png",
            caption="../report/quality_over_time.rst",
            category="5 Quality",
            labels={"session": "{session}", "plot": "quality over time"},
        ),
        mean_by_angle=report(
            "<results>/{session}/plots/mean_by_angle.png",
            caption="../report/mean_by_angle.rst",
            category="5 Quality",
            labels={"session": "{session}", "plot": "mean images by angle"},
        ),
        residual_shift=report(
            "<results>/{session}/plots/residual_shift.png",
            caption="../report/residual_shift.rst",
            category="5 Quality",
            labels={"session": "{session}", "plot": "residual shift by angle"},
        ),
        blob=report(
            "<results>/{session}/plots/blob.png",
            caption="../report/blob.rst",
            category="5 Quality",
            labels={"session": "{session}", "plot": "most detected blob"},
        ),
        coverage=report(
            "<results>/{session}/plots/coverage.png",
            caption="../report/coverage.rst",
            category="5 Quality",
            labels={"session": "{session}", "plot": "coverage, brightness, likeness"},
        ),
    log:
        "<logs>/{session}/measure_quality.log",
    benchmark:
        "<benchmarks>/{session}/measure_quality.tsv"
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
        disk_mb=disk(100),
    params:
        protocol=protocol,
        config=settings("quality", "signals.degrees_per_rotation"),
        code=code("measure_quality"),
    message:
        "Measuring the quality of {wildcards.session}"
    script:
        "../scripts/measure_quality.py"

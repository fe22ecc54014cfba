# Another session's calibration, where the scanner may have moved since.


rule carry_calibration:
    input:
        unpack(carried_files),
    output:
        calibration="<results>/{session}/calibration.json",
        text="<results>/{session}/center_of_rotation.txt",
        plot=report(
            "<results>/{session}/plots/calibration.png",
            caption="../report/calibration.rst",
            category="3 Center",
            labels={"session": "{session}", "plot": "calibration of another session"},
        ),
    log:
        "<logs>/{session}/carry_calibration.log",
    benchmark:
        "<benchmarks>/{session}/carry_calibration.tsv"
    wildcard_constraints:
        session=one_of(carried_over()),
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
        disk_mb=disk(100),
    params:
        source=lambda wildcards: COHORT.sheet[wildcards.session].calibration,
        config=settings(*DETECTION_KEYS),
        code=code("carry_calibration"),
    message:
        "Carrying a calibration over to {wildcards.session}"
    script:
        "../scripts/carry_calibration.py"

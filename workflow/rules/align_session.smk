# The movement of the field of view against the session's reference.


rule align_session:
    input:
        unpack(alignment_files),
    output:
        movement="<results>/{session}/movement.json",
        correction="<results>/{session}/movement.cmc",
        plot=report(
            "<results>/{session}/plots/movement.png",
            caption="../report/movement.rst",
            category="4 Derotated movie",
            labels={"session": "{session}", "plot": "alignment to the reference"},
        ),
    log:
        "<logs>/{session}/align_session.log",
    benchmark:
        "<benchmarks>/{session}/align_session.tsv"
    wildcard_constraints:
        session=one_of(aligned()),
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10),
        disk_mb=disk(100),
    params:
        reference=lambda wildcards: COHORT.sheet[wildcards.session].reference,
        config=settings(*DETECTION_KEYS),
        code=code("align_session"),
    message:
        "Finding the movement of {wildcards.session} against its reference"
    script:
        "../scripts/align_session.py"

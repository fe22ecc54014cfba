# The raw files of sessions that the configuration's section simulate names: the demo cohort.


rule simulate_session:
    output:
        movie="data/{session}/movie.tif",
        signals="data/{session}/signals.npy",
        stimulus="data/{session}/stimulus.csv",
        truth="data/{session}/truth.npz",
        summary="data/{session}/truth.json",
    log:
        "<logs>/{session}/simulate_session.log",
    benchmark:
        "<benchmarks>/{session}/simulate_session.tsv"
    wildcard_constraints:
        session=one_of(simulated("full")),
    threads: 2
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(15),
        disk_mb=disk(500),
    params:
        config=lambda wildcards: COHORT.config["simulate"][wildcards.session],
        protocol="full",
        code=code("simulate_session"),
    message:
        "Simulating the raw files of {wildcards.session}"
    script:
        "../scripts/simulate_session.py"


use rule simulate_session as simulate_incremental_session with:
    output:
        movie="data/{session}/movie.tif",
        signals="data/{session}/signals.npy",
        truth="data/{session}/truth.npz",
        summary="data/{session}/truth.json",
    wildcard_constraints:
        session=one_of(simulated("incremental")),
    params:
        config=lambda wildcards: COHORT.config["simulate"][wildcards.session],
        protocol="incremental",
        code=code("simulate_session"),

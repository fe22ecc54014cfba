# What is read first: the cohort's page and table, and the record of the run. run.smk makes the
# same when jobs have failed.


localrules:
    report,
    report_now,


rule report:
    input:
        [final_files(session) for session in COHORT.sheet],
        [mosaic_files(group) for group in MOSAICS],
    output:
        page=report(
            "<results>/report.html",
            caption="../report/report.rst",
            category="0 Summary",
            labels={"session": "all", "plot": "report"},
        ),
        table=report(
            "<results>/cohort.tsv",
            caption="../report/cohort.rst",
            category="0 Summary",
            labels={"session": "all", "plot": "table"},
        ),
        record=multiext(
            "<results>/run/", "config.yaml", "sessions.tsv", "versions.json"
        ),
        complete="<results>/run/complete.txt",
    log:
        "<logs>/cohort/report.log",
    benchmark:
        "<benchmarks>/cohort/report.tsv"
    threads: 2
    resources:
        mem_mb=megabytes(1500),
        runtime=60,
    params:
        inputs=lambda wildcards: report_inputs(),
        code=code("report"),
        templates=lambda wildcards: templates_of_report(),
    message:
        "Writing the report of all sessions"
    script:
        "../scripts/report.py"


# The same of what there is, when it is asked for (derotation report); nothing else is run for it.
rule report_now:
    log:
        "<logs>/cohort/report_now.log",
    threads: 2
    resources:
        mem_mb=megabytes(1500),
        runtime=60,
    params:
        inputs=lambda wildcards: report_inputs(),
    message:
        "Writing the report of what there is"
    script:
        "../scripts/report_now.py"

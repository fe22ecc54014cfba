# The times of lines, frames, ticks and rotations, from the analog signals.


rule parse_signals:
    input:
        unpack(signal_files),
        movie=movie_files,
    output:
        events="<results>/{session}/events.npz",
        summary="<results>/{session}/events.json",
        plot=report(
            "<results>/{session}/plots/signals.png",
            caption="../report/signals.rst",
            category="1 Signals",
            labels={"session": "{session}", "plot": "signals with events"},
        ),
    log:
        "<logs>/{session}/parse_signals.log",
    benchmark:
        "<benchmarks>/{session}/parse_signals.tsv"
    resources:
        mem_mb=megabytes(1000, 50),
        runtime=minutes(10, 1),
        disk_mb=disk(100, 50),
    params:
        movie=movie_pattern,
        config=parse_settings,
        protocol=protocol,
        code=code("parse_signals"),
    message:
        "Finding lines, frames, ticks and rotations in the signals of {wildcards.session}"
    script:
        "../scripts/parse_signals.py"

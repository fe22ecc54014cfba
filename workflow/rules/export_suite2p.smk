# A folder that Suite2p takes at once.


rule export_suite2p:
    input:
        unpack(exported),
        unpack(motion_file),
        **derotated_planes(),
        statistics="<results>/{session}/statistics.npz",
        segments="<results>/{session}/quality.csv",
    output:
        **raw_binary(),
        data="<results>/{session}/suite2p/plane0/data.bin",
        db="<results>/{session}/suite2p/plane0/db.npy",
        settings="<results>/{session}/suite2p/plane0/settings.npy",
        ops="<results>/{session}/suite2p/plane0/ops.npy",
        registration="<results>/{session}/suite2p/plane0/reg_outputs.npy",
        bad_frames="<results>/{session}/suite2p/bad_frames.npy",
        script="<results>/{session}/suite2p/run_suite2p.py",
        summary="<results>/{session}/suite2p/export.json",
    log:
        "<logs>/{session}/export_suite2p.log",
    benchmark:
        "<benchmarks>/{session}/export_suite2p.tsv"
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10, 3),
        disk_mb=disk(100, 2200 if COHORT.config["export"]["keep_raw"] else 1100),
        frames_per_chunk=frames_per_chunk,
    params:
        config=settings(
            *(f"export.{key}" for key in ("fill", "scale", "keep_raw", "bad_frames")),
            *CHANNEL_KEYS,
            "movie.plane",
            *(
                f"export.suite2p.{key}"
                for key in ("tau", "diameter", "register", "settings", "ops")
            ),
        ),
        code=code("export_suite2p"),
    message:
        "Exporting {wildcards.session} for Suite2p"
    script:
        "../scripts/export_suite2p.py"

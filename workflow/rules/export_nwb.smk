# A session as one NWB file: both movies, the angle of each line, and how it was derotated.


rule export_nwb:
    input:
        unpack(motion_file),
        unpack(exported_cells),
        **derotated_channels(),
        **derotated_planes(),
        movie="<results>/{session}/derotated.tif",
        recorded=movie_files,
        angles="<results>/{session}/angles.npz",
        calibration=calibration_file,
    output:
        "<results>/{session}/{session}.nwb",
    log:
        "<logs>/{session}/export_nwb.log",
    benchmark:
        "<benchmarks>/{session}/export_nwb.tsv"
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10, 5),
        disk_mb=disk(100, 2200),
    params:
        movie=movie_pattern,
        config=nwb_settings,
        code=code("export_nwb"),
    message:
        "Exporting {wildcards.session} as NWB"
    script:
        "../scripts/export_nwb.py"

# The other planes of a session (movie.planes), by the calibration of movie.plane.


rule derotate_planes:
    input:
        unpack(signal_files),
        unpack(corrections),
        movie=movie_files,
        calibration=calibration_file,
    output:
        planes=kept(directory("<results>/{session}/planes")),
        summary="<results>/{session}/planes.json",
        plot=report(
            "<results>/{session}/plots/planes.png",
            caption="../report/planes.rst",
            category="4 Derotated movie",
            labels={
                "session": "{session}",
                "plot": "mean image of each further plane",
            },
        ),
    log:
        "<logs>/{session}/derotate_planes.log",
    benchmark:
        "<benchmarks>/{session}/derotate_planes.tsv"
    threads: threads_up_to(4)
    resources:
        mem_mb=megabytes(1500, 100),
        runtime=minutes(20, 8),
        disk_mb=disk(300, 1100),
        frames_per_chunk=frames_per_chunk,
    params:
        movie=movie_pattern,
        config=plane_settings,
        protocol=protocol,
        code=code("derotate_planes"),
    message:
        "Derotating the other planes of {wildcards.session}"
    script:
        "../scripts/derotate_planes.py"

# The derotated movie, filled and as 16-bit integers, as a TIFF that Suite2p reads.


rule export_tiff:
    input:
        unpack(exported),
    output:
        "<results>/{session}/suite2p_tiff/{session}.tif",
    log:
        "<logs>/{session}/export_tiff.log",
    benchmark:
        "<benchmarks>/{session}/export_tiff.tsv"
    threads: threads_up_to(2)
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(10, 3),
        disk_mb=disk(100, 1100),
        frames_per_chunk=frames_per_chunk,
    params:
        config=settings("export.fill", "export.scale", *CHANNEL_KEYS),
        code=code("export_tiff"),
    message:
        "Exporting {wildcards.session} as a TIFF for Suite2p"
    script:
        "../scripts/export_tiff.py"

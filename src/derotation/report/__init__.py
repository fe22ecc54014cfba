"""What a cohort's user reads first: a page, a table, a record of the run, a summary in words.

:func:`derotation.steps.report.run` puts them together from the files in ``results/``, ``logs/``
and ``benchmarks/``; nothing of it needs Snakemake.
"""

"""The steps of the workflow: files and settings in, files and plots out.

Each module is one step and has one public function, ``run``. They need no Snakemake: in a
notebook, call them with paths and with sections of a checked configuration.
"""

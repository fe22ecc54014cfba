# The demo cohort of this folder: its configuration is config/config.yaml, its rules are those of
# workflow/Snakefile. For your own recordings make a folder of your own: derotation init STUDY


include: "workflow/Snakefile"


# Rules that are included are nobody's default target.
rule everything:
    default_target: True
    input:
        rules.all.input,

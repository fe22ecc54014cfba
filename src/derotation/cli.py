"""The command ``derotation``: a study's folder, a look at it before anything runs, and the run."""

import argparse
import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derotation import __version__
from derotation.errors import ConfigError, DerotationError

if TYPE_CHECKING:
    from derotation.cohort.recording_look import RecordingLook

    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["main"]

CONFIG = Path("config/config.yaml")
# As a shell counts a program that ended since nobody reads its output.
PIPE_CLOSED = 141

EPILOG = """\
A study begins with "derotation init STUDY"; "derotation signals FILE" looks at a recording before
there is one. All other commands are given in its folder, or name it by --directory, and read its
config/config.yaml.
"""
RUN_EPILOG = """\
All other arguments are handed to Snakemake, such as
  derotation run -n                            only say what would be run, and why
  derotation run -n --quiet host               the same, job by job
  derotation run --cores 4                     use four cores
  derotation run --profile slurm               submit jobs to a SLURM cluster
  derotation run results/a/derotated.tif       only what this file needs
"snakemake --help" lists them.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the command's name; by default that of this process.

    Returns
    -------
    int
        0 if all is well, 1 if something is wrong with the cohort, 2 for a wrong command line.
    """
    parser = _parser()
    asked, others = parser.parse_known_args(arguments)
    if others and asked.run is not _run:
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    asked.others = others
    try:
        with _started_in(asked.directory):
            code = int(asked.run(asked))
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has seen enough ("derotation check | head"); what is left goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except DerotationError as error:
        print(error, file=sys.stderr)
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="derotation",
        description="From recordings of rotating samples to movies that stand still.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"derotation {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    # In the order in which a study needs them.
    _add_init(commands)
    _add_signals(commands)
    _add_discover(commands)
    _add_check(commands)
    _add_run(commands)
    _add_report(commands)
    _add_doctor(commands)
    return parser


def _add_init(commands: "_Commands") -> None:
    parser = commands.add_parser(
        "init",
        help="make a study's folder",
        description=(
            "Make a folder for a study: a configuration with the keys that people set first, an "
            "empty sample sheet, profiles for this computer and for SLURM, and a Snakefile that "
            "leads to the installed workflow. What is there already is never overwritten. "
            '--signals fills in what a recording of this rig tells, as "derotation signals" says '
            "it."
        ),
    )
    parser.add_argument("study", metavar="STUDY", help="the folder; it may hold other files")
    parser.add_argument(
        "--signals", dest="file", metavar="FILE",
        help="a signals file of this rig, which tells channels, sampling rate and increment",
    )  # fmt: skip
    _add_recording_options(parser)
    parser.set_defaults(run=_init, directory=None)


def _add_signals(commands: "_Commands") -> None:
    parser = commands.add_parser(
        "signals",
        help="look what is on the channels of a signals file",
        description=(
            "Read the first 20 s and three further places of a signals file, say what is on each "
            "channel and what that suggests for the configuration, and draw a picture. Nothing has "
            "to be configured; what is said about the file by options, or by its movie, is used."
        ),
    )
    parser.add_argument("file", metavar="FILE", help="a .npy, .bin, .h5, .mat, .tdms or .csv")
    _add_recording_options(parser)
    parser.add_argument(
        "-o", "--output", metavar="PNG",
        help="the picture (default: the file's name with .png, in this folder; with a number if "
        "there is one of that name)",
    )  # fmt: skip
    parser.set_defaults(run=_signals, directory=None)


def _add_discover(commands: "_Commands") -> None:
    parser = commands.add_parser(
        "discover",
        help="write a sample sheet from a tree of recordings",
        description=(
            "Look for recordings below a folder (a NeuroBlueprint tree of sub-*/ses-* folders, or "
            "plain folders with one recording each), pair each movie with its signals and its "
            "stimulus table, and write them into a sample sheet. How files are recognized stands "
            "in the section discover of the configuration."
        ),
    )
    parser.add_argument("raw_folder", metavar="RAW_FOLDER", help="the folder to be searched")
    parser.add_argument(
        "-o", "--output", metavar="FILE",
        help='the sample sheet to be written (default: the one that the key "sessions" names)',
    )  # fmt: skip
    parser.add_argument(
        "-f", "--force", action="store_true", help="replace the sheet if it exists already"
    )
    parser.add_argument(
        "-n", "--dry-run", action="store_true", help="only say what is found; write nothing"
    )
    parser.set_defaults(run=_discover)
    _add_configfile(parser)
    _add_directory(parser)


def _add_check(commands: "_Commands") -> None:
    parser = commands.add_parser(
        "check",
        help="look at configuration, sample sheet and files without running anything",
        description=(
            "Check the configuration and the sample sheet, open the headers of all files, compare "
            "sizes, channels and durations, and the free space on the disk with what the results "
            "will take; and look at the signals, which name the mistakes of a new rig. Exit code 0 "
            "if the cohort can be run, 1 if anything is wrong."
        ),
    )
    parser.set_defaults(run=_check)
    _add_configfile(parser)
    _add_directory(parser)


def _add_run(commands: "_Commands") -> None:
    parser = commands.add_parser(
        "run",
        help="run what is missing or out of date",
        description=(
            "Start Snakemake in the study's folder. A folder without a Snakefile or without "
            "profiles takes those that come with the package."
        ),
        epilog=RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # what follows is Snakemake's
    )
    parser.set_defaults(run=_run)
    _add_directory(parser)


def _add_report(commands: "_Commands") -> None:
    parser = commands.add_parser(
        "report",
        help="write the report of what there is",
        description=(
            "Write results/report.html and results/cohort.tsv of the sessions as they are, "
            "without computing what is missing, and say what became of each. (A run writes them "
            "by itself at its end.)"
        ),
    )
    parser.set_defaults(run=_report)
    _add_configfile(parser)
    _add_directory(parser)


def _add_doctor(commands: "_Commands") -> None:
    parser = commands.add_parser(
        "doctor",
        help="look at the computer and the installed software",
        description=(
            "Say what the workflow finds here: versions, cores, memory, free space, SLURM, and "
            "Suite2p's Python if it is to be run. Exit code 1 if something has to be mended."
        ),
    )
    parser.set_defaults(run=_doctor)
    _add_configfile(parser)
    _add_directory(parser)


def _add_configfile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--configfile", nargs="+", default=[], metavar="FILE",
        help=f"configuration files that override {CONFIG}, later ones those before them",
    )  # fmt: skip


def _add_directory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-d", "--directory", metavar="DIR",
        help="the study's folder, as if the command were started there (default: this one); "
        "other paths on the command line are relative to it",
    )  # fmt: skip


def _add_recording_options(parser: argparse.ArgumentParser) -> None:
    """Add what may be said about a signals file of which nothing is configured."""
    options: dict[str, dict[str, Any]] = {
        "--movie": {"metavar": "FILE",
                    "help": "the movie recorded with it: its frame rate tells the sampling rate"},
        "--frame-rate": {"type": _rate, "metavar": "HZ",
                         "help": "frames per second, if the movie's file does not say it"},
        "--sampling-rate": {"type": _rate, "metavar": "HZ", "help": "samples per second"},
        "--channels": {"type": _count, "metavar": "N",
                       "help": "number of channels (told from the data of a .bin)"},
        "--dtype": {"metavar": "TYPE", "help": "type of a .bin's integers (told from the data)"},
        "--header-bytes": {"type": _bytes, "default": 0, "metavar": "N",
                           "help": "bytes before the first sample of a .bin"},
        "--range-v": {"type": float, "nargs": 2, "default": (-10.0, 10.0),
                      "metavar": ("LOW", "HIGH"),
                      "help": "volts of the lowest and the highest integer of a .bin"},
        "--dataset": {"metavar": "NAME", "help": "where in the file the channels are"},
    }  # fmt: skip
    for option, arguments in options.items():
        parser.add_argument(option, **arguments)


def _rate(text: str) -> float:
    """Read a rate; argparse says the rest."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no rate; it must be above 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of channels; there is at least 1")
    return value


def _bytes(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is no number of bytes; it is at least 0")
    return value


def _started_in(directory: str | None) -> contextlib.AbstractContextManager[None]:
    """Work in a folder, as if the command had been started there."""
    if directory is None:
        return contextlib.nullcontext()
    if not Path(directory).is_dir():
        raise ConfigError(f"--directory: there is no folder {directory}.")
    return contextlib.chdir(directory)


def _init(asked: argparse.Namespace) -> int:
    from derotation.cohort.study import write_study

    keys = None
    if asked.file:
        found = _look(asked)
        keys = found.keys
        print(found.text, end="\n\n")
    written = write_study(asked.study, keys)
    print(*written, sep="\n")
    known = keys is not None and "sampling_rate" in keys["signals"]
    first = f"look at {CONFIG}" if known else f"set signals.sampling_rate in {CONFIG}"
    print(
        f"\nNext, in {asked.study}: {first}, write the sample sheet "
        'by "derotation discover RAW_FOLDER" or by hand, then "derotation check" and '
        '"derotation run".'
    )
    return 0


def _look(asked: argparse.Namespace) -> "RecordingLook":
    from derotation.cohort.recording_look import look_at_recording
    from derotation.io.signals import BinLayout

    low, high = asked.range_v
    if not low < high:
        raise ConfigError(f"--range-v: {low:g} V is not below {high:g} V.")
    layout = BinLayout(
        dtype=asked.dtype or BinLayout.dtype,
        header_bytes=asked.header_bytes,
        range_v=tuple(asked.range_v),
    )
    return look_at_recording(
        asked.file,
        movie=asked.movie,
        frame_rate=asked.frame_rate,
        sampling_rate=asked.sampling_rate,
        n_channels=asked.channels,
        layout=layout,
        dtype_is_certain=asked.dtype is not None,
        dataset=asked.dataset,
    )


def _signals(asked: argparse.Namespace) -> int:
    from derotation.plots.look import plot_look
    from derotation.signals.look_words import format_keys
    from derotation.steps.inputs import save_plot

    if asked.output and Path(asked.output).suffix.lower() != ".png":
        raise ConfigError(f"--output {asked.output}: the picture is a .png; name it so.")
    found = _look(asked)
    picture = Path(asked.output) if asked.output else _free_name(Path(asked.file).stem, ".png")
    save_plot(lambda: plot_look(found.look, found.channels, found.sampling_rate), picture)
    print(found.text)
    print("\nLines for the configuration:\n")
    print(format_keys(found.keys))
    print(f"Picture: {picture}")
    return 0


def _free_name(stem: str, suffix: str) -> Path:
    """Give the first of NAME, NAME_2, NAME_3 ... that no file has: it may be somebody's own."""
    names = (Path(f"{stem}_{n}{suffix}" if n > 1 else f"{stem}{suffix}") for n in count(1))
    return next(name for name in names if not name.exists())


def _discover(asked: argparse.Namespace) -> int:
    from derotation.cohort.discover import Patterns, discover_sessions, write_sheet
    from derotation.io.stimulus import stimulus_options

    config = _config(asked.configfile)
    found = discover_sessions(
        asked.raw_folder,
        Patterns.from_config(config["discover"]),
        stimulus=stimulus_options(config["signals"]),
        source=config["angles"]["source"],
    )
    for session in found.sessions:
        files = "1 file" if session.n_files == 1 else f"{session.n_files} files"
        print(f"{session.name}: {session.protocol}, movie {session.movie} ({files}), "
              f"signals {session.signals or 'none'}"
              + (f", angles {session.angles}" if session.angles else "")
              + (f", stimulus {session.stimulus}" if session.stimulus else ""))  # fmt: skip
    _print_list("Decided without being asked:", found.notes)
    _print_list("Not paired, so not in the sheet:",
                [f"{each.folder}: {each.reason}" for each in found.unpaired])  # fmt: skip
    _print_list("Errors:", found.errors)
    output = asked.output or config["sessions"]
    print(f"\n{found.root}: found {len(found.sessions)}, could not pair {len(found.unpaired)}.")
    if asked.dry_run:
        return 1 if found.errors else 0
    write_sheet(found, output, overwrite=asked.force)
    print(f'Written into {output}. Look at it, then run "derotation check".')
    return 0


def _check(asked: argparse.Namespace) -> int:
    from derotation.cohort.check import check_cohort, format_table
    from derotation.cohort.cohort import load_cohort
    from derotation.settings.yaml_files import merge_files

    files = _files(asked.configfile)
    found = check_cohort(load_cohort(merge_files(files), files=files))
    print(format_table(found))
    return 1 if found.all_problems else 0


def _run(asked: argparse.Namespace) -> int:
    from derotation.jobs.snakemake_command import snakemake_command

    sys.stdout.flush()
    command = snakemake_command(asked.others)
    # In place of this process: what interrupts it has to reach Snakemake, which ends its jobs.
    os.execv(command[0], command)


def _report(asked: argparse.Namespace) -> int:
    from derotation.jobs.snakemake_command import snakemake_command

    given = ["--configfile", *asked.configfile] if asked.configfile else []
    command = snakemake_command(["report_now", "--cores", "2", *given])
    # What Snakemake itself says is of interest only if something went wrong.
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        print(done.stderr, file=sys.stderr)
    return done.returncode


def _doctor(asked: argparse.Namespace) -> int:
    from derotation.cohort.config import validate_config
    from derotation.jobs.doctor import Finding, examine

    findings = []
    defaults = validate_config({"signals": {"sampling_rate": None}})
    try:
        if asked.configfile or CONFIG.is_file():
            config = _config(asked.configfile)
        else:
            # Nothing is wrong where nothing was begun.
            config = defaults
            found = (
                f'there is none in {Path.cwd()} (no {CONFIG}); "derotation init STUDY" makes one'
            )
            findings.append(Finding(topic="study", found=found))
    except ConfigError as error:
        (first, *more) = str(error).splitlines()
        found = f"{first} ({len(more)} more)" if more else first
        advice = '"derotation check" says all that is wrong; the defaults are taken here'
        findings.append(Finding(topic="configuration", found=found, advice=advice))
        config = defaults
    findings = [*examine(config), *findings]
    for finding in findings:
        print(f"{finding.topic}: {finding.found}")
        if finding.advice:
            print(f"  -> {finding.advice}")
    wrong = [finding.topic for finding in findings if finding.advice]
    print(f"\nTo be mended: {', '.join(wrong)}." if wrong else "\nAll is well.")
    return 1 if wrong else 0


def _print_list(title: str, lines: Sequence[str]) -> None:
    if lines:
        print("", title, *(f"  {line}" for line in lines), sep="\n")


def _config(given: Sequence[str]) -> dict[str, Any]:
    from derotation.cohort.config import load_config

    return load_config(_files(given))


def _files(given: Sequence[str]) -> list[Path]:
    """List the files as Snakemake would read them: the folder's own, then those given."""
    files = [CONFIG] if CONFIG.is_file() else []
    files += [Path(file) for file in given if Path(file) != CONFIG]
    if not files:
        raise ConfigError(
            f"there is no {CONFIG} in {Path.cwd()}; start the command in the folder of a study, "
            'name it by --directory, or make one: "derotation init STUDY".'
        )
    return files


if __name__ == "__main__":
    sys.exit(main())

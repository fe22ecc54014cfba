"""The command ``derotation``: from a folder to a cohort, and a look at it before anything runs."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from derotation import __version__
from derotation.errors import ConfigError, DerotationError

__all__ = ["main"]

CONFIG = Path("config/config.yaml")
# As a shell counts a program that ended since nobody reads its output.
PIPE_CLOSED = 141

EPILOG = """\
discover and check read config/config.yaml of the folder in which they are started, as Snakemake
does; signals needs none.
Then "snakemake -n" lists what would be run, and "snakemake" runs it.
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
    asked = _parser().parse_args(arguments)
    try:
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
        description="Prepare a cohort of recordings of rotating samples for the workflow.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"derotation {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    discover = commands.add_parser(
        "discover",
        help="write a sample sheet from a tree of recordings",
        description=(
            "Look for recordings below a folder (a NeuroBlueprint tree of sub-*/ses-* folders, or "
            "plain folders with one recording each), pair each movie with its signals and its "
            "stimulus table, and write them into a sample sheet. How files are recognized stands "
            "in the section discover of the configuration."
        ),
    )
    discover.add_argument("raw_folder", metavar="RAW_FOLDER", help="the folder to be searched")
    discover.add_argument(
        "-o", "--output", metavar="FILE",
        help='the sample sheet to be written (default: the one that the key "sessions" names)',
    )  # fmt: skip
    discover.add_argument(
        "-f", "--force", action="store_true", help="replace the sheet if it exists already"
    )
    discover.add_argument(
        "-n", "--dry-run", action="store_true", help="only say what is found; write nothing"
    )
    discover.set_defaults(run=_discover)

    check = commands.add_parser(
        "check",
        help="look at configuration, sample sheet and files without running anything",
        description=(
            "Check the configuration and the sample sheet, open the headers of all files, compare "
            "sizes, channels and durations, and the free space on the disk with what the results "
            "will take. Exit code 0 if the cohort can be run, 1 if anything is wrong."
        ),
    )
    check.set_defaults(run=_check)

    signals = commands.add_parser(
        "signals",
        help="look what is on the channels of a signals file",
        description=(
            "Read the first 20 s and three further places of a signals file, say what is on each "
            "channel and what that suggests for the configuration, and draw a picture. Nothing has "
            "to be configured; what is said about the file by options, or by its movie, is used."
        ),
    )
    signals.add_argument("file", metavar="FILE", help="a .npy, .bin, .h5, .mat, .tdms or .csv")
    options: dict[str, dict[str, Any]] = {
        "--channels": {"type": int, "metavar": "N",
                       "help": "number of channels (told from the data of a .bin)"},
        "--dtype": {"metavar": "TYPE", "help": "type of a .bin's integers (told from the data)"},
        "--header-bytes": {"type": int, "default": 0, "metavar": "N",
                           "help": "bytes before the first sample of a .bin"},
        "--range-v": {"type": float, "nargs": 2, "default": (-10.0, 10.0),
                      "metavar": ("LOW", "HIGH"),
                      "help": "volts of the lowest and the highest integer of a .bin"},
        "--dataset": {"metavar": "NAME", "help": "where in the file the channels are"},
        "--sampling-rate": {"type": float, "metavar": "HZ", "help": "samples per second"},
        "--movie": {"metavar": "FILE",
                    "help": "the movie recorded with them: its frame rate tells the sampling rate"},
        "--frame-rate": {"type": float, "metavar": "HZ",
                         "help": "frames per second, if the movie's file does not say it"},
        "--output": {"metavar": "PNG",
                     "help": "the picture (default: the file's name with .png, in this folder)"},
    }  # fmt: skip
    for option, arguments in options.items():
        signals.add_argument(option, **arguments)
    signals.set_defaults(run=_signals)

    for command in (discover, check):
        command.add_argument(
            "--configfile", nargs="+", default=[], metavar="FILE",
            help=f"configuration files that override {CONFIG}, later ones those before them",
        )  # fmt: skip
    return parser


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


def _signals(asked: argparse.Namespace) -> int:
    from derotation.io.movie import open_movie
    from derotation.io.signals import BinLayout
    from derotation.plots.look import plot_look
    from derotation.signals.look import look_at_file
    from derotation.signals.look_words import format_look, suggestion
    from derotation.steps.inputs import save_plot

    frame_rate, n_rows = asked.frame_rate, None
    if asked.movie:
        with open_movie(asked.movie) as movie:
            frame_rate = frame_rate or movie.metadata.frame_rate
            n_rows = movie.shape[1]
    layout = BinLayout(
        dtype=asked.dtype or BinLayout.dtype,
        header_bytes=asked.header_bytes,
        range_v=tuple(asked.range_v),
    )
    look, channels = look_at_file(
        asked.file,
        n_channels=asked.channels,
        layout=layout,
        dtype_is_certain=asked.dtype is not None,
        dataset=asked.dataset,
        sampling_rate=asked.sampling_rate,
        n_rows=n_rows,
    )
    rate = asked.sampling_rate or look.sampling_rate(frame_rate)
    picture = Path(asked.output or f"{Path(asked.file).stem}.png")
    save_plot(plot_look(look, channels, rate), picture)
    print(format_look(look, sampling_rate=rate, frame_rate=frame_rate, n_rows=n_rows))
    print("\nLines for the configuration:\n")
    print(suggestion(look, frame_rate, rate))
    print(f"Picture: {picture}")
    return 0


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
            f"there is no {CONFIG} in {Path.cwd()}; start the command in the folder of the "
            "workflow, or name a configuration by --configfile."
        )
    return files


if __name__ == "__main__":
    sys.exit(main())

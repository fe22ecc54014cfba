"""Write the tables of config/README.md from the JSON schemas.

python docs/tools/config_reference.py            # rewrite the tables
python docs/tools/config_reference.py --check    # only say whether they are up to date
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

from derotation.cohort.study import FIRST_KEYS
from derotation.settings.schema import Schema, config_schema, describe, resolve, sheet_schema
from derotation.simulate import RecordingParameters

ROOT = Path(__file__).parents[2]
README = ROOT / "config" / "README.md"
MARKS = "<!-- {name}: made by docs/tools/config_reference.py -->", "<!-- end of {name} -->"


def main() -> int:
    """Rewrite or check the tables; the exit code is 1 if they were out of date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args().check
    old = README.read_text(encoding="utf-8")
    new = with_tables(old)
    if new == old:
        return 0
    if not check:
        README.write_text(new, encoding="utf-8")
    print(f"{README.relative_to(ROOT)} was out of date", file=sys.stderr)
    return 1


def with_tables(text: str) -> str:
    """Put the tables between their marks."""
    tables = {
        "first": first_table(config_schema()),
        "sheet": sheet_table(sheet_schema()),
        "keys": key_tables(config_schema()),
    }
    for name, table in tables.items():
        begin, end = (mark.format(name=name) for mark in MARKS)
        head, rest = text.split(begin)
        text = f"{head}{begin}\n\n{table}\n{end}{rest.split(end)[1]}"
    return text


def first_table(schema: Schema) -> str:
    """Describe the keys that people set first; the path of the sheet is seldom another one."""
    rows = []
    for name in FIRST_KEYS:
        key, required = schema, False
        for part in name.split("."):
            required = part in key.get("required", ())
            key = resolve(key["properties"][part], schema)
        if name != "sessions":
            _, _, default, unit, says = key_row(name, key, required=required)
            rows.append((f"`{name}`", default, unit, says))
    return table(("key", "default", "unit", "effect"), rows)


def sheet_table(schema: Schema) -> str:
    """Describe the columns of the sample sheet."""
    rows = [
        (f"`{name}`", "yes" if name in schema["required"] else "", describe(column), effect(column))
        for name, column in schema["properties"].items()
    ]
    return table(("column", "required", "value", "meaning"), rows)


def key_tables(schema: Schema) -> str:
    """Describe all keys, one table per section."""
    parts = []
    for name, section in schema["properties"].items():
        parts.append(f"### `{name}`\n")
        if "properties" in section or name == "simulate":
            parts.append(f"{section['description']}\n")
        if name == "simulate":
            keys = keys_of(schema["$defs"]["simulated_session"], schema, "", RecordingParameters)
        elif "properties" in section:
            keys = keys_of(section, schema, "")
        else:
            keys = iter([key_row(name, section)])
        parts.append(table(("key", "allowed", "default", "unit", "effect"), list(keys)))
    return "\n".join(parts)


def keys_of(
    section: Schema, root: Schema, prefix: str, defaults: Any = None
) -> Iterator[tuple[str, ...]]:
    """Walk the keys of a section, those of sections within it included."""
    for name, raw in section["properties"].items():
        key = resolve(raw, root)
        if "properties" in key:
            inner = default_of(defaults, name) if defaults else None
            yield from keys_of(key, root, f"{prefix}{name}.", inner)
        else:
            default = default_of(defaults, name) if defaults else None
            required = name in section.get("required", ())
            yield key_row(f"{prefix}{name}", key, default, required=required)


def default_of(parameters: Any, name: str) -> Any:
    """Return the default of one parameter of a dataclass, or of a dataclass within it."""
    assert is_dataclass(parameters)
    field = next(field for field in fields(parameters) if field.name == name)
    return field.default if field.default is not MISSING else field.default_factory()  # type: ignore[misc]


def key_row(
    name: str, key: Schema, default: Any = None, *, required: bool = False
) -> tuple[str, ...]:
    """Describe one key."""
    if required:
        shown = "none: has to be given"
    elif "default" in key or default is not None:
        shown = f"`{yaml_text(key.get('default', default))}`"
    else:
        shown = "`null`" if "null" in key.get("type", ()) else "none: has to be given"
    return f"`{name}`", describe(key), shown, key.get("unit", ""), effect(key)


def yaml_text(value: Any) -> str:
    """Write a value as it would stand in the configuration."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(yaml_text(item) for item in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def effect(key: Schema) -> str:
    """Return the description as one line of a table."""
    return " ".join(key["description"].split()).replace("|", "\\|")


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Write a table in Markdown."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    sys.exit(main())

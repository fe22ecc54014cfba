"""The schemas of configuration and sample sheet: defaults, checks and sentences from them.

Functions take a schema as a value. A correction from outside this package adds its own section to
the configuration's by :func:`with_section`.
"""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from derotation.errors import ConfigError
from derotation.settings.spelling import did_you_mean, nearest

__all__ = [
    "Problem",
    "allowed",
    "canonical",
    "config_schema",
    "describe",
    "fill_defaults",
    "find_problems",
    "load_schema",
    "plain",
    "resolve",
    "section_schema",
    "sheet_schema",
    "show",
    "with_section",
    "without_defaults",
]

Schema = Mapping[str, Any]
KeyPath = tuple[str | int, ...]

_FOLDER = Path(__file__).parent
# The parser written in C, where PyYAML has it, is some ten times as fast.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TYPE_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a section with keys of its own",
    "array": "a list",
    "null": "null",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a configuration or a row.

    Attributes
    ----------
    path : tuple
        Keys and list positions that lead to the value.
    text : str
        What was found and what is allowed.
    """

    path: KeyPath
    text: str

    @property
    def key(self) -> str:
        """The path as people write it: ``signals.channel_order[2]``."""
        text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path)
        return text.removeprefix(".") or "the whole file"


@cache
def config_schema() -> Schema:
    """Give the JSON schema of the configuration. It is shared: do not change it."""
    schema = load_schema(_FOLDER / "config.schema.yaml")
    # What a rig leaves out is the cohort's: it has the keys of the sections, and no defaults.
    rig = without_defaults(schema["$defs"]["rig"], schema)
    return {**schema, "$defs": {**schema["$defs"], "rig": rig}}


def sheet_schema() -> Schema:
    """Give the JSON schema of a row of the sample sheet. It is shared: do not change it."""
    return load_schema(_FOLDER / "sessions.schema.yaml")


def with_section(schema: Schema, name: str, section: Schema) -> Schema:
    """Add a section to the schema of the configuration.

    Parameters
    ----------
    schema : mapping
        The configuration's JSON schema, see :func:`config_schema`. It is not changed.
    name : str
        The key under which the section stands.
    section : mapping
        The JSON schema of the section. What it leaves out is filled in: it is an object, its
        default is that of each of its keys, and unknown keys are refused.

    Returns
    -------
    mapping
        The schema with the section.

    Raises
    ------
    ConfigError
        If there is a section of that name already.
    """
    if name in schema["properties"]:
        raise ConfigError(f"{name}: the configuration has a section of this name already.")
    whole = {"type": "object", "additionalProperties": False, "default": {}, **section}
    return {**schema, "properties": {**schema["properties"], name: whole}}


def without_defaults(schema: Schema, root: Schema) -> Schema:
    """Copy the schema of a section for a part of it: nothing is filled in, nothing required.

    Parameters
    ----------
    schema : mapping
        The schema of a section. What it refers to is put in its place.
    root : mapping
        The whole schema.

    Returns
    -------
    mapping
    """
    found = resolve(schema, root)
    part = {key: value for key, value in found.items() if key not in ("default", "required")}
    if "properties" in part:
        part["properties"] = {
            key: without_defaults(inner, root) for key, inner in part["properties"].items()
        }
    return part


def section_schema(name: str, schema: Schema) -> Schema:
    """Look up the schema of a key or a section, such as ``"export.bad_frames"``.

    Raises
    ------
    KeyError
        If there is none.
    """
    found = schema
    for part in name.split("."):
        found = resolve(found["properties"][part], schema)
    return found


def allowed(name: str, schema: Schema | None = None) -> tuple[Any, ...]:
    """List the values that a key may have, for instance of ``"center.method"``.

    Raises
    ------
    KeyError
        If there is no such key, or if it is no choice.
    """
    return tuple(section_schema(name, schema or config_schema())["enum"])


@cache
def load_schema(path: Path) -> Schema:
    """Read a JSON schema written as YAML, once per process.

    Parameters
    ----------
    path : Path
        The schema's file.

    Returns
    -------
    dict
        The schema. It is shared: do not change it.

    Raises
    ------
    ConfigError
        If the file is missing or is no YAML mapping.
    """
    try:
        schema = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise ConfigError(f"{path}: the schema cannot be read ({error.strerror}).") from error
    if not isinstance(schema, dict):
        raise ConfigError(f"{path}: this is no JSON schema.")
    return schema


def resolve(schema: Schema, root: Schema) -> Schema:
    """Follow a ``$ref`` into the ``$defs`` of the same file."""
    while "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    return schema


def fill_defaults(value: Any, schema: Schema, root: Schema) -> Any:
    """Copy a value with the schema's defaults filled in where keys are missing.

    A section that stands in the file without a value (``center:``) counts as empty.
    """
    schema = resolve(schema, root)
    if value is None and "object" in types_of(schema):
        value = {}
    if not isinstance(value, Mapping):
        return copy.deepcopy(value)  # a default is the schema's own
    known = schema.get("properties", {})
    others = schema.get("additionalProperties")
    filled: dict[Any, Any] = {}
    for key, item in value.items():
        inner = known.get(key, others if isinstance(others, Mapping) else {})
        filled[key] = fill_defaults(item, inner, root)
    for key, inner in known.items():
        if key not in filled and "default" in resolve(inner, root):
            filled[key] = fill_defaults(resolve(inner, root)["default"], inner, root)
    return filled


def plain(value: Any) -> Any:
    """Turn paths, tuples and NumPy scalars into what a YAML file could hold."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    return value


def canonical(value: Any) -> Any:
    """Copy a value so that equal settings look equal: keys sorted, 1.0 written as 1."""
    if isinstance(value, Mapping):
        return {key: canonical(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list):
        return [canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def find_problems(value: Any, schema: Schema, root: Schema | None = None) -> list[Problem]:
    """Compare a value with its schema and name everything that is wrong.

    Parameters
    ----------
    value : object
        What a YAML file or a table's row holds.
    schema : mapping
        The JSON schema (draft 2020-12).
    root : mapping, optional
        The whole schema if `schema` is a section of it.

    Returns
    -------
    list of Problem
        Sorted by the place in the value; empty if all is well. One problem per place: the
        sentence says all that is allowed there.
    """
    from jsonschema import Draft202012Validator

    root = schema if root is None else root
    found: dict[tuple[KeyPath, str], Problem] = {}
    validator = Draft202012Validator({**schema, "$defs": root.get("$defs", {})})
    for error in validator.iter_errors(value):
        path: KeyPath = tuple(error.absolute_path)
        for problem in _problems_of(error, path, root):
            found.setdefault((problem.path, str(error.validator in _KEY_RULES)), problem)
    for path, number in _non_finite(value, ()):
        text = f"found {number}, allowed: a finite number."
        found.setdefault((path, "False"), Problem(path=path, text=text))
    return sorted(found.values(), key=lambda problem: [str(part) for part in problem.path])


_KEY_RULES = ("additionalProperties", "required")


def _problems_of(error: Any, path: KeyPath, root: Schema) -> Iterator[Problem]:
    if error.validator == "additionalProperties":
        allowed = list(error.schema.get("properties", {}))
        for key in error.instance:
            if key not in allowed:
                yield Problem(path=(*path, key), text=_unknown_key(key, allowed, root))
    elif error.validator == "required":
        for key in error.validator_value:
            if key not in error.instance:
                inner = resolve(error.schema.get("properties", {}).get(key, {}), root)
                text = f"is missing; it has no default. Allowed: {describe(inner)}."
                yield Problem(path=(*path, key), text=text)
    else:
        text = f"found {show(error.instance)}, allowed: {describe(error.schema)}."
        yield Problem(path=path, text=text + _hint(error.instance, error.schema))


def _unknown_key(key: object, allowed: Sequence[str], root: Schema) -> str:
    text = "there is no such key"
    homes = [
        name
        for name, section in root.get("properties", {}).items()
        if key in section.get("properties", {})
    ]
    if homes:
        return f"{text} here; it belongs to the section {' or '.join(homes)}."
    question = did_you_mean(str(key), allowed)
    if question:
        return text + question
    if not isinstance(key, str):
        return f"{text} (YAML reads on, off, yes, no and bare numbers not as text: quote the key)."
    return f"{text}. Allowed: {', '.join(allowed)}."


def _hint(value: object, schema: Schema) -> str:
    if not isinstance(value, str):
        return ""
    choices = [choice for choice in schema.get("enum", ()) if isinstance(choice, str)]
    near = nearest(value, choices)
    if near:
        return f' Did you mean "{near}"?'
    try:
        float(value)
    except ValueError:
        return ""
    if {"number", "integer"} & set(types_of(schema)):
        return " (Write numbers without quotes, and powers of ten as in 1.0e+3.)"
    return ""


def _non_finite(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, float]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _non_finite(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _non_finite(item, (*path, index))
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, value


def types_of(schema: Schema) -> list[str]:
    """List the JSON types that a schema allows."""
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else list(types)


def show(value: object) -> str:
    """Write a value as a person would name it, shortened if it is long."""
    if value is None:
        return "null (nothing)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'the text "{value}"' if len(value) <= 60 else f'the text "{value[:57]}..."'
    if isinstance(value, Mapping):
        return "a section with keys"
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def describe(schema: Schema) -> str:
    """Say in words which values a schema allows.

    Parameters
    ----------
    schema : mapping
        The schema of one key.

    Returns
    -------
    str
        For instance ``"a number above 0 and at most 1, or null"``.
    """
    if "anyOf" in schema:
        return ", or ".join(describe(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return _either(["null" if item is None else str(item) for item in schema["enum"]])
    words = [_describe_type(name, schema) for name in types_of(schema) if name != "null"]
    if "null" in types_of(schema):
        words.append("null")
    return ", or ".join(dict.fromkeys(words)) or "any value"


def _either(words: Sequence[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _describe_type(name: str, schema: Schema) -> str:
    if name in ("integer", "number"):
        return _TYPE_WORDS[name] + _describe_range(schema)
    if name == "array":
        return _describe_list(schema)
    if "words" in schema:
        return str(schema["words"])
    if name == "string" and schema.get("minLength"):
        return "text, not empty"
    return _TYPE_WORDS.get(name, name)


def _describe_range(schema: Schema) -> str:
    words = {
        "minimum": "of at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    bounds = [f"{word} {schema[key]}" for key, word in words.items() if key in schema]
    return " " + " and ".join(bounds) if bounds else ""


def _describe_list(schema: Schema) -> str:
    low, high = schema.get("minItems"), schema.get("maxItems")
    count = f"of {low} " if low == high else f"of at least {low} "
    different = "different " if schema.get("uniqueItems") else ""
    items = {"string": "names", "number": "numbers", "integer": "whole numbers"}
    kind = items.get(str(schema.get("items", {}).get("type")), "values")
    return f"a list {count if low is not None else 'of '}{different}{kind}"

"""Messages say where in which file a value stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from derotation.cohort.config import check_config
from derotation.errors import ConfigError
from derotation.settings.yaml_files import key_lines, merge_files, read_yaml

TEXT = """\
# a comment

signals:
  sampling_rate: 5   # line 4
  channel_order: [line_clock,
    frame_clock,
    rotation_on, 7]
center: {method: fixed,
  fixed:
    - 1
    - a}
on: 3
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="config.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def errors_of(*files, extra=None):
    return check_config(merge_files(files) | (extra or {}), files=files)[1]


def test_lines_of_keys_and_items(write):
    lines = key_lines(write(TEXT.replace("- 1\n    - a", "[1,\n    a]")))
    assert lines["signals",] == 3
    assert lines["signals", "sampling_rate"] == 4
    assert [lines["signals", "channel_order", i] for i in range(4)] == [5, 6, 7, 7]
    assert lines["center", "method"] == 8
    assert [lines["center", "fixed", i] for i in (0, 1)] == [10, 11]
    assert lines[True,] == 12


def test_lines_of_what_is_merged_in(write):
    path = write("base: &base {a: 1, b: 2}\ntop:\n  <<: *base\n  b: 3\n")
    assert read_yaml(path)["top"] == {"a": 1, "b": 3}
    assert key_lines(path)["top", "a"] == 1
    assert key_lines(path)["top", "b"] == 4


@given(st.lists(st.text("abc", min_size=1, max_size=3), unique=True), st.randoms())
def test_every_key_has_the_line_that_it_was_written_in(tmp_path_factory, names, random):
    path, text, expected = tmp_path_factory.mktemp("lines") / "a.yaml", "", {}
    for name in names:
        text += "\n" * random.randrange(3)
        expected[name,] = text.count("\n") + 1
        text += f"{name}: 1\n"
    path.write_text(text)
    assert key_lines(path) == expected


def test_each_message_names_file_line_and_key(write):
    file = write("signals:\n  sampling_rate: 0\n\ncentre: {}\nplane:\n  output: skan\n")
    assert errors_of(file) == [
        f'{file}, line 4: centre: there is no such key; did you mean "center"?',
        f'{file}, line 6: plane.output: found the text "skan", allowed: scan or sample. '
        'Did you mean "scan"?',
        f"{file}, line 2: signals.sampling_rate: found 0, allowed: a number above 0, or null.",
    ]


def test_a_value_in_a_list_has_its_own_line(write):
    file = write("signals: {sampling_rate: 1}\ncenter:\n  fixed:\n  - 1\n  - a\n")
    (error,) = errors_of(file)
    assert error.startswith(f"{file}, line 5: center.fixed[1]: found")


def test_what_is_missing_has_the_line_of_its_section(write):
    file = write("plane: {}\nsignals:\n  rotation_increment: 0.2\n")
    (error,) = errors_of(file)
    assert error.startswith(f"{file}, line 2: signals.sampling_rate: is missing")
    (error,) = errors_of(write("plane: {}\n"))
    assert error.startswith(f"{file}: signals.sampling_rate: is missing")
    fixed = write("signals: {sampling_rate: 1}\ncenter:\n  method: fixed\n")
    (error,) = errors_of(fixed)
    assert error.startswith(f"{fixed}, line 2: center.fixed: found null")


def test_the_last_file_that_says_it_is_named(write):
    lab = write("signals: {sampling_rate: 1}\ncenter: {seed: -1}\n", "lab.yaml")
    mine = write("\n\ncenter: {seed: -2}\n", "mine.yaml")
    (error,) = errors_of(lab, mine)
    assert error.startswith(f"{mine}, line 3: center.seed: found -2")


def test_values_of_the_command_line_have_no_line(write):
    """Also where a file has a value for the same key: it is not the one that is wrong."""
    file = write("signals:\n  sampling_rate: 5\n")
    (error,) = errors_of(file, extra={"signals": {"sampling_rate": -5}})
    assert error.startswith("command line (--config): signals.sampling_rate: found -5")
    (error,) = errors_of(file, extra={"plain": 1})
    assert error.startswith("command line (--config): plain: there is no such key")


def test_not_a_number_is_found_in_its_file(write):
    file = write("signals: {sampling_rate: 1}\nderotate:\n  blank: .nan\n")
    (error,) = errors_of(file)
    assert error.startswith(f"{file}, line 3: derotate.blank: found nan")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scan: &a\n  rows: *a\n", r"line 1: this section contains itself"),
        ("signals: {}\nscan: &a [1, [2, *a]]\n", r"line 2: this section contains itself"),
        ("&a ? *a\n: 1\n", r"this section contains itself|no valid YAML"),
        ("a: " + "[" * 5000 + "]" * 5000, r"lie too deep within each other"),
        (
            "a0: &a0 [1, 1]\n"
            + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60)),
            r"its aliases \(\*\) stand for more values",
        ),
    ],
)
def test_a_file_without_an_end_is_refused_in_one_sentence(tmp_path, text, message):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    for read in (read_yaml, key_lines):
        with pytest.raises(ConfigError, match=message) as caught:
            read(path)
        assert str(caught.value).startswith(str(path))


def test_aliases_that_end_are_values(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("a: &a {x: 1}\nb: *a\nc: {<<: *a, y: [*a, *a]}\n")
    assert read_yaml(path) == {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1, "y": [{"x": 1}] * 2}}
    assert key_lines(path)[("c", "y", 1, "x")] == 1

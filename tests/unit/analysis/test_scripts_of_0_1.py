"""Scripts that were written for derotation 0.1, as its documentation describes them."""

import itertools

import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml

from derotation.analysis.full_derotation_pipeline import FullPipeline
from derotation.analysis.incremental_derotation_pipeline import IncrementalPipeline
from derotation.analysis.scripts_of_0_1 import ATTRIBUTES, METHODS, OldNameError
from derotation.errors import ConfigError, InputError
from derotation.simulate import simulate_session

# The template of that package: all of its keys, paths filled in.
TEMPLATE = """
pipeline_type: "full"
paths_read:
  path_to_randperm: "{stimulus}"
  path_to_aux: "{signals}"
  path_to_tif: "{movie}"
paths_write:
  debug_plots_folder: "{folder}/debug_plots/"
  logs_folder: "{folder}/logs/"
  derotated_tiff_folder: "{folder}/"
  saving_name: "derotated_image_stack"
channel_names: ["camera", "scanimage_frameclock", "scanimage_lineclock", "photodiode2",
                "PI_rotON", "PI_rotticks"]
rotation_increment: 0.2
adjust_increment: True
rot_deg: 360
debugging_plots: True
frame_rate: 6.74
analog_signals_processing:
  find_rotation_ticks_peaks:
    height: 4
    distance: 20
  squared_pulse_k: 0
  inter_rotation_interval_min_len: 1000
  angle_interpolation_artifact_threshold: 0.15
interpolation:
  line_use_start: True
  frame_use_start: True
biased_center: [129, 121]
delta_center: 7
init_points: 2
n_iter: 10
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("session")
    return simulate_session(
        folder, signals_format="bin", shape=(32, 36), frame_rate=6.74, sampling_rate=5000,
        n_cells=20, stimulus=[(150, 1), (200, -1)], rest_between_s=0.6, rest_before_s=1,
        rest_after_s=0.6, calcium=False,
    )  # fmt: skip


def config_of(files, folder, **changes):
    names = {key: files[key] for key in ("stimulus", "signals", "movie")}
    return {**yaml.safe_load(TEMPLATE.format(folder=folder, **names)), **changes}


@pytest.fixture(scope="module")
def run(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    changes = {"biased_center": [17.5, 15.5], "center_method": "image_center",
               "debugging_plots": False, "plane": {"correct": "never"}}  # fmt: skip
    pipeline = FullPipeline(config_of(files, folder, **changes), threads=1)
    lines, frames = [], []
    pipeline.hooks = {
        "plotting_hook_line_addition": lambda *given: lines.append(given),
        "plotting_hook_image_completed": lambda stack, frame: frames.append(
            (frame, stack[frame].copy())
        ),
    }
    pipeline()
    return pipeline, folder, lines, frames


def test_the_template_is_taken_as_it_is(files, tmp_path):
    settings = FullPipeline(config_of(files, tmp_path)).settings
    assert settings.name == "derotated_image_stack"
    with pytest.raises(ConfigError, match=r"pipeline_type: .*use FullPipeline"):
        IncrementalPipeline(config_of(files, tmp_path))
    with pytest.raises(ConfigError, match="pipeline_type"):
        FullPipeline(config_of(files, tmp_path, pipeline_type="fast"))


def test_attributes_tell_the_inputs_before_the_run(files, tmp_path):
    pipeline = FullPipeline(config_of(files, tmp_path))
    movie = tifffile.imread(files["movie"])
    assert (pipeline.num_frames, pipeline.num_lines_per_frame) == movie.shape[:2]
    assert pipeline.num_total_lines == movie.shape[0] * movie.shape[1]
    np.testing.assert_array_equal(pipeline.image_stack, movie)
    assert pipeline.speed.tolist() == [150, 200]
    assert pipeline.direction.tolist() == [1, -1]
    assert pipeline.number_of_rotations == 2
    assert pipeline.rotation_increment == 0.2
    assert pipeline.hooks == {}
    steps = config_of(files, tmp_path, pipeline_type="incremental", degrees_per_step=30)
    assert IncrementalPipeline(steps).number_of_rotations == 12


def test_attributes_tell_the_results_after_the_run(run, files):
    pipeline, folder, _, _ = run
    assert str(pipeline.debug_plots_folder) == f"{folder}/debug_plots"
    ticks = pipeline.rotation_ticks_peaks
    assert ticks.dtype == np.int64
    assert abs(len(ticks) - 2 * 1800) <= 4
    assert pipeline.offset == pipeline.result.blank
    table = pipeline.derotation_output_table
    pd.testing.assert_frame_equal(table, pd.read_csv(folder / "derotated_image_stack.csv"))
    assert len(table) == pipeline.num_frames


def test_hooks_are_called_after_each_line_and_each_frame(run, files):
    pipeline, folder, lines, frames = run
    raw = tifffile.imread(files["movie"])
    n_frames, n_lines = raw.shape[:2]
    numbers = [given[2:4] for given in lines]
    assert numbers == list(itertools.product(range(n_frames), range(n_lines)))
    still = tifffile.imread(folder / "derotated_image_stack.tif")
    assert [number for number, _ in frames] == list(range(n_frames))
    for number, frame in frames:
        np.testing.assert_array_equal(frame, still[number])
    angles = [given[4] for given in lines]
    np.testing.assert_array_equal(angles, pipeline.rot_deg_line)
    image, alone, number, line, _, original = lines[12 * n_lines + 7]
    np.testing.assert_array_equal(original, raw[number])
    placed = np.isfinite(alone)
    assert 0 < placed.sum() <= raw.shape[2]
    assert set(alone[placed]) <= set(raw[number, line])
    np.testing.assert_array_equal(image[placed], alone[placed])


@pytest.mark.parametrize("hooks", [{"plotting_hook_lines": print}, [print]])
def test_hooks_that_nobody_would_call_are_refused(files, tmp_path, hooks):
    pipeline = FullPipeline(config_of(files, tmp_path))
    pipeline.hooks = hooks
    with pytest.raises(InputError, match="plotting_hook_line_addition and"):
        pipeline()


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("pipeline", [FullPipeline, IncrementalPipeline])
def test_overriding_a_method_of_the_old_name_names_the_new_one(pipeline, name):
    with pytest.raises(OldNameError) as told:
        type("Own", (pipeline,), {name: lambda self: None})
    assert f"Own overrides {name}" in str(told.value)
    assert METHODS[name] in str(told.value)


def test_new_names_and_own_ones_may_be_overridden():
    class Own(FullPipeline):
        def find_center(self, movie, angles):
            return 1.0, 2.0

        def my_own(self):
            return 3

    assert Own.my_own(None) == 3


def test_old_methods_and_attributes_that_are_asked_for_are_named(files, tmp_path):
    pipeline = FullPipeline(config_of(files, tmp_path))
    with pytest.raises(OldNameError, match="find_center, which returns the center"):
        pipeline.set_optimal_center()
    for name in ATTRIBUTES:
        with pytest.raises(AttributeError) as told:
            getattr(pipeline, name)
        assert ATTRIBUTES[name] in str(told.value)
    with pytest.raises(OldNameError, match=r"no mean_images, .* result\.mean"):
        _ = pipeline.mean_images
    with pytest.raises(AttributeError, match=r"FullPipeline\.offset is there after the run"):
        _ = pipeline.offset
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = pipeline.nonsense


@pytest.mark.parametrize(
    "name", ["rotation_plane_angle", "image_stack", "speed", "mask_diameter", "offset", "save"]
)
def test_to_set_what_has_no_effect_is_an_error(files, tmp_path, name):
    pipeline = FullPipeline(config_of(files, tmp_path))
    with pytest.raises(OldNameError, match=name):
        setattr(pipeline, name, 10)


def test_names_here_are_not_among_the_old_ones():
    ours = {name for name in dir(IncrementalPipeline) if not name.startswith("_")}
    assert not ours & (METHODS.keys() | ATTRIBUTES.keys())

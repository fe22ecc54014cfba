from pathlib import Path
from typing import Any

import numpy as np
import pytest

from derotation.simulate.recording import RecordingPlan, plan_recording
from unit.mistaken_rig import RIGS, SPEEDS, Rig


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """Plans and folders by rates, seed and protocol, made when first asked for."""
    made: dict[Any, tuple[RecordingPlan, Path]] = {}

    def plan(frame_rate, rate, seed, protocol, **more):
        key = (frame_rate, rate, seed, protocol, *map(str, more.items()))
        if key not in made:
            rng = np.random.default_rng(seed)
            if protocol == "free":
                motion = {"sinusoid": {"amplitude": 200, "frequency": 0.05}}
                more = {"motion": motion, "n_frames": 20 * frame_rate, **more}
            elif protocol == "incremental":
                more = {"degrees_per_step": 20, "step_rest_s": 0.8, **more}
            planned = plan_recording(
                protocol=protocol,
                shape=(64, 32) if frame_rate < 20 else (48, 32),
                frame_rate=frame_rate,
                sampling_rate=rate,
                stimulus=[(speed, rng.choice([-1, 1])) for speed in rng.permutation(SPEEDS)[:3]],
                rest_before_s=3,
                acceleration=600,
                signal_noise_v=float(rng.choice([0, 0.05])),
                n_cells=2,
                calcium=False,
                seed=seed,
                **more,
            )
            made[key] = planned, tmp_path_factory.mktemp("files")
        return made[key]

    return plan


@pytest.fixture(params=RIGS, ids=lambda rig: f"{rig[0]}Hz-{rig[1]}")
def rig(request, plans, tmp_path):
    """Make a rig with a protocol."""

    def make(protocol="full", **more):
        plan, cache = plans(*request.param, protocol, **more)
        return Rig(plan, tmp_path, cache)

    return make

"""Machine code that was kept must not outlive the source that it was made from."""

from pathlib import Path

import numba
import pytest

from derotation.maps import kernels


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_kept_code_is_as_old_as_any_file_of_the_kernels():
    files = {path.name for path in Path(kernels.__file__).parent.glob("*.py")}
    for kernel in (kernels.inverse_frames, kernels.forward_frames):
        named = {name for name, *_ in kernel._cache._cache_file._source_stamp}
        assert named == files

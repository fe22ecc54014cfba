from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile

PageWriter = Callable[..., Path]


@pytest.fixture
def write_pages(tmp_path) -> PageWriter:
    """Write pages one by one, each with its own directory in front of its pixels, as rigs do."""

    def write(
        name: str,
        pages: np.ndarray,
        *,
        software: str | None = None,
        descriptions: str | Sequence[str] | None = None,
        bigtiff: bool = False,
        **options,
    ) -> Path:
        path = tmp_path / name
        with tifffile.TiffWriter(path, bigtiff=bigtiff) as writer:
            for i, page in enumerate(pages):
                text = descriptions if isinstance(descriptions, str | None) else descriptions[i]
                writer.write(
                    page,
                    contiguous=False,
                    metadata=None,
                    photometric="minisblack",
                    description=text,
                    software=software if software is not None else False,
                    **options,
                )
        return path

    return write

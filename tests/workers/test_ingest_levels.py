"""Percentiles of grey levels are those of NumPy, bit for bit: older profiles were made with these."""

import numpy as np
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from workers.ingest.levels import percentiles


@given(
    arrays(np.uint8, st.integers(1, 300), elements=st.integers(0, 255)),
    st.lists(st.floats(0, 100), min_size=1, max_size=5),
)
def test_a_histogram_tells_what_sorting_does(
    levels: np.ndarray[tuple[int], np.dtype[np.uint8]], percent: list[float]
) -> None:
    assert np.array_equal(percentiles(levels, percent), np.percentile(levels, percent))

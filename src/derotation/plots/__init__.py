"""Pictures of results: pure functions that draw on figures and axes of matplotlib."""

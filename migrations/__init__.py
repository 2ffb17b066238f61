"""The schema's history, applied by `broker db upgrade`."""

"""The HTTP facades: four vendors' dialects and a native API over one job model."""

"""HTTP facades of the service: one core job model, four vendors' dialects. They arrive with the service issue."""

"""HTTP facades of the service: one core job model, four vendors' dialects and a native one."""

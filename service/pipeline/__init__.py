"""A video on its way from marked file to clean plate. `run` calls the steps in order; each step is a package."""

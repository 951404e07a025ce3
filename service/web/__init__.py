"""Our web pages, served as they are: no build step, and nothing from other hosts."""

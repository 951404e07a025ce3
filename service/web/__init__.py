"""Pages for people, as a browser gets them: no build step, nothing from another host."""

"""The path of a video, one verb per file: probe, decode, segment, track, inpaint, composite, encode; `run` calls them in order."""

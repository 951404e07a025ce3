"""Files in and out: videos and images are probed, decoded, encoded and muxed, each in a sandboxed process.

It decides which files are accepted, and how everything but the marked pixels is kept.
"""

"""Files in and out: probing, decoding, encoding and muxing of videos and images, each in a sandboxed process.

Decides whether a file may come in, and how everything but the marked pixels survives.
"""

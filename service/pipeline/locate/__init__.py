"""Where marks may be: detections become tracks, static marks and tiled marks, and these become candidates.

Decides which places are worth measuring, and in which sampled frames each of them shows a mark.
"""

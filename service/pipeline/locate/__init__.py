"""Where marks may be: the segmenter's detections become tracks, static marks and tiled marks, and those become candidates.

Decides which places are worth measuring, and in which sampled frames each of them shows a mark.
"""

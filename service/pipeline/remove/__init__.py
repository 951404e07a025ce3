"""What was behind a mark: reference frames are aligned, the inpainter restores the hole, and the result is smoothed over time.

Decides which pixels are replaced and by what. All other samples of a frame are passed on as decoded.
"""

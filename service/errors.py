"""Every error that Cleanplate raises on purpose.

    CleanplateError
    ├── InputError                 the file (exit 3)
    │   ├── NotMedia               no container or image format that we know
    │   ├── Truncated              ends early, or its index is broken
    │   ├── NoVideoStream
    │   ├── NoFrames
    │   ├── UnsupportedFormat      container, codec or pixel format
    │   └── LimitExceeded          too long, too large, absurd dimensions
    ├── RequestError               what was asked of it: box, mask, class, target (exit 2)
    ├── DecodeFailed               the decoder's process died or ran out of time or memory (exit 4)
    ├── ModelError                 weights missing, damaged or of another contract (exit 5)
    └── EncodeFailed               the encoder or the disk (exit 6)

A message is one line for a person: what is wrong, and which limit, without a path of this machine.
"""


class CleanplateError(Exception):
    """Root of the tree; never raised itself."""

    exit_code = 1


class InputError(CleanplateError):
    """The input file cannot be cleaned."""

    exit_code = 3


class NotMedia(InputError):
    """Not a video or an image of a supported format."""


class Truncated(InputError):
    """The file ends early or its index is broken."""


class NoVideoStream(InputError):
    """The file has no video stream."""


class NoFrames(InputError):
    """The video has no frames."""


class UnsupportedFormat(InputError):
    """The container, codec or pixel format is not supported."""


class LimitExceeded(InputError):
    """The file exceeds a limit; the message names the limit and the value."""


class RequestError(CleanplateError):
    """An option is wrong: a box outside the picture, a mask of another size, an unknown class."""

    exit_code = 2


class DecodeFailed(CleanplateError):
    """The decoder's process died, or ran out of time or memory."""

    exit_code = 4


class ModelError(CleanplateError):
    """A network's weights are missing, damaged or of another contract."""

    exit_code = 5


class EncodeFailed(CleanplateError):
    """The output could not be encoded or written."""

    exit_code = 6

"""All errors that Cleanplate raises on purpose.

    CleanplateError
    ├── InputError                 the input file (exit 3)
    │   ├── NotMedia               not a supported container or image format
    │   ├── Truncated              ends early, or its index is broken
    │   ├── NoVideoStream
    │   ├── NoFrames
    │   ├── UnsupportedFormat      container, codec or pixel format
    │   └── LimitExceeded          exceeds a limit:
    │       ├── TooLarge           file size in bytes
    │       ├── TooLong            duration in seconds
    │       └── TooManyPixels      side length or area of the picture, or too small
    ├── RequestError               the request: box, mask, class, target (exit 2)
    ├── DecodeFailed               the decoder's process died, or ran out of time or memory (exit 4)
    ├── ModelError                 weights missing, damaged, or of another contract (exit 5)
    ├── EncodeFailed               the encoder or the disk failed (exit 6)
    └── ServiceError               in the service only (exit 7)
        ├── SettingsError          a setting has an invalid value (exit 2)
        ├── AccessError            the caller may not do this
        │   ├── KeyMissing
        │   ├── KeyInvalid         unknown, revoked, or a wrong signature
        │   │   └── KeyExpired
        │   ├── ScopeMissing       the key is valid, but not for this
        │   ├── SignatureExpired   the timestamp is too far from now
        │   ├── AccountMissing
        │   └── AccountBanned
        ├── ParameterError         a parameter is invalid
        │   ├── ParameterMissing
        │   ├── MediaAddressInvalid  the address of the video or image is not accepted
        │   ├── UnknownModel
        │   └── UnknownJob         the account has no such job
        ├── PathUnknown            no endpoint has this path
        ├── MethodNotAllowed       the endpoint does not have this HTTP method
        ├── InsufficientCredits
        │   └── CreditsRanOut      the job costs more than was known when it was accepted
        ├── Busy                   try again later
        │   ├── RateLimited        the account sends too many requests
        │   ├── QueueFull          too many jobs are waiting
        │   ├── QuotaExceeded      the account's files take too much space
        │   ├── StorageFull        the disk is full; retry
        │   ├── Maintenance
        │   └── FeatureDisabled
        ├── FetchError             the source could not be fetched
        │   ├── FetchRefused       forbidden address, or the host refused; do not retry
        │   ├── FetchTooSlow       the host sends too slowly; do not retry
        │   └── FetchUnavailable   no response, or a server error; retry
        ├── StorageError           the object storage failed; retry
        ├── ContentRefused         the content check refuses the input
        ├── ContentCheckFailed     the content check did not respond; retry
        ├── ContentBlocked         the content check blocks the request permanently
        ├── JobTimeout
        ├── JobCancelled
        └── InternalError          unexpected; the message reveals nothing about this machine

A message is one line for a person. It says what is wrong and which limit applies, and never contains a local path.
"""


class CleanplateError(Exception):
    """Root of the tree; not raised itself."""

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


class TooLarge(LimitExceeded):
    """The file has too many bytes."""


class TooLong(LimitExceeded):
    """The video lasts too long."""


class TooManyPixels(LimitExceeded):
    """The picture is too wide, too high, too large, or too small to work on."""


class RequestError(CleanplateError):
    """An option is invalid: a box outside the picture, a mask of another size, an unknown class."""

    exit_code = 2


class DecodeFailed(CleanplateError):
    """The decoder's process died, or ran out of time or memory."""

    exit_code = 4


class ModelError(CleanplateError):
    """A network's weights are missing, damaged, or of another contract."""

    exit_code = 5


class EncodeFailed(CleanplateError):
    """The output could not be encoded or written."""

    exit_code = 6


class ServiceError(CleanplateError):
    """Root of the errors that only the service raises; not raised itself."""

    exit_code = 7


class SettingsError(ServiceError):
    """A setting has an invalid value; the message names the variable."""

    exit_code = 2


class AccessError(ServiceError):
    """The caller may not do this."""


class KeyMissing(AccessError):
    """No key was sent."""


class KeyInvalid(AccessError):
    """The key is unknown or revoked, or the signature is wrong."""


class KeyExpired(KeyInvalid):
    """The key was valid until a time that has passed."""


class ScopeMissing(AccessError):
    """The key is valid, but may not do this; the message names the scope that it lacks."""


class SignatureExpired(AccessError):
    """The signature's timestamp is invalid or too far from now."""


class AccountMissing(AccessError):
    """The key's account was deleted."""


class AccountBanned(AccessError):
    """The account is banned."""


class ParameterError(ServiceError):
    """A parameter has an invalid value; the message names it."""


class ParameterMissing(ParameterError):
    """A required parameter was not sent; the message names it."""


class MediaAddressInvalid(ParameterError):
    """The address of the video or image is not accepted."""


class UnknownModel(ParameterError):
    """The service has no model of this name."""


class UnknownJob(ParameterError):
    """The account has no such job."""


class PathUnknown(ServiceError):
    """No endpoint has this path."""


class MethodNotAllowed(ServiceError):
    """The endpoint does not have this HTTP method."""


class InsufficientCredits(ServiceError):
    """The account has fewer credits than the job costs."""

    def __init__(self, current_credits: int, required_credits: int) -> None:
        super().__init__(f"{required_credits} credits are required, {current_credits} are left")
        self.current_credits = current_credits
        self.required_credits = required_credits


class CreditsRanOut(InsufficientCredits):
    """The job costs more than was known when it was accepted, by its length and size, and the account cannot pay that."""

    def __init__(self, message: str, current_credits: int = 0, required_credits: int = 0) -> None:
        super().__init__(current_credits, required_credits)
        self.args = (message,)


class Busy(ServiceError):
    """The service cannot do this now; `retry_after_seconds` says when to try again."""

    def __init__(self, message: str, retry_after_seconds: int = 10) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class RateLimited(Busy):
    """The account sends too many requests."""


class QueueFull(Busy):
    """Too many jobs are waiting, for this account or in total."""


class QuotaExceeded(Busy):
    """The account's uploads and the files of its unfinished jobs take too much space."""


class StorageFull(Busy):
    """There is no space left on the disk; a retry may help."""


class Maintenance(Busy):
    """The service is down for maintenance."""


class FeatureDisabled(Busy):
    """This feature is switched off."""


class FetchError(ServiceError):
    """The source could not be fetched."""


class FetchRefused(FetchError):
    """The address is forbidden, or its host refused; a retry would not help."""


class FetchTooSlow(FetchError):
    """The host sends so slowly that the fetch is given up; a retry would not help."""


class FetchUnavailable(FetchError):
    """The host did not respond, or failed; a retry may help."""


class StorageError(ServiceError):
    """The object storage failed; a retry may help."""


class ContentRefused(ServiceError):
    """The content check refuses the input."""


class ContentCheckFailed(ServiceError):
    """The content check did not respond; a retry may help."""


class ContentBlocked(ServiceError):
    """The content check blocks the request permanently."""


class JobTimeout(ServiceError):
    """The job exceeded its time limit."""


class JobCancelled(ServiceError):
    """The job was cancelled."""


class InternalError(ServiceError):
    """An unexpected error; the log has the details."""

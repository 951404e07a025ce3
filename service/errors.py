"""Every error that Cleanplate raises on purpose.

    CleanplateError
    ├── InputError                 the file (exit 3)
    │   ├── NotMedia               no container or image format that we know
    │   ├── Truncated              ends early, or its index is broken
    │   ├── NoVideoStream
    │   ├── NoFrames
    │   ├── UnsupportedFormat      container, codec or pixel format
    │   └── LimitExceeded          beyond a limit:
    │       ├── TooLarge           bytes of the file
    │       ├── TooLong            seconds
    │       └── TooManyPixels      sides or area of the picture; too few as well
    ├── RequestError               what was asked of it: box, mask, class, target (exit 2)
    ├── DecodeFailed               the decoder's process died or ran out of time or memory (exit 4)
    ├── ModelError                 weights missing, damaged or of another contract (exit 5)
    ├── EncodeFailed               the encoder or the disk (exit 6)
    └── ServiceError               of the service alone (exit 7)
        ├── SettingsError          a setting has a value that does not fit (exit 2)
        ├── AccessError            who asks
        │   ├── KeyMissing
        │   ├── KeyInvalid         unknown, revoked, or a signature that does not fit
        │   ├── SignatureExpired   its timestamp is too far from now
        │   ├── AccountMissing
        │   └── AccountBanned
        ├── ParameterError         what is asked
        │   ├── ParameterMissing
        │   ├── MediaAddressInvalid  the address of the video or image is none that we take
        │   ├── UnknownModel
        │   └── UnknownJob         no such job of this account
        ├── InsufficientCredits
        ├── Busy                   later
        │   ├── RateLimited        too many requests of this account
        │   ├── QueueFull          too many jobs are waiting
        │   ├── Maintenance
        │   └── FeatureDisabled
        ├── FetchError             the source's host
        │   ├── FetchRefused       an address that we do not go to, or the host says no: final
        │   └── FetchUnavailable   no answer, or a fault of the host: worth another try
        ├── StorageError           our object storage: worth another try
        ├── ContentRefused         the content check says no
        ├── ContentCheckFailed     the content check did not answer: worth another try
        ├── ContentBlocked         the content check blocks the account's request for good
        ├── JobTimeout
        ├── JobCancelled
        └── InternalError          anything unforeseen, in words that tell nothing about this machine

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


class TooLarge(LimitExceeded):
    """The file has too many bytes."""


class TooLong(LimitExceeded):
    """The video lasts too long."""


class TooManyPixels(LimitExceeded):
    """The picture is too wide, too high, too large, or too small to work on."""


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


class ServiceError(CleanplateError):
    """Of the service alone; the root of its branch, never raised itself."""

    exit_code = 7


class SettingsError(ServiceError):
    """A setting has a value that does not fit."""

    exit_code = 2


class AccessError(ServiceError):
    """The caller is not who may ask."""


class KeyMissing(AccessError):
    """No key was sent."""


class KeyInvalid(AccessError):
    """The key is unknown or revoked, or the signature does not fit."""


class SignatureExpired(AccessError):
    """The signature's timestamp is too far from now, or none."""


class AccountMissing(AccessError):
    """The key's account is gone."""


class AccountBanned(AccessError):
    """The account is banned."""


class ParameterError(ServiceError):
    """A parameter has a value that does not fit; the message names it."""


class ParameterMissing(ParameterError):
    """A required parameter was not sent; the message names it."""


class MediaAddressInvalid(ParameterError):
    """The address of the video or image is none that this service takes."""


class UnknownModel(ParameterError):
    """The model's name is none of ours."""


class UnknownJob(ParameterError):
    """The account has no such job."""


class InsufficientCredits(ServiceError):
    """The account has fewer credits than the job costs."""

    def __init__(self, current_credits: int, required_credits: int) -> None:
        super().__init__(f"{required_credits} credits are required, {current_credits} are left")
        self.current_credits = current_credits
        self.required_credits = required_credits


class Busy(ServiceError):
    """Not now; `retry_after_seconds` says when to ask again."""

    def __init__(self, message: str, retry_after_seconds: int = 10) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class RateLimited(Busy):
    """The account asks too often."""


class QueueFull(Busy):
    """Too many jobs are waiting, of the account or in all."""


class Maintenance(Busy):
    """The service is in maintenance."""


class FeatureDisabled(Busy):
    """This feature is switched off."""


class FetchError(ServiceError):
    """The source could not be fetched."""


class FetchRefused(FetchError):
    """The address is one we do not go to, or its host said no; another try would end the same."""


class FetchUnavailable(FetchError):
    """The host did not answer, or failed; another try may help."""


class StorageError(ServiceError):
    """The object storage failed; another try may help."""


class ContentRefused(ServiceError):
    """The content check refuses the input."""


class ContentCheckFailed(ServiceError):
    """The content check did not answer; another try may help."""


class ContentBlocked(ServiceError):
    """The content check blocks the request for good."""


class JobTimeout(ServiceError):
    """The job took longer than it may."""


class JobCancelled(ServiceError):
    """The job was cancelled."""


class InternalError(ServiceError):
    """Something unforeseen; the log knows."""

"""Where a picture comes from, in the words that IPTC and C2PA have for it: captured, made by a person, made by a trained model."""

from typing import Final

from service.errors import ParameterError

IPTC: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
C2PA: Final = "http://c2pa.org/digitalsourcetype/"
IPTC_NAMES: Final = (
    "algorithmicMedia",
    "algorithmicallyEnhanced",
    "composite",
    "compositeCapture",
    "compositeSynthetic",
    "compositeWithTrainedAlgorithmicMedia",
    "computationalCapture",
    "dataDrivenMedia",
    "digitalArt",
    "digitalCapture",
    "digitalCreation",
    "humanEdits",
    "minorHumanEdits",
    "negativeFilm",
    "positiveFilm",
    "print",
    "screenCapture",
    "softwareImage",
    "trainedAlgorithmicMedia",
    "virtualRecording",
)
C2PA_NAMES: Final = ("empty", "trainedAlgorithmicData")
ADDRESSES: Final = {name.lower(): prefix + name for prefix, names in ((IPTC, IPTC_NAMES), (C2PA, C2PA_NAMES)) for name in names}


def known_source_type(text: str) -> str | None:
    """The address of a digital source type, given by its address or its short name; None for what is none."""
    address = ADDRESSES.get(text.strip().rpartition("/")[2].lower())
    given = text.strip().lower().replace("https://", "http://", 1)
    return address if address is not None and given in (address.lower(), short_name(address).lower()) else None


def parse_source_type(text: str) -> str:
    """Like `known_source_type`; raises ParameterError for what is none."""
    address = known_source_type(text)
    if address is None:
        raise ParameterError(f"'{text}' is no digital source type of IPTC's list: digitalCapture, trainedAlgorithmicMedia, composite, ...")
    return address


def short_name(address: str) -> str:
    """The last part of a source type's address."""
    return address.rpartition("/")[2]

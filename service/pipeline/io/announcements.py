"""What XMP says of pictures and films that lie beside a picture, in its file: gain maps, depth maps, further pictures, motion photos.

Such parts are not written with new pixels, so what announces them is removed too: readers would look for them in vain.
"""

from typing import Final
from xml.dom import XMLNS_NAMESPACE, minidom
from xml.parsers.expat import ExpatError

MAX_PACKET_BYTES: Final = 2**20  # of a packet that is edited; the specification writes 2 to 64 kB
GOOGLE: Final = "http://ns.google.com/photos/"
ADOBE: Final = "http://ns.adobe.com/"
EVERYTHING: Final = ("",)  # every name begins so
THUMBNAILS: Final = "Thumbnails"
ANNOUNCING: Final[dict[str, tuple[str, ...]]] = {  # by namespace: how the names of the properties begin that announce something
    f"{GOOGLE}1.0/container/": EVERYTHING,
    f"{GOOGLE}1.0/container/item/": EVERYTHING,
    f"{GOOGLE}1.0/depthmap/": EVERYTHING,
    f"{GOOGLE}1.0/image/": EVERYTHING,
    f"{GOOGLE}1.0/audio/": EVERYTHING,
    f"{GOOGLE}1.0/camera/": ("MotionPhoto", "MicroVideo"),
    f"{GOOGLE}dd/1.0/container/": EVERYTHING,
    f"{GOOGLE}dd/1.0/item/": EVERYTHING,
    f"{GOOGLE}dd/1.0/device/": EVERYTHING,
    f"{ADOBE}hdr-gain-map/1.0/": EVERYTHING,
    f"{ADOBE}xap/1.0/": (THUMBNAILS,),
    f"{ADOBE}xap/1.0/g/img/": EVERYTHING,
    "http://ns.apple.com/HDRGainMap/1.0/": EVERYTHING,
    "http://ns.apple.com/pixeldatainfo/1.0/": EVERYTHING,
    "http://ns.oplus.com/photos/1.0/camera/": ("MotionPhoto", "VideoLength"),
    "http://ns.xiaomi.com/photos/1.0/camera/": EVERYTHING,
}
OF_GAIN_MAPS: Final = (f"{GOOGLE}1.0/container/", f"{GOOGLE}1.0/container/item/", f"{ADOBE}hdr-gain-map/1.0/")
ITEM: Final = f"{GOOGLE}1.0/container/item/"
RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
EXTENSION: Final[dict[str, tuple[str, ...]]] = {f"{ADOBE}xmp/note/": ("HasExtendedXMP",)}
BASE64_PICTURES: Final = (b"/9j/", b"iVBORw0KGgo")  # how a JPEG and a PNG begin


def announces(packet: bytes) -> bool:
    """Whether a packet may announce something: it names one of the namespaces."""
    telling = (namespace for namespace, names in ANNOUNCING.items() if names != (THUMBNAILS,))
    return any(namespace.encode() in packet for namespace in telling) or THUMBNAILS.encode() in packet


def holds_pictures(extension: bytes) -> bool:
    """Whether extended XMP, which continues a packet, holds pictures or announces some."""
    return announces(extension) or any(start in extension for start in BASE64_PICTURES)


def without_announcements(packet: bytes, *, has_extension: bool = True, gain_map_bytes: int | None = None) -> bytes | None:
    """The packet without what it announces; the same bytes if that is nothing; None if it cannot be read.

    has_extension: if not, it does not announce that it is continued either. gain_map_bytes: the size of a gain map that follows the picture
    and stays announced.
    """
    if not announces(packet) and (has_extension or b"HasExtendedXMP" not in packet):
        return packet
    if len(packet) > MAX_PACKET_BYTES or b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:  # entities could grow without bounds
        return None
    removed = ANNOUNCING if has_extension else ANNOUNCING | EXTENSION
    if gain_map_bytes is not None:
        removed = {namespace: names for namespace, names in removed.items() if namespace not in OF_GAIN_MAPS}
    try:
        document = minidom.parseString(packet.strip(b"\0 \r\n\t"))
        if gain_map_bytes is not None:
            _keep_gain_map(document, gain_map_bytes)
        if not _remove(document, removed) and gain_map_bytes is None:
            return packet
        return "".join(node.toxml() for node in document.childNodes).encode()
    except (ExpatError, RecursionError, UnicodeError, ValueError):
        return None


def _keep_gain_map(document: minidom.Document, size_bytes: int) -> None:
    """Let the list of the file's items name the picture and its gain map alone."""
    for entry in list(document.getElementsByTagNameNS(RDF, "li")):
        items = [entry, *entry.getElementsByTagName("*")]
        item = next((each for each in items if each.hasAttributeNS(ITEM, "Semantic")), None)
        meaning = item.getAttributeNS(ITEM, "Semantic") if item else "Primary"
        if item and meaning == "GainMap":
            length = item.getAttributeNodeNS(ITEM, "Length")
            if length is None:
                raise ValueError("a gain map without a length")
            length.value = str(size_bytes)
        elif meaning != "Primary" and entry.parentNode is not None:
            entry.parentNode.removeChild(entry)


def _remove(document: minidom.Document, removed: dict[str, tuple[str, ...]]) -> bool:
    """Remove the properties that announce something, and the namespaces that stand for nothing else; whether there were any."""
    found = False
    for element in list(document.getElementsByTagName("*")):
        for attribute in list(element.attributes.values()):
            is_declaration = attribute.namespaceURI == XMLNS_NAMESPACE and removed.get(attribute.value) == EVERYTHING
            if is_declaration or _announces(attribute, removed):
                element.removeAttributeNode(attribute)
                found = True
        if _announces(element, removed) and element.parentNode is not None:
            element.parentNode.removeChild(element)
            found = True
    return found


def _announces(node: minidom.Element | minidom.Attr, removed: dict[str, tuple[str, ...]]) -> bool:
    """Whether an attribute or an element is a property that announces something."""
    return (node.localName or "").startswith(removed.get(node.namespaceURI or "", ()))

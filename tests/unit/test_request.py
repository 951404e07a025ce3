"""Classes and requests as a person types them."""

import pytest

from service.errors import RequestError
from service.pipeline.request import Request, parse_classes


def test_classes_are_read() -> None:
    assert parse_classes("overlay") == {"overlay"}
    assert parse_classes("scene_text, overlay") == {"overlay", "scene_text"}


@pytest.mark.parametrize("text", ["", "logo", "overlay,logo", "user"])
def test_an_unknown_class_is_refused_and_the_known_ones_named(text: str) -> None:
    with pytest.raises(RequestError, match="choose from overlay, scene_text"):
        parse_classes(text)


def test_a_request_looks_for_overlays_unless_detection_is_off() -> None:
    assert Request().detect
    assert Request().classes == {"overlay"}
    with pytest.raises(RequestError):
        Request(classes=frozenset())
    assert Request(classes=frozenset(), detect=False).classes == frozenset()

"""Every error has a code in every facade, and the facade's vendor documents that code."""

from importlib import import_module
from inspect import getmembers, isclass

import pytest

from service import errors
from service.api.facade import Facade, code_of
from service.errors import CleanplateError, ServiceError

FACADES = ("savesora", "kie", "kaze", "aidge", "native")
ROOTS = (CleanplateError, ServiceError)
KINDS = [kind for _, kind in getmembers(errors, isclass) if issubclass(kind, CleanplateError) and kind not in ROOTS]
DOCUMENTED = {
    "savesora": {*range(4001, 4008), 5001, 5002},
    "kie": {400, 401, 402, 404, 405, 408, 422, 429, 433, 455, 500, 501, 505},
    "kaze": {1000, 1001, 1002, 1003, 1100, 1101, 1102, 1103},
}


def facade_named(name: str) -> Facade:
    facade = import_module(f"service.api.{name}").FACADE
    assert isinstance(facade, Facade)
    return facade


@pytest.mark.parametrize("name", FACADES)
def test_facades_are_registered_by_their_names(name: str) -> None:
    assert facade_named(name).name == name


@pytest.mark.parametrize("name", FACADES)
def test_every_error_has_a_code(name: str) -> None:
    codes = facade_named(name).codes
    assert not set(ROOTS) & set(codes), "a code for everything would hide a kind that was forgotten"
    missing = [kind.__name__ for kind in KINDS if not set(kind.__mro__) & set(codes)]
    assert not missing


@pytest.mark.parametrize(("name", "documented"), DOCUMENTED.items())
def test_every_code_is_documented(name: str, documented: set[int]) -> None:
    codes = facade_named(name).codes
    assert {code_of(codes, kind).code for kind in KINDS} <= documented

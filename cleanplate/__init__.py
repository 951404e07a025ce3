"""Remove visible watermarks, logos and burned-in text from videos and images.

    import cleanplate

    report = cleanplate.clean("marked.mp4", "clean.mp4")
    for placement in report.placements:
        print(placement.box, placement.first_frame, placement.last_frame)

`clean` and `detect` work on this machine and need a runtime: the extra `cpu` or `cuda`. `Client` and `AsyncClient` hand the work to
a service. Each error is a `CleanplateError`. All names are in `cleanplate/public.py`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cleanplate.public import *  # noqa: F403 (mypy and editors read them there)
else:
    # Imported on first use: the processes that decode and encode import this package too, and need none of it.
    def __getattr__(name: str) -> object:
        from importlib import import_module

        public = import_module(f"{__name__}.public")
        if name == "__all__" or name in public.__all__:
            return getattr(public, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})

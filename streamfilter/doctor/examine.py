"""All checks, one after the other."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from streamfilter.doctor.check import Check, Verdict, examined, ok, warn

if TYPE_CHECKING:
    from streamfilter.live.settings import LiveSettings

_WITHOUT_ARTIFACT = "not tried: that needs a whole artifact, see above"


@dataclass(frozen=True, slots=True)
class Request:
    """What is examined: the settings' environment, the flags that outweigh it, the trial's seconds."""

    environ: Mapping[str, str]
    flags: Mapping[str, object]
    trial_seconds: float = 2.0


def examine(request: Request) -> Iterator[Check]:
    """Yields each check as it is done; it raises nothing. The trial of speed takes the longest.

    Where a package is missing the list ends there, since all that follows stands on them.
    """
    from streamfilter.doctor.software import check_packages, check_python, packages_of

    yield examined("python", check_python)
    packages = examined("packages", partial(check_packages, packages_of()))
    yield packages
    if packages.verdict is Verdict.FAIL:
        return  # what follows imports them
    settings_check, settings = _settings(request)
    yield settings_check
    yield from _editor(settings, request.trial_seconds)
    yield from _devices(settings)


def _settings(request: Request) -> tuple[Check, LiveSettings]:
    """Settings that cannot be read fail, and the other checks go on with the built-in ones."""
    from streamfilter.live.settings import LiveSettings

    found: list[LiveSettings] = []

    def check() -> Check:
        from streamfilter.live.settings_file import resolve, settings_path

        path = settings_path(request.environ)
        found.append(resolve(request.flags, request.environ, path).settings)
        return ok("settings", str(path) if path.exists() else f"no file at {path}: the built-in ones hold")

    return examined("settings", check), (found or [LiveSettings()])[0]


def _editor(settings: LiveSettings, seconds: float) -> Iterator[Check]:
    from streamfilter.artifact import Artifact, load_artifact
    from streamfilter.doctor.editor import check_artifact, check_engines
    from streamfilter.doctor.speed import check_speed, measure_speed
    from streamfilter.live.ports import Picture

    loaded: list[Artifact] = []

    def artifact_check() -> Check:
        loaded.append(load_artifact(settings.artifact))
        return check_artifact(loaded[0])

    yield examined("artifact", artifact_check)
    if not loaded:
        yield warn("engines", _WITHOUT_ARTIFACT)
        yield warn("speed", _WITHOUT_ARTIFACT)
        return
    yield examined("engines", lambda: check_engines(loaded[0], settings.engine))
    picture = Picture(settings.width, settings.height, settings.fps)
    chosen = settings.filter_settings()
    yield examined(
        "speed",
        lambda: check_speed(picture, lambda tried: measure_speed(loaded[0], chosen, tried, seconds)),
    )


def _devices(settings: LiveSettings) -> Iterator[Check]:
    from streamfilter.capture.camera import CameraSettings
    from streamfilter.capture.cameras import list_cameras
    from streamfilter.doctor import cameras
    from streamfilter.doctor.virtual_camera import NAME, check_virtual_camera
    from streamfilter.sinks.virtual_camera import OutputSettings

    def camera_check() -> Check:
        wanted = CameraSettings(
            settings.camera, settings.width, settings.height, settings.fps, settings.pixel_format
        )
        return cameras.check_camera(list_cameras(), wanted)

    def permission_check() -> Check:
        nodes, groups = cameras.video_nodes(), cameras.session_groups()
        return cameras.check_permission(nodes, groups, cameras.listed_in_video())

    def output_check() -> Check:
        return check_virtual_camera(
            OutputSettings(settings.output, settings.width, settings.height, settings.fps)
        )

    yield examined("camera", camera_check)
    if sys.platform.startswith("linux"):
        yield examined("permission", permission_check)
    yield examined(NAME, output_check)

"""LiveKit's back-end with the real SDK, without a server: tokens, frames, tracks, refusals."""

from __future__ import annotations

import asyncio
import socket
import time
from fractions import Fraction
from pathlib import Path

import jwt
import numpy as np
import pytest

pytest.importorskip("livekit.rtc", reason="the extra livekit is not installed")
pytest.importorskip("livekit.api", reason="the extra livekit is not installed")
from livekit import api, rtc

from streamfilter.capture.av_frames import planes_of
from streamfilter.errors import UsageError
from streamfilter.frame import ColorSpec, Frame
from streamfilter.relay.livekit.__main__ import main
from streamfilter.relay.livekit.grants import TOKEN_SECONDS, LiveKitKeys
from streamfilter.relay.livekit.livekit_room import LiveKitError, LiveKitRoom, LiveKitServer
from streamfilter.relay.livekit.sdk_frames import (
    I420,
    picture_from_sdk,
    sdk_from_frame,
    sdk_from_sound,
    sound_from_sdk,
)
from streamfilter.relay.media import AiortcMedia, MediaSettings
from streamfilter.relay.ports import Edit
from tests.relay.media_peers import MarkFilter, kind_of, marked, until

KEYS = LiveKitKeys("key", "a-secret-for-tests-of-32-bytes!!!")
MAY = {
    "patient": ("raw-visit", True, False),
    "listener": ("raw-visit", False, True),
    "publisher": ("shown-visit", True, False),
    "viewer": ("shown-visit", False, True),
}


@pytest.mark.parametrize("who", MAY)
def test_nobody_but_a_worker_may_subscribe_where_the_raw_tracks_are(who: str) -> None:
    room, publishes, subscribes = MAY[who]
    claims = api.TokenVerifier(KEYS.key, KEYS.secret).verify(getattr(KEYS, who)("visit", f"{who}-1"))
    grants = claims.video
    assert claims.identity == f"{who}-1" and grants is not None
    assert (grants.room, grants.can_publish, grants.can_subscribe) == (room, publishes, subscribes)
    assert (
        grants.room_join and not grants.can_publish_data and not grants.room_admin and not grants.room_create
    )
    assert grants.can_publish_sources == (["camera", "microphone"] if publishes else None)
    assert bool(grants.hidden) is (who == "listener")


def test_tokens_are_short_lived_and_names_and_secrets_are_checked() -> None:
    token = KEYS.viewer("visit", "v")
    claims = jwt.decode(token, KEYS.secret, ["HS256"])
    assert claims["iss"] == KEYS.key and 0 < claims["exp"] - time.time() <= TOKEN_SECONDS
    with pytest.raises(jwt.InvalidSignatureError):
        api.TokenVerifier(KEYS.key, "another-secret-for-tests-of-32-bytes").verify(token)
    with pytest.raises(UsageError):
        LiveKitKeys("key", "short")
    for room, identity in (("a/b", "v"), ("", "v"), ("visit", "a b")):
        with pytest.raises(UsageError):
            KEYS.viewer(room, identity)


@pytest.mark.parametrize("size", [(320, 240), (321, 241)])
def test_planes_go_to_the_sdk_and_back_unchanged(size: tuple[int, int]) -> None:
    random = np.random.default_rng(1)
    width, height = size
    half = ((height + 1) // 2, (width + 1) // 2)
    y, u, v = (random.integers(0, 256, shape, np.uint8) for shape in ((height, width), half, half))
    frame = Frame(y, u, v, 0, Fraction(1, 90_000), ColorSpec())
    picture = picture_from_sdk(sdk_from_frame(frame), 2_000_000)
    planes = planes_of(picture, ColorSpec())
    assert all(np.array_equal(*pair) for pair in zip((y, u, v), (planes.y, planes.u, planes.v), strict=True))
    assert picture.pts == 180_000
    with pytest.raises(ValueError, match="I420"):
        picture_from_sdk(rtc.VideoFrame(2, 2, rtc.VideoBufferType.RGBA, bytes(16)), 0)


def test_sound_goes_to_the_sdk_and_back_unchanged() -> None:
    samples = np.random.default_rng(1).integers(-32768, 32767, 2 * 960).astype(np.int16)
    sound = sound_from_sdk(rtc.AudioFrame(samples.tobytes(), 48_000, 2, 960), 1920)
    assert (sound.samples, sound.sample_rate, sound.pts) == (960, 48_000, 1920)
    assert np.array_equal(np.frombuffer(sdk_from_sound(sound).data, np.int16), samples)
    with pytest.raises(ValueError, match="stereo"):
        sound_from_sdk(rtc.AudioFrame(bytes(960), 48_000, 1, 480), 0)


def test_a_track_comes_out_filtered_cards_first() -> None:
    """Through the SDK's own tracks, on the sending and on the receiving side."""

    async def run() -> None:
        media = AiortcMedia(MediaSettings(cores=2), lambda wanted: MarkFilter())
        room = LiveKitRoom(LiveKitServer("ws://127.0.0.1:1", KEYS, "one"), "visit", Edit(), media.lane)
        camera, shown = rtc.VideoSource(320, 240), rtc.VideoSource(320, 240)
        patient = rtc.LocalVideoTrack.create_video_track("camera", camera)
        filtered = rtc.LocalVideoTrack.create_video_track("filtered", shown)
        kinds: list[str] = []

        async def publish() -> None:
            frames, index = [sdk_from_frame(frame) for frame in marked(320, 240)], 0
            while True:
                index += 1
                camera.capture_frame(frames[index % len(frames)], timestamp_us=index * 66_667)
                await asyncio.sleep(1 / 15)

        async def view() -> None:
            async for event in rtc.VideoStream(filtered, format=I420):
                planes = planes_of(picture_from_sdk(event.frame, 0), ColorSpec())
                kinds.append(
                    kind_of(Frame(planes.y, planes.u, planes.v, 0, Fraction(1, 90_000), ColorSpec()))
                )

        tasks = [asyncio.create_task(work) for work in (view(), room.send_video(shown), room.watch())]
        await until(lambda: kinds[-1:] == ["card"])
        taking = asyncio.create_task(room.take_video(patient))
        publishing = asyncio.create_task(publish())
        await until(lambda: kinds[-3:] == ["edited"] * 3)
        publishing.cancel()
        await until(lambda: kinds[-1] == "card")  # a picture that stands too long
        taking.cancel()
        await until(lambda: room.lane is None)
        for task in tasks:
            task.cancel()
        await asyncio.wait([*tasks, taking, publishing])
        await media.close()
        assert "raw" not in kinds and kinds[0] == "card"

    asyncio.run(run())


def test_a_server_that_is_not_there_is_said_plainly() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{closed.getsockname()[1]}"

        async def run() -> None:
            media = AiortcMedia(MediaSettings(cores=1), lambda wanted: MarkFilter())
            room = LiveKitRoom(LiveKitServer(url, KEYS, "one"), "visit", Edit(), media.lane)
            with pytest.raises(LiveKitError, match="cannot be joined"):
                await room.serve()
            await media.close()

        asyncio.run(run())


def test_the_command_makes_tokens_and_says_what_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "livekit.secret"
    secret.write_text(KEYS.secret)
    secret.chmod(0o600)
    given = ["--room", "visit", "--secret-file", str(secret), "--identity", "v"]
    monkeypatch.setenv("LIVEKIT_API_KEY", KEYS.key)
    assert main(["token", "viewer", *given]) == 0
    claims = jwt.decode(capsys.readouterr().out.strip(), KEYS.secret, ["HS256"])
    assert claims["sub"] == "v" and claims["video"]["room"] == "shown-visit"
    assert main(["worker", "--url", "ws://127.0.0.1:1", "--hr", "500", *given]) == 2
    monkeypatch.delenv("LIVEKIT_API_KEY")
    assert main(["token", "viewer", *given]) == 2
    assert "LIVEKIT_API_KEY" in capsys.readouterr().err

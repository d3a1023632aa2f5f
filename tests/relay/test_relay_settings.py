"""The relay's settings: layers, mistakes, secrets."""

from __future__ import annotations

import os
import re
from dataclasses import fields
from pathlib import Path

import pytest

from streamfilter.errors import SinkError, UsageError
from streamfilter.relay.media.settings import MediaSettings
from streamfilter.relay.ports import IceServer
from streamfilter.relay.security.secret_files import new_secret, read_secret, write_secret
from streamfilter.relay.security.turn import link_header, servers_for
from streamfilter.relay.setting_layers import (
    FILE_VARIABLE,
    KEYS,
    SECRETS,
    default_text,
    load_settings,
    variable,
)
from streamfilter.relay.settings import RelaySettings

SECRET = "0123456789abcdef0123456789abcdef"
ENVIRON = {"PHYSIORELAY_SECRET": SECRET}
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "relay.md").read_text(encoding="utf-8")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "relay.toml"


def from_file(file: Path, text: str, **flags: object) -> RelaySettings:
    file.write_text(text, encoding="utf-8")
    return load_settings({"config": str(file), **flags}, ENVIRON)


def test_a_secret_alone_is_enough_and_stays_on_this_machine() -> None:
    settings = load_settings({}, ENVIRON)
    assert settings == RelaySettings(secret=SECRET.encode())
    assert (settings.host, settings.admin_host) == ("127.0.0.1", "127.0.0.1")


def test_flags_outweigh_the_environment_which_outweighs_the_file(file: Path) -> None:
    file.write_text("max_rooms = 3\nport = 3\nvideo_kbps = 300\n")
    environ = ENVIRON | {FILE_VARIABLE: str(file), "PHYSIORELAY_PORT": "4", "PHYSIORELAY_VIDEO_KBPS": "400"}
    settings = load_settings({"video_kbps": "500"}, environ)
    assert (settings.max_rooms, settings.port, settings.video_kbps) == (3, 4, 500)


def test_everything_can_be_set_in_the_file(file: Path, tmp_path: Path) -> None:
    settings = from_file(
        file,
        """
        host = "0.0.0.0"
        behind_proxy = true
        public_url = "https://relay.clinic.example"
        origins = ["https://a.example", "https://b.example:8443"]
        codecs = ["H264"]
        artifact = "editor"
        ice_servers = [
            "stun:stun.clinic.example",
            {url = "turn:turn.clinic.example:3478?transport=udp", username = "u", credential = "c"},
        ]
        relay_only = true
        log_json = false
        """,
    )
    assert settings.origins == ("https://a.example", "https://b.example:8443")
    assert settings.codecs == ("H264",)
    assert settings.artifact == tmp_path / "editor"
    assert settings.ice_servers[1] == IceServer("turn:turn.clinic.example:3478?transport=udp", "u", "c")
    assert settings.link_base == "https://relay.clinic.example"


def test_lists_in_the_environment_have_commas() -> None:
    given = {"PHYSIORELAY_ICE_SERVERS": "stun:a, turn:b:3478?transport=tcp", "PHYSIORELAY_CODECS": "H264,VP8"}
    settings = load_settings({}, ENVIRON | given)
    assert [server.url for server in settings.ice_servers] == ["stun:a", "turn:b:3478?transport=tcp"]
    assert settings.codecs == ("H264", "VP8")


def test_an_empty_variable_sets_nothing() -> None:
    assert load_settings({}, ENVIRON | {"PHYSIORELAY_PORT": " "}).port == 8080


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"PHYSIORELAY_MAX_ROMS": "3"},
            "PHYSIORELAY_MAX_ROMS is unknown: did you mean PHYSIORELAY_MAX_ROOMS",
        ),
        ({"PHYSIORELAY_PORT": "x"}, "PHYSIORELAY_PORT: 'x' is no whole number"),
        ({"PHYSIORELAY_PORT": "70000"}, "PHYSIORELAY_PORT: port should be a whole number from 0 to 65535"),
        ({"PHYSIORELAY_RELAY_ONLY": "maybe"}, "PHYSIORELAY_RELAY_ONLY: 'maybe' is no switch"),
        ({"PHYSIORELAY_RELAY_ONLY": "true"}, "relay_only needs a TURN server"),
        ({"PHYSIORELAY_HOST": "0.0.0.0"}, "without TLS"),
        ({"PHYSIORELAY_TLS_CERT": "a.pem"}, "belong together"),
        ({"PHYSIORELAY_PUBLIC_URL": "relay.example"}, "is no web origin"),
        ({"PHYSIORELAY_PUBLIC_URL": "https://relay.example/path"}, "is no web origin"),
        ({"PHYSIORELAY_ORIGINS": "*"}, "is no web origin"),
        ({"PHYSIORELAY_ICE_SERVERS": "http://turn"}, "is no server"),
        ({"PHYSIORELAY_ICE_SERVERS": 'turn:a>; rel="x'}, "is no server"),
        ({"PHYSIORELAY_CODECS": "VP7"}, "VP7"),
        ({"PHYSIORELAY_CODECS": "VP8,VP8"}, "once"),
        ({"PHYSIORELAY_TOKEN_SECONDS": "90000"}, "60 to 86400"),
        ({"PHYSIORELAY_ENGINE": "abacus"}, "abacus"),
        ({"PHYSIORELAY_SECRET": "short"}, "needs 32"),
        ({"PHYSIORELAY_SECRET": ""}, "there is no secret"),
    ],
)
def test_mistakes_in_the_environment_are_named(environ: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        load_settings({}, ENVIRON | environ)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_roms = 3", "the setting max_roms is unknown: did you mean max_rooms"),
        ('port = "8080"', "relay.toml: port"),
        ("port = true", "relay.toml: port"),
        ("port = 1.5", "relay.toml: port"),
        ("[port]\nx = 1", "relay.toml: port"),
        ("port = ", "is no TOML"),
        (f'secret = "{SECRET}"', "a secret does not belong here"),
        ('turn_secret = "x"', "a secret does not belong here"),
        ("origins = 5", "list of texts"),
        ("origins = [5]", "list of texts"),
        ("ice_servers = [{urls = 'turn:a'}]", "a server is written as"),
        ("ice_servers = [{url = 'turn:a', username = 'u'}]", "both or none"),
        ("ice_servers = [{url = 'turn:a', username = 'u', credential = 5}]", "should be texts"),
    ],
)
def test_mistakes_in_the_file_are_named(file: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        from_file(file, text)


def test_a_file_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_settings({"config": str(tmp_path / "none.toml")}, ENVIRON)
    (tmp_path / "latin.toml").write_bytes(b"# \xff")
    with pytest.raises(UsageError, match="UTF-8"):
        load_settings({"config": str(tmp_path / "latin.toml")}, ENVIRON)


def test_secrets_come_from_files(tmp_path: Path) -> None:
    for name in ("relay", "turn"):
        write_secret(tmp_path / name)
    settings = load_settings(
        {"secret_file": str(tmp_path / "relay"), "turn_secret_file": str(tmp_path / "turn")}, {}
    )
    assert settings.secret == (tmp_path / "relay").read_bytes().strip()
    assert settings.turn_secret == (tmp_path / "turn").read_bytes().strip() != settings.secret


def test_one_secret_from_two_places_is_a_mistake(tmp_path: Path) -> None:
    write_secret(tmp_path / "relay")
    with pytest.raises(UsageError, match="keep one of them"):
        load_settings({"secret_file": str(tmp_path / "relay")}, ENVIRON)


def test_no_flag_and_no_setting_of_the_file_holds_a_secret() -> None:
    words = {key.word for key in KEYS}
    assert words & {word for word, _ in SECRETS.values()} == set()
    assert {file_word for _, file_word in SECRETS.values()} <= words


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize(
    ("mode", "taken"),
    [(0o400, True), (0o600, True), (0o440, True), (0o644, False), (0o604, False), (0o660, False)],
)
def test_a_secret_that_others_can_read_is_refused(tmp_path: Path, mode: int, taken: bool) -> None:
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    path.chmod(mode)
    if taken:
        assert read_secret(path) == SECRET.encode()
    else:
        with pytest.raises(UsageError, match="chmod 600"):
            read_secret(path)


def test_a_written_secret_is_its_owners_and_is_never_overwritten(tmp_path: Path) -> None:
    write_secret(tmp_path / "s")
    before = (tmp_path / "s").read_bytes()
    assert (tmp_path / "s").stat().st_mode & 0o077 == 0
    with pytest.raises(SinkError, match="exists already"):
        write_secret(tmp_path / "s")
    assert (tmp_path / "s").read_bytes() == before
    assert len(read_secret(tmp_path / "s")) >= 32
    with pytest.raises(SinkError):
        write_secret(tmp_path / "no" / "s")


def test_secrets_that_cannot_be_right_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_secret(tmp_path / "none")
    (tmp_path / "large").write_bytes(b"x" * 5000)
    (tmp_path / "large").chmod(0o600)
    with pytest.raises(UsageError, match="right file"):
        read_secret(tmp_path / "large")


def test_secrets_are_random_and_not_shown() -> None:
    assert len({new_secret() for _ in range(20)}) == 20
    server = IceServer("turn:a", "user", "password-of-turn")
    shown = repr(RelaySettings(secret=SECRET.encode(), turn_secret=b"of-turn", ice_servers=(server,)))
    assert SECRET not in shown and "of-turn" not in shown


def test_the_codecs_are_those_of_the_media() -> None:
    assert RelaySettings(secret=SECRET.encode()).codecs == MediaSettings().codecs


def test_every_setting_has_a_word() -> None:
    words = {key.word for key in KEYS}
    assert {entry.name for entry in fields(RelaySettings)} - words == {word for word, _ in SECRETS.values()}


def test_the_operators_page_has_a_row_for_every_setting_and_its_default() -> None:
    for key in KEYS:
        row = re.search(rf"^\| `{key.word}` \| (.*?) \|", PAGE, re.MULTILINE)
        assert row is not None, key.word
        assert row[1] == (f"`{default_text(key)}`" if default_text(key) else "")
    rows = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert {key.word for key in KEYS} <= rows
    for name in (*SECRETS, FILE_VARIABLE, variable(KEYS[0]).removesuffix("HOST")):
        assert name in PAGE


def test_turn_servers_without_a_password_get_one_and_others_keep_theirs() -> None:
    given = (IceServer("stun:s"), IceServer("turn:a"), IceServer("turns:b", "u", "c"))
    stun, made, kept = servers_for(given, b"secret", "grant", 1_900_000_000.0)
    assert stun == given[0] and kept == given[2]
    assert made.username == "1900000000:grant" and made.credential
    assert servers_for(given, None, "grant", 0.0) == given


def test_a_link_header_is_that_of_whip() -> None:
    assert link_header(IceServer("stun:s.example:3478")) == '<stun:s.example:3478>; rel="ice-server"'
    assert link_header(IceServer("turn:t.example", 'u"\\', "c")) == (
        '<turn:t.example>; rel="ice-server"; username="u\\"\\\\"; credential="c"; credential-type="password"'
    )

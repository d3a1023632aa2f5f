"""The audit log: what a line says, and that nothing happens without one."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from streamfilter.artifact import default_artifact_path
from streamfilter.errors import ArtifactError, SinkError
from streamfilter.relay.audit import AuditLog, artifact_id
from streamfilter.relay.ports import Edit, Refusal, Role


def test_a_line_says_who_asked_when_for_which_edit_with_which_artifact(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = AuditLog(path, clock=lambda: 1_800_000_000.25)
    audit.session("joined", "room-1", Role.PATIENT, "s1", Edit(72.0), "stream@sha256:abc", "grant-1")
    audit.session("left", "room-1", Role.VIEWER, "s2", None, "stream@sha256:abc", "grant-2")
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert datetime.fromisoformat(first.pop("at")).timestamp() == 1_800_000_000.25
    assert first == {
        "event": "joined",
        "who": "grant-1",
        "room": "room-1",
        "role": "patient",
        "session": "s1",
        "edit": {"bpm": 72.0, "variability": 1.0},
        "artifact": "stream",
        "artifact_sha256": "abc",
    }
    assert second["edit"] is None and second["role"] == "viewer"


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    AuditLog(tmp_path / "a").open()
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    audit = AuditLog(tmp_path / "a")
    audit.session("joined", "r", Role.VIEWER, "s", None, "x", "g")
    (tmp_path / "a").rename(tmp_path / "a.1")
    audit.session("left", "r", Role.VIEWER, "s", None, "x", "g")
    assert "joined" in (tmp_path / "a.1").read_text() and "left" in (tmp_path / "a").read_text()


def test_lines_cannot_be_forged_by_what_stands_in_them(tmp_path: Path) -> None:
    AuditLog(tmp_path / "a").session("joined", 'r"\n{"event": "x"}', Role.VIEWER, "s\u2028", None, "x", "g")
    assert len((tmp_path / "a").read_text().splitlines()) == 1


def test_without_a_line_the_request_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(Refusal) as caught:
        AuditLog(tmp_path / "a").session("joined", "r", Role.PATIENT, "s", Edit(), "x", "g")
    assert caught.value.status == 503
    with pytest.raises(SinkError):
        AuditLog(tmp_path / "a").open()


def test_a_full_disk_is_noticed() -> None:
    with pytest.raises(Refusal):
        AuditLog(Path("/dev/full")).session("joined", "r", Role.PATIENT, "s", Edit(), "x", "g")


def test_without_a_file_lines_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    AuditLog(None).session("joined", "r", Role.PATIENT, "s", Edit(None), "x", "g")
    assert json.loads(capsys.readouterr().out)["edit"] == {"bpm": None, "variability": 1.0}


def test_the_artifact_is_named_by_its_manifest(tmp_path: Path) -> None:
    name, _, digest = artifact_id(None).partition("@sha256:")
    assert name and len(digest) == 64
    assert artifact_id(default_artifact_path()) == artifact_id(None)
    with pytest.raises(ArtifactError):
        artifact_id(tmp_path)

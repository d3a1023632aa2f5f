"""Detector and tracker together: frames in, steady boxes out."""

from __future__ import annotations

from streamfilter.face.detect import FaceDetector
from streamfilter.face.track import DEFAULTS, TrackedFace, TrackSettings, TrackState, detection_due, track
from streamfilter.frame import Frame


class FaceFinder:
    """The faces of one stream, frame by frame in order; detects only when ``detection_due``."""

    def __init__(self, detector: FaceDetector | None = None, settings: TrackSettings = DEFAULTS) -> None:
        """Raises EngineError when the detector's weights cannot be loaded."""
        self.detector = FaceDetector() if detector is None else detector
        self.settings = settings
        self.state = TrackState()

    def find(self, frame: Frame) -> list[TrackedFace]:
        """The faces of this frame, those known longest first."""
        due = detection_due(self.state, frame.seconds, self.settings)
        detections = self.detector.detect_frame(frame) if due else None
        self.state, faces = track(self.state, detections, frame.y, frame.seconds, self.settings)
        return faces

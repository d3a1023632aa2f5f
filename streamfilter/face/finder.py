"""Detector and tracker together: frames in, steady boxes out."""

from __future__ import annotations

from streamfilter.face.change import Thumbnail, changed, thumbnail
from streamfilter.face.detect import FaceDetector
from streamfilter.face.track import DEFAULTS, TrackedFace, TrackSettings, TrackState, detection_due, track
from streamfilter.frame import Frame


class FaceFinder:
    """The faces of one stream, frame by frame in order.

    The detector looks when ``detection_due`` and, between, at every frame that has changed where no face is
    followed since it looked last: a further face is found in the very frame in which it comes in.
    """

    def __init__(self, detector: FaceDetector | None = None, settings: TrackSettings = DEFAULTS) -> None:
        """Raises EngineError when the detector's weights cannot be loaded."""
        self.detector = FaceDetector() if detector is None else detector
        self.settings = settings
        self.state = TrackState()
        self._searched: Thumbnail | None = None

    def find(self, frame: Frame) -> list[TrackedFace]:
        """The faces of this frame, those known longest first."""
        cells = thumbnail(frame.y)
        followed = [one.shown for one in self.state.tracks]
        due = (
            self._searched is None
            or detection_due(self.state, frame.seconds, self.settings)
            or changed(cells, self._searched, frame.width, followed)
        )
        if due:
            self._searched = cells
        detections = self.detector.detect_frame(frame) if due else None
        self.state, faces = track(self.state, detections, frame.y, frame.seconds, self.settings)
        return faces

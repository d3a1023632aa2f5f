"""LiveKit in place of Janus: a worker takes the patient's tracks from one room, filtered ones go to another.

Needs the extra ``livekit``. It has never met a LiveKit server: docs/relay-cluster.md says what was tested.
"""

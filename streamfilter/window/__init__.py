"""The window mode: an editor of many frames at once, on video files, with a fixed latency of its window."""

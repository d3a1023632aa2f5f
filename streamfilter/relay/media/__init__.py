"""The relay's media on aiortc: what arrives is decoded, filtered, and goes on encoded anew, or as a card."""

from streamfilter.relay.media.media import AiortcMedia
from streamfilter.relay.media.settings import MediaSettings

__all__ = ["AiortcMedia", "MediaSettings"]

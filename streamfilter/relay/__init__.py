"""The telehealth relay: WebRTC in (WHIP), filtered WebRTC out (WHEP). Needs the ``relay`` extra."""

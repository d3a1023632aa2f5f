"""What ``scripts/fuzz_relay.py`` and the tests throw at the relay: offers, messages and tokens, damaged."""

from __future__ import annotations

import base64
import hmac
import json
import re
from random import Random
from typing import Any

NUMBERS = (
    "-1",
    "0",
    "1",
    "127",
    "128",
    "255",
    "256",
    "65535",
    "65536",
    "4294967296",
    "9" * 5000,
    "1e400",
    "NaN",
    "",
)
PIECES = (
    "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n",
    "a=candidate:1 1 tcp 1 ::1 9 typ relay raddr x rport y\r\n",
    "a=candidate:1 1 udp 1 a.local 9 typ host\r\n",
    "a=rtpmap:96 VP8/90000\r\n",
    "a=rtpmap:97 H264/90000\r\n",
    "a=fmtp:97 profile-level-id=zzzzzz;packetization-mode=x\r\n",
    "a=fmtp:97 apt=97\r\n",
    "a=rtpmap:98 rtx/90000\r\n",
    "a=fmtp:98 apt=999\r\n",
    "a=rtcp-fb:* nack pli\r\n",
    "a=extmap:0 urn:x\r\n",
    "a=extmap:1/sendonly urn:ietf:params:rtp-hdrext:sdes:mid\r\n",
    "a=mid:\r\n",
    "a=mid:0\r\n",
    "a=group:BUNDLE 0 0 x\r\n",
    "a=group:LS\r\n",
    "a=setup:active\r\n",
    "a=setup:passive\r\n",
    "a=setup:holdconn\r\n",
    "a=fingerprint:md5 AA\r\n",
    "a=fingerprint:sha-256 zz\r\n",
    "a=ice-lite\r\n",
    "a=ice-ufrag:\r\n",
    "a=ice-pwd:é\r\n",
    "a=inactive\r\n",
    "a=sendrecv\r\n",
    "a=ssrc:1 cname:x\r\n",
    "a=ssrc-group:FID 1 2\r\n",
    "a=ssrc-group:FID 1\r\n",
    "a=simulcast:send a;b\r\n",
    "a=rid:a send\r\n",
    "a=rtcp:9 IN IP4 0.0.0.0\r\n",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n",
    "m=video 0 RTP/AVP 31\r\n",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
    "c=IN IP6 ::\r\n",
    "b=AS:-5\r\n",
    "\0",
    "\u2028",
    "\ud7ff",
)
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 40, 70, 180, 180.0001, 1e308, 10**400, float("nan"), float("inf"),
    "", "70", "\ud800", [], {}, [[]], {"bpm": 70}, "x" * 3000,
)  # fmt: skip


def damaged_bytes(random: Random, data: bytes) -> bytes:
    """``data`` with a few bytes or stretches changed, doubled, moved or gone."""
    buffer = bytearray(data)
    for _ in range(random.randint(1, 4)):
        start = random.randrange(len(buffer) + 1)
        stretch = bytes(buffer[start : start + random.choice((1, 2, 8, 64))])
        match random.randrange(5):
            case 0:
                buffer[start : start + 1] = random.randbytes(1)
            case 1:
                del buffer[start : start + len(stretch)]
            case 2:
                buffer[start:start] = stretch * random.choice((1, 2, 100))
            case 3:
                buffer[start:start] = random.randbytes(random.randint(1, 16))
            case _:
                del buffer[start:]
        if not buffer:
            break
    return bytes(buffer)


def damaged_offer(random: Random, offer: str) -> bytes:
    """``offer`` with lines doubled, moved, gone, foreign, numbers out of range, or bytes changed."""
    if random.random() < 0.2:
        return damaged_bytes(random, offer.encode())
    lines = offer.splitlines(keepends=True)
    for _ in range(random.choice((1, 1, 2, 5))):
        at = random.randrange(len(lines))
        match random.randrange(6):
            case 0:
                del lines[at]
            case 1:
                lines[at:at] = [lines[at]] * random.choice((1, 5, 300))
            case 2:
                lines.insert(random.randrange(len(lines)), lines.pop(at))
            case 3:
                lines.insert(at, random.choice(PIECES))
            case 4:
                lines[at] = _other_number(random, lines[at])
            case _:
                words = lines[at].split(" ")
                words[random.randrange(len(words))] = random.choice(("", "x", "\t", "é", "*", "IN IP4"))
                lines[at] = " ".join(words)
        if not lines:
            break
    return "".join(lines).encode("utf-8", errors="surrogatepass")


def message(random: Random) -> str:
    """A message of the events socket, right, wrong or no JSON at all."""
    kind = random.choice(("edit", "pause", "bye", "state", "", None, 5))
    fields = {"type": kind}
    for _ in range(random.randrange(3)):
        fields[random.choice(("bpm", "paused", "session", "token", "type", "x"))] = random.choice(VALUES)
    text = json.dumps(fields)
    match random.randrange(8):
        case 0:
            return damaged_bytes(random, text.encode()).decode("utf-8", errors="replace")
        case 1:
            return random.choice(("[", "{")) * random.choice((1, 1000, 2000))
        case 2:
            return json.dumps(random.choice(VALUES))
        case 3:
            return '{"a":' * random.choice((1, 300)) + "1" + "}" * random.choice((1, 300))
        case _:
            return text


def damaged_token(random: Random, good: str, secret: bytes) -> str:
    """A token that is damaged, or that is signed with the right secret and says something else."""
    if random.random() < 0.5:
        return damaged_bytes(random, good.encode()).decode("latin-1")
    claims: dict[str, Any] = json.loads(_decoded(good.split(".")[1]))
    for _ in range(random.randint(1, 3)):
        name = random.choice([*claims, "nbf", "iss", "sub", "x"])
        claims[name] = random.choice(VALUES)
    for name in random.sample(sorted(claims), random.randrange(2)):
        del claims[name]
    header: dict[str, Any] = {
        "alg": random.choice(("HS256", "HS256", "HS256", "HS384", "none", None, 5, [])),
        "typ": "JWT",
    }
    header |= random.choice(({}, {"kid": "../../x"}, {"crit": ["x"]}, {"jku": "http://x"}, {"b64": False}))
    body = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
    return f"{body}.{_encoded(hmac.new(secret, body.encode(), 'sha256').digest())}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _other_number(random: Random, line: str) -> str:
    found = list(re.finditer(r"\d+", line))
    if not found:
        return line
    one = random.choice(found)
    return line[: one.start()] + random.choice(NUMBERS) + line[one.end() :]

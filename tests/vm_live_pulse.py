"""The heart rate in the frames that ``physio-cam`` shows; test_live_vm runs this in a virtual machine.

A clip of a face is the webcam; a plain reader keeps the virtual camera's frames, and Chromium reads them too,
through getUserMedia and a canvas. Arguments: a clip of I420 pictures at 10 a second, the folder for what was
read, and "chromium" to have it read too.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.vm_live_parts import (
    HEIGHT,
    WEBCAM,
    WIDTH,
    Command,
    Reader,
    Webcam,
    check_end,
    keep,
    pictures_of,
    say,
    until,
)

FPS = 10.0
SECONDS = 11.0  # a face settles for 1.5 s of them
CHROMIUM_STARTS = 90.0
PAGE = """<!doctype html><script>
async function run() {
  await navigator.mediaDevices.getUserMedia({video: true}).then(s => s.getTracks().forEach(t => t.stop()));
  const devices = await navigator.mediaDevices.enumerateDevices();
  const camera = devices.find(d => d.kind === "videoinput" && d.label.startsWith("PhysioCam"));
  if (!camera) throw new Error("no PhysioCam among " + devices.map(d => d.label).join(", "));
  const stream = await navigator.mediaDevices.getUserMedia({video: {
    deviceId: {exact: camera.deviceId}, width: WIDTH, height: HEIGHT}});
  const track = stream.getVideoTracks()[0];
  const reader = new MediaStreamTrackProcessor({track}).readable.getReader();
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH; canvas.height = HEIGHT;
  const context = canvas.getContext("2d", {willReadFrequently: true});
  const frames = [];
  let told = false;
  for (let first = null, since = 0; since < SECONDS;) {
    const {value: frame} = await reader.read();
    const seconds = frame.timestamp / 1e6;
    context.drawImage(frame, 0, 0, WIDTH, HEIGHT);
    frame.close();
    const pixels = context.getImageData(LEFT, TOP, ACROSS, DOWN).data;
    const sums = [0, 0, 0];
    for (let at = 0; at < pixels.length; at += 4) for (let c = 0; c < 3; c++) sums[c] += pixels[at + c];
    const mean = sums.map(sum => sum / (pixels.length / 4));
    frames.push({seconds, mean, label: track.label});
    if (Math.max(...mean) - Math.min(...mean) > 8) {  // a card is grey
      first = first ?? seconds;
      since = seconds - first;
      if (!told) { told = true; fetch("/began", {method: "POST", body: "{}"}); }
    }
  }
  stream.getTracks().forEach(t => t.stop());
  return {frames};
}
run().catch(error => ({error: String(error)})).then(
  done => fetch("/done", {method: "POST", body: JSON.stringify(done)}));
</script>"""
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-extensions", "--disable-sync",
    "--disable-component-update", "--disable-background-networking", "--disable-default-apps",
    "--no-first-run", "--disable-dev-shm-usage", "--use-fake-ui-for-media-stream", "--mute-audio",
    "--disable-features=Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider",
    "--window-size=300,300", "--user-data-dir=/tmp/physio-cam-chromium",
)  # fmt: skip


class Browser:
    """Chromium on the page above; what the page tells."""

    def __init__(self) -> None:
        self.told: dict[str, dict[str, object]] = {}
        told = self.told
        words = {"WIDTH": WIDTH, "HEIGHT": HEIGHT, "SECONDS": SECONDS - 2.0, "LEFT": WIDTH // 4,
                 "TOP": HEIGHT // 4, "ACROSS": WIDTH // 2, "DOWN": HEIGHT // 2}  # fmt: skip
        page = PAGE
        for word, value in words.items():
            page = page.replace(word, str(value))

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(page.encode())

            def do_POST(self) -> None:
                told[self.path] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._answer(b"")

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{self._server.server_port}/"
        self._log = Path("/tmp/chromium.log").open("wb")  # noqa: SIM115  # for the process
        self._process = subprocess.Popen(
            ["/usr/bin/chromium", *ARGUMENTS, address], stdout=self._log, stderr=self._log
        )

    def wait_for(self, word: str, seconds: float) -> dict[str, object]:
        try:
            until(lambda: word in self.told or "/done" in self.told, f"Chromium's {word}", seconds)
        except AssertionError:
            say(Path("/tmp/chromium.log").read_text(errors="replace")[-3000:])
            raise
        assert "error" not in self.told.get("/done", {}), self.told["/done"]
        return self.told[word]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._server.shutdown()
        self._log.close()


def main() -> None:
    pictures, folder = pictures_of(Path(sys.argv[1])), Path(sys.argv[2])
    figures: dict[str, object] = {}
    webcam = Webcam(pictures, FPS)
    command = Command("--hr", "90", "--camera", "Webcam", "--output", "PhysioCam", "--fps", f"{FPS:g}",
                      "--size", f"{WIDTH}x{HEIGHT}", "--seed", "1")  # fmt: skip
    until(lambda: command.said("waiting"), "the state waiting without a reader")
    until(lambda: not command.holds(WEBCAM), "the webcam to be closed")
    browser: Browser | None = None
    if "chromium" in sys.argv[3:]:
        browser = Browser()
        start = time.monotonic()
        browser.wait_for("/began", CHROMIUM_STARTS)
        say(f"Chromium shows the virtual camera after {time.monotonic() - start:.1f} s")
    start = time.monotonic()
    reader = Reader()
    figures["picture"] = reader.wait_for(card=False, start=start, what="a first picture")
    if browser is None:
        time.sleep(SECONDS - 2.0)
    else:
        figures["chromium"] = browser.wait_for("/done", 4 * SECONDS)
        browser.close()
    reader.close()
    say(f"{len(reader.frames)} frames read")
    start = time.monotonic()
    until(lambda: command.said("waiting", after=start), "the state waiting when nobody reads")
    until(lambda: not command.holds(WEBCAM), "the webcam to be closed")
    figures["SIGTERM, ended"] = check_end(command)
    webcam.close()
    keep(folder, reader.frames, figures)
    say("every check passed")


if __name__ == "__main__":
    main()

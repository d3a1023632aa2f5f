"use strict";
// Shared by the pages of webrtc_call.py and relay_call.py: one codec only, and frames read as decoded planes,
// not as what a canvas made of them.

// `side`: "send" or "receive".
function onlyCodec(name, side) {
  const all = (side === "send" ? RTCRtpSender : RTCRtpReceiver).getCapabilities("video").codecs;
  const wanted = all.filter(c => c.mimeType.toLowerCase() === `video/${name.toLowerCase()}`);
  if (!wanted.length) throw new Error(`this browser does not ${side} ${name}: it has ` +
    [...new Set(all.map(c => c.mimeType))].join(", "));
  return wanted.concat(all.filter(c => c.mimeType.endsWith("/rtx")));
}

// Mean of each of cells x cells cells of a box (fractions of the picture) of one plane.
function cellMeans(data, layout, width, height, box, cells) {
  const sums = new Float64Array(cells * cells), counts = new Float64Array(cells * cells);
  const left = Math.max(0, Math.round(box.left * width)), top = Math.max(0, Math.round(box.top * height));
  const right = Math.min(width, Math.round(box.right * width));
  const bottom = Math.min(height, Math.round(box.bottom * height));
  const columns = [];
  for (let x = left; x < right; x++) {
    columns.push(Math.min(cells - 1, Math.floor((x / width - box.left) / (box.right - box.left) * cells)));
  }
  for (let y = top; y < bottom; y++) {
    const row = Math.min(cells - 1, Math.floor((y / height - box.top) / (box.bottom - box.top) * cells));
    const start = layout.offset + y * layout.stride;
    for (let x = left; x < right; x++) {
      const cell = row * cells + columns[x - left];
      sums[cell] += data[start + x];
      counts[cell] += 1;
    }
  }
  return Array.from(sums, (sum, i) => counts[i] ? +(sum / counts[i]).toFixed(4) : null);
}

// The frame's strip: blocks of black and white along the top edge, see webcam_clip.py.
function readMark(data, layout, width, height, mark) {
  const bits = [];
  const y = Math.max(1, Math.round(0.5 * mark.block_height * height));
  for (let i = 0; i < mark.bits; i++) {
    const x = Math.round((i + 0.5) * mark.block_width * width);
    let sum = 0;
    for (let dy = -1; dy <= 1; dy++) for (let dx = -1; dx <= 1; dx++) {
      sum += data[layout.offset + (y + dy) * layout.stride + x + dx];
    }
    bits.push(sum / 9 > 128 ? 1 : 0);
  }
  return bits;
}

// One decoded frame: `time` (s) as the receiver presents it, `rtp` (ticks of 1/90000 s) as the sender stamped
// it, null where the browser does not tell, and `at` (s since 1970) when it was read.
async function readFrame(frame, {box, cells, mark}) {
  if (!["I420", "NV12"].includes(frame.format)) throw new Error(`cannot read pixel format ${frame.format}`);
  const data = new Uint8Array(frame.allocationSize());
  const layouts = await frame.copyTo(data);
  const {width, height} = frame.visibleRect;
  const w = Math.ceil(width / 2), h = Math.ceil(height / 2);
  const means = [cellMeans(data, layouts[0], width, height, box, cells)];
  if (frame.format === "I420") {
    for (const layout of layouts.slice(1)) means.push(cellMeans(data, layout, w, h, box, cells));
  } else {
    const u = new Uint8Array(w * h), v = new Uint8Array(w * h);
    for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
      const at = layouts[1].offset + y * layouts[1].stride + 2 * x;
      u[y * w + x] = data[at];
      v[y * w + x] = data[at + 1];
    }
    for (const plane of [u, v]) means.push(cellMeans(plane, {offset: 0, stride: w}, w, h, box, cells));
  }
  return {
    time: frame.timestamp / 1e6, rtp: frame.metadata?.().rtpTimestamp ?? null, at: Date.now() / 1000,
    width, height, means, mark: readMark(data, layouts[0], width, height, mark),
    matrix: frame.colorSpace.matrix, fullRange: frame.colorSpace.fullRange,
  };
}

// All frames of a MediaStreamTrackProcessor's reader into `frames`, until `seconds` have gone by or it is
// cancelled.
async function readFrames(reader, seconds, how, frames = []) {
  while (true) {
    const {value: frame, done} = await reader.read();
    if (done) break;
    try {
      frames.push(await readFrame(frame, how));
    } finally {
      frame.close();
    }
    if (frames.at(-1).time - frames[0].time >= seconds) break;
  }
  await reader.cancel();
  return frames;
}

"""Small files in the exact layout of each dataset, and what they were made of."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import h5py
import numpy as np
import numpy.typing as npt
import scipy.io
from av.video.frame import VideoFrame

Rgb = npt.NDArray[np.uint8]
Array64 = npt.NDArray[np.float64]
BPM = 72.0


@dataclass(frozen=True)
class Truth:
    """What a reader has to give back of one clip, exactly."""

    name: str
    subject: str
    frames: Rgb
    times: Array64
    bvp: Array64
    bvp_times: Array64


def pictures(count: int, height: int = 24, width: int = 32, seed: int = 0) -> Rgb:
    """(T, H, W, 3), all different, rows unlike columns, channels unlike each other."""
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), np.uint8)


def wave(times: Array64, bpm: float = BPM) -> Array64:
    return np.asarray(np.round(np.sin(2 * np.pi * bpm / 60.0 * times), 6))


def write_avi(path: Path, frames: Rgb, fps: int | Fraction) -> None:
    """Raw pictures, as UBFC-rPPG has them: nothing is lost."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=fps)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "bgr24"
        for rgb in frames:
            container.mux(
                stream.encode(VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="bgr24"))
            )
        container.mux(stream.encode(None))


def pure(folder: Path, name: str = "01-02", count: int = 4, seed: int = 0, inner: bool = True) -> Truth:
    """Uneven picture times; the sensor starts 0.1 s before the first picture, at 60 Hz."""
    start = 1_392_643_993_642_815_000
    late = np.random.default_rng(seed).integers(-2_000_000, 2_000_000, count)
    stamps = start + np.arange(count) * 33_333_333 + np.where(np.arange(count) == 0, 0, late)
    frames = pictures(count, seed=seed)
    place = folder / name / name if inner else folder / name
    place.mkdir(parents=True)
    for stamp, rgb in zip(stamps, frames, strict=True):
        cv2.imwrite(str(place / f"Image{stamp}.png"), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    sensor = start - 100_000_000 + np.arange(600) * 16_666_667
    values = np.arange(600) % 60 + 20
    package = [
        {"Timestamp": int(s), "Value": {"pulseRate": 72, "o2saturation": 98, "waveform": int(v)}}
        for s, v in zip(sensor, values, strict=True)
    ]
    images = [{"Timestamp": int(s), "Value": {}} for s in stamps]
    truth = (folder / name if inner else folder) / f"{name}.json"
    truth.write_text(json.dumps({"/FullPackage": package, "/Image": images}))
    seconds, sensed = (np.asarray((s - start) * 1e-9, np.float64) for s in (stamps, sensor))
    return Truth(name, name[:2], frames, seconds, values.astype(np.float64), sensed)


def ubfc1(folder: Path, name: str = "5-gt", count: int = 5) -> Truth:
    frames = pictures(count)
    write_avi(folder / name / "vid.avi", frames, 30)
    milliseconds = np.arange(310) * 16.0
    values = wave(milliseconds / 1000)
    lines = [f"{m:.0f},72,98,{v}" for m, v in zip(milliseconds, values, strict=True)]
    (folder / name / "gtdump.xmp").write_text("\n".join(lines) + "\n")
    return Truth(name, name, frames, np.arange(count) / 30, values, milliseconds / 1000)


def ubfc2(folder: Path, name: str = "subject10", count: int = 5, seed: int = 0) -> Truth:
    frames = pictures(count, seed=seed)
    write_avi(folder / name / "vid.avi", frames, 30)
    times = np.round(np.arange(300) / 29.97, 5)
    values = wave(times)
    lines = [values, np.full(300, 72.0), times]
    text = "\n".join("  " + "  ".join(f"{number:.7e}" for number in line) for line in lines)
    (folder / name / "ground_truth.txt").write_text(text + "\n")
    return Truth(name, name.removeprefix("subject"), frames, np.arange(count) / 30, values, times)


def ubfc_phys(folder: Path, subject: str = "s3", task: str = "T2", count: int = 5) -> Truth:
    frames = pictures(count)
    write_avi(folder / subject / f"vid_{subject}_{task}.avi", frames, 35)
    times = np.arange(64 * 10) / 64.0
    values = wave(times)
    (folder / subject / f"bvp_{subject}_{task}.csv").write_text("".join(f"{v}\n" for v in values))
    (folder / subject / f"info_{subject}.txt").write_text(f"{subject}\nf\nctrl\n11/03/2020\n10h00\n")
    return Truth(f"{subject}_{task}", subject, frames, np.arange(count) / 35, values, times)


def cohface(folder: Path, subject: str = "12", session: str = "2", count: int = 5) -> Truth:
    frames = pictures(count)
    place = folder / subject / session
    write_avi(place / "data.avi", frames, 20)
    times = 3.5 + np.arange(256 * 10) / 256.0
    values = wave(times)
    with h5py.File(place / "data.hdf5", "w") as data:
        data["pulse"], data["respiration"], data["time"] = values, np.zeros(values.size), times
        data.attrs["illumination"] = np.array([b"natural"])
        data.attrs["gender"] = np.array([b"female"])
        data.attrs["sample-rate-hz"] = np.array([256.0])
    for part, names in (("train", ["1/0", "1/1"]), ("test", ["12/2"])):
        path = folder / "protocols" / "all" / f"{part}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{name}/data\n" for name in names))
    return Truth(f"{subject}/{session}", subject, frames, np.arange(count) / 20, values, times - 3.5)


def scamps(folder: Path, name: str = "P000007", count: int = 40, pictures_in: str = "RawFrames") -> Truth:
    """More pictures than are read at once."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = pictures(count)
    times = np.arange(300) / 30.0
    values = wave(times)
    with h5py.File(folder / f"{name}.mat", "w", userblock_size=512) as data:
        data[pictures_in] = (frames / 255.0).transpose(3, 2, 1, 0)
        data["d_ppg"] = values[None]
        data["d_br"] = np.zeros((1, 300))
    return Truth(name, name, frames, np.arange(count) / 30, values, times)


def mmpd(folder: Path, subject: int = 4, number: int = 3, count: int = 6, packed: bool = True) -> Truth:
    place = folder / f"subject{subject}"
    place.mkdir(parents=True, exist_ok=True)
    frames = pictures(count)
    times = np.arange(300) / 30.0
    values = wave(times).astype(np.float32)
    told = {
        "light": "LED-low",
        "motion": "Watching Videos",
        "exercise": "False",
        "skin_color": np.array([[5]]),
        "gender": "male",
        "glasser": "True",
        "hair_cover": "False",
        "makeup": "False",
    }
    scipy.io.savemat(
        place / f"p{subject}_{number}.mat",
        {"video": (frames / 255.0).astype(np.float32), "GT_ppg": values[None], **told},
        do_compression=packed,
    )
    return Truth(
        f"p{subject}_{number}", str(subject), frames, np.arange(count) / 30, values.astype(float), times
    )


def plain(folder: Path, count: int = 5) -> Truth:
    frames = pictures(count)
    write_avi(folder / "films" / "one.avi", frames, 25)
    times = np.round(np.arange(500) / 50.0, 3)
    values = wave(times)
    with (folder / "wave.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("time", "bvp"))
        rows.writerows(zip(times, values, strict=True))
    (folder / "clips.csv").write_text("file,subject,bvp,bpm,light\nfilms/one.avi,anna,wave.csv,,window\n")
    return Truth("one", "anna", frames, np.arange(count) / 25, values, times)

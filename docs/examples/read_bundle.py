"""Reads Praxis bundles: a second reader, written from docs/bundle-format.md alone.

    read_bundle.py FILE info                                   session, tracks, gaps
    read_bundle.py FILE events [--track NAME]                  JSON messages, one per line
    read_bundle.py FILE frame --at SECONDS [--display N] -o X.png
    read_bundle.py FILE narration -o X.wav                     gaps are silence
    read_bundle.py self-test                                   checks the examples of docs/bundle-format.md

Needs Python 3.11 and: pip install mcap zstandard numpy pillow soundfile
It does not repair: where a file is cut or damaged it says so, keeps what comes before, and exits 3.
"""

import argparse
import io
import json
import re
import struct
import sys
import wave
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import soundfile
import zstandard
from mcap import records as mcap
from mcap.exceptions import InvalidMagic, McapError
from mcap.stream_reader import StreamReader, breakup_chunk
from PIL import Image

TRACKS = {1: "pointer", 2: "keys", 3: "windows", 4: "narration", 5: "markers", 6: "geometry", 7: "clock", 8: "health", 10: "cursor", 11: "clipboard", 12: "sound", 13: "elements"}
NARRATION, MARKERS, SCREENS = 4, 5, range(100, 164)  # channels; screen/N is 100 + 2 N, its keyframes one more
TILE, CHUNK_LIMIT, PIXEL_LIMIT, EDGE_LIMIT = 32, 64 << 20, 21_000_000, 16_384


class BundleError(Exception):
    """The file breaks the format; the text says where and what to do."""


def need(condition, text):
    if not condition:
        raise BundleError(text)


def track_of(channel):
    """The track of a channel; None for one of a later version, which is passed over."""
    if channel in SCREENS:
        return f"screen/{(channel - 100) // 2}"
    return TRACKS.get(channel)


class Bundle:
    """A bundle in any state: live, even while it is written, finished or sealed."""

    def __init__(self, path):
        self.path, self.damage, self.metadata = path, None, {}
        for record in self.records():
            if isinstance(record, mcap.Header):
                need(record.profile == "praxis", f"the MCAP profile is {record.profile!r}: this is not a bundle")
            elif isinstance(record, mcap.Metadata) and record.name == "praxis.manifest":
                text = record.metadata.get("json", "")
                if record.metadata.get("crc32") == f"{zlib.crc32((record.name + text).encode()):08x}":
                    self.manifest = json.loads(text)
                    break  # else there is a second one, after the channels
            elif isinstance(record, mcap.Message):
                break
        need(hasattr(self, "manifest"), "there is no manifest: nothing in this file can be timed")
        version = self.manifest["format_version"]
        need(version == 1, f"format version {version} is newer than this reader")
        self.epoch, self.damage = self.manifest["epoch_wall_nanos"], None

    def records(self, start=0):
        """Records in file order from a byte on, those of chunks too. Ends at damage, which it notes."""
        with open(self.path, "rb") as stream:
            stream.seek(start)
            limits = {"validate_crcs": True, "record_size_limit": CHUNK_LIMIT + (1 << 20)}
            try:
                for record in StreamReader(stream, skip_magic=start > 0, emit_chunks=True, **limits).records:
                    if not isinstance(record, mcap.Chunk):
                        yield record
                        continue
                    size = record.uncompressed_size
                    need(record.compression == "zstd" and size <= CHUNK_LIMIT, "this chunk is not one of a bundle")
                    need(zstandard.frame_content_size(record.data) in (-1, size), "a chunk lies about its size")
                    yield from breakup_chunk(record, validate_crc=True)
            except (McapError, ValueError, struct.error, zstandard.ZstdError) as error:
                need(not isinstance(error, InvalidMagic) or stream.tell() > 8, "this is not an MCAP file")
                self.damage = f"cannot be read on from byte {stream.tell()} ({type(error).__name__} {error})"

    def messages(self, start=0):
        """All messages in file order, each with its track and its session time."""
        for record in self.records(start):
            if isinstance(record, mcap.Message) and (track := track_of(record.channel_id)):
                yield track, record.log_time - self.epoch, record

    def chunk_before(self, channel, nanos):
        """Byte of the last chunk with a message of the channel at or before a time; 0 in a file without index."""
        with open(self.path, "rb") as stream:
            stream.seek(-37, 2)  # the footer record is 29 bytes, the magic 8
            tail = stream.read()
            summary = struct.unpack_from("<Q", tail, 9)[0] if tail[0] == 2 and tail.endswith(b"0\r\n") else 0
        found = 0
        for record in self.records(summary) if summary else ():
            if isinstance(record, mcap.ChunkIndex) and channel in record.message_index_offsets:
                with open(self.path, "rb") as stream:
                    stream.seek(record.message_index_offsets[channel])
                    index = next(StreamReader(stream, skip_magic=True).records)
                if index.records[0][0] - self.epoch <= nanos:
                    found = max(found, record.chunk_start_offset)
        return found

    def picture(self, display, nanos):
        """The newest picture of a display at a session time, and its own time."""
        track, run = f"screen/{display}", []
        for name, time, message in self.messages(self.chunk_before(101 + 2 * display, nanos)):
            if name == track:
                if time > nanos:
                    break
                if message.channel_id % 2:  # a keyframe: what was before is not needed
                    run.clear()
                run.append((time, message))
        need(run, f"{track} has no picture at or before {nanos / 1e9} s")
        picture = Picture()
        for (_, before), (time, message) in zip([(None, None)] + run, run):
            lost = before and message.sequence != before.sequence + 1
            need(not lost, f"pictures of {track} before {time / 1e9} s are lost: take a time after its next keyframe")
            picture.apply(message.data)
        return picture, run[-1][0]


class Picture:
    """The picture of a display and, per tile, whether it is lossy."""

    def __init__(self):
        self.bgr = self.lossy = None

    def apply(self, data):
        """Carries out one screen message."""
        try:
            self._apply(data)
        except struct.error as error:
            raise BundleError("a screen message is cut short") from error

    def _apply(self, data):
        version, kind, width, height, _, _, _, _, count, _ = struct.unpack_from("<BBHHHQQQII", data)
        need(version == 1 and kind in (0, 1), f"a screen message of version {version}, kind {kind}")
        if kind == 0:
            fits = 0 < width <= EDGE_LIMIT and 0 < height <= EDGE_LIMIT and width * height <= PIXEL_LIMIT
            need(fits, f"a picture of {width} × {height} pixels")
            self.bgr = np.zeros((height, width, 3), np.uint8)
            self.lossy = np.zeros((-(-height // TILE), -(-width // TILE)), bool)
        need(self.bgr is not None, "a delta before the first keyframe")
        need(self.bgr.shape[:2] == (height, width), "a delta of another size than its keyframe")
        base, was_lossy, at = self.bgr, self.lossy, 40
        last, tiles, copies_may_come = -1, 0, kind == 1
        for number in range(count):
            code, at = data[at] if at < len(data) else 0, at + 1
            copies_may_come = copies_may_come and code == 3
            if code == 3:
                need(copies_may_come, "a copy that does not come first, or in a keyframe")
                if self.bgr is base:
                    self.bgr, self.lossy = base.copy(), was_lossy.copy()
                x, y, w, h, from_x, from_y = struct.unpack_from("<6H", data, at)
                at += 12
                inside = max(x, from_x) + w <= width and max(y, from_y) + h <= height
                need(w and h and inside, "a copy beyond the picture")
                need(not was_lossy[tiles_touched(from_x, from_y, w, h)].any(), "a copy of lossy pixels")
                self.bgr[y : y + h, x : x + w] = base[from_y : from_y + h, from_x : from_x + w]
                self.lossy[tiles_covered(x, y, w, h, width, height)] = False
            elif code in (1, 2):
                column, row = struct.unpack_from("<HH", data, at)
                at, index = at + 4, row * self.lossy.shape[1] + column
                need(column < self.lossy.shape[1] and row < self.lossy.shape[0], "a tile beyond the picture")
                need(index > last, "tiles out of order")
                last, tiles = index, tiles + 1
                place = self.bgr[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
                need(at + place.size <= len(data), "a tile is cut short")
                pixels = np.frombuffer(data, np.uint8, place.size, at)
                at += place.size
                if code == 1:
                    place[:] = pixels.reshape(place.shape)
                else:  # planes of rows; undo "up" by sums that wrap
                    planes = pixels.reshape(3, *place.shape[:2])
                    place[:] = planes.cumsum(axis=1, dtype=np.uint8).transpose(1, 2, 0)
                self.lossy[row, column] = False
            elif code == 4:
                need(kind == 1, "a lossy rectangle in a keyframe")
                column, row, columns, rows, length = struct.unpack_from("<4HI", data, at)
                at += 12
                need(at + length <= len(data), "a lossy rectangle is cut short")
                place = self.bgr[row * TILE : (row + rows) * TILE, column * TILE : (column + columns) * TILE]
                with Image.open(io.BytesIO(data[at : at + length]), formats=["JPEG"]) as jpeg:
                    same = jpeg.mode == "RGB" and jpeg.size == place.shape[1::-1]
                    need(same, "a lossy rectangle of another size than its JPEG")
                    place[:] = np.asarray(jpeg)[:, :, ::-1]
                at += length
                self.lossy[row : row + rows, column : column + columns] = True
            else:
                raise BundleError(f"operation {number} of a screen message has the unknown code {code}")
        need(at == len(data), "bytes are left at the end of a screen message")
        need(kind == 1 or tiles == self.lossy.size, "a keyframe without some of its tiles")


def tiles_touched(x, y, w, h):
    """The tiles of which a rectangle in pixels has a pixel."""
    return slice(y // TILE, -(-(y + h) // TILE)), slice(x // TILE, -(-(x + w) // TILE))


def tiles_covered(x, y, w, h, width, height):
    """The tiles of which a rectangle in pixels has every pixel; the picture's edge cuts the last ones."""
    right, bottom = (-(-width // TILE) if x + w == width else (x + w) // TILE), y + h
    bottom = -(-height // TILE) if bottom == height else bottom // TILE
    return slice(-(-y // TILE), bottom), slice(-(-x // TILE), right)


def samples_of(data):
    """Of one narration message: samples per second, position of the first sample, samples."""
    need(len(data) >= 20, "a narration message is cut short")
    version, coding, _, rate, position, count = struct.unpack_from("<BBHIQI", data)
    need(version == 1 and coding in (0, 1), f"a narration message of version {version}, coding {coding}")
    need(8_000 <= rate <= 192_000 and count <= 1 << 20, f"{count} samples at {rate} Hz")
    if coding == 0:
        need(len(data) == 20 + 2 * count, "a narration message of another length than it announces")
        samples = np.frombuffer(data, "<i2", offset=20)
    else:
        samples, coded_rate = soundfile.read(io.BytesIO(data[20:]), dtype="int16")
        need(coded_rate == rate and samples.ndim == 1, "FLAC of another rate, or not mono")
    need(len(samples) == count, f"{len(samples)} samples where {count} are announced")
    return rate, position, samples


def info(bundle, _):
    counts, sizes, end, gaps, ending = Counter(), Counter(), 0, [], None
    for record in bundle.records():
        if isinstance(record, mcap.Metadata) and record.name == "praxis.ending":
            ending = json.loads(record.metadata["json"])
        if not isinstance(record, mcap.Message) or not (track := track_of(record.channel_id)):
            continue
        time = record.log_time - bundle.epoch
        end, counts[track], sizes[track] = max(end, time), counts[track] + 1, sizes[track] + len(record.data)
        if record.channel_id == MARKERS and (event := json.loads(record.data))["kind"].startswith("gap_"):
            gaps.append(f"{event['kind']} {event['track']} at {time / 1e9:.3f} s {event.get('reason', '')}")
    print("session", bundle.manifest["session_id"], "-", bundle.manifest["title"])
    print(f"length  {(ending['session_time_nanos'] if ending else end) / 1e9:.3f} s, {ending or 'without an ending'}")
    for track in sorted(counts):
        print(f"{track:12}{counts[track]:8} messages{sizes[track]:12} bytes")
    print("\n".join(gaps))


def events(bundle, options):
    found = []
    for track, time, message in bundle.messages():
        if track in TRACKS.values() and track not in ("narration", "sound") and options.track in (None, track):
            found.append((time, {"track": track, "session_time_nanos": time, **json.loads(message.data)}))
    for _, event in sorted(found, key=lambda pair: pair[0]):
        print(json.dumps(event, ensure_ascii=False))


def frame(bundle, options):
    picture, time = bundle.picture(options.display, int(round(options.at * 1e9)))
    Image.fromarray(np.ascontiguousarray(picture.bgr[:, :, ::-1])).save(options.output, "PNG")
    print(f"screen/{options.display} as it was from {time / 1e9:.3f} s on")
    print(f"{picture.lossy.sum()} of {picture.lossy.size} tiles are lossy")
    for row in np.flatnonzero(picture.lossy.any(axis=1)):
        print(f"  row {row}: columns", *np.flatnonzero(picture.lossy[row]))


def narration(bundle, options):
    """Every run of samples at its time, counted from the session's begin."""
    blocks, rate, end = [], None, 0
    for track, time, message in bundle.messages():
        end = max(end, time)
        if track == "narration":
            block_rate, position, samples = samples_of(message.data)
            count = len(samples)
            need(rate in (None, block_rate), "the rate changes within the session")
            rate, start = block_rate, time * block_rate // 10**9
            if blocks:  # what follows without loss goes on without a seam; nothing is laid over what is there
                free = blocks[-1][0] + len(blocks[-1][1])
                follows = position == following and abs(start - free) < rate // 50
                samples = samples if follows else samples[max(0, free - start) :]
                start = free if follows else max(start, free)
            following = position + count
            blocks.append((start, samples))
    need(blocks, "there is no narration in this bundle")
    for record in bundle.records():
        if isinstance(record, mcap.Metadata) and record.name == "praxis.ending":
            end = max(end, json.loads(record.metadata["json"])["session_time_nanos"])
    voice = np.zeros(max(end * rate // 10**9, max(start + len(samples) for start, samples in blocks)), "<i2")
    for start, samples in blocks:
        voice[start : start + len(samples)] = samples
    with wave.open(options.output, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", None))
        file.writeframes(voice.tobytes())


def self_test():
    """Decodes the hexadecimal examples of the document and compares with what it says about them."""
    text = (Path(__file__).parent.parent / "bundle-format.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```hex\n(.*?)```", text, re.DOTALL)
    key, delta, sound = (bytes.fromhex("".join(line.split("  ")[0] for line in b.splitlines())) for b in blocks)
    picture = Picture()
    picture.apply(key)
    assert picture.bgr.tolist() == [[[0, 0, 255], [0, 255, 0]], [[255, 0, 0], [255, 255, 255]]], picture.bgr
    picture.apply(delta)
    assert picture.bgr.tolist() == [[[0, 255, 0], [0, 255, 0]], [[255, 255, 255], [255, 255, 255]]], picture.bgr
    assert not picture.lossy.any()
    rate, position, samples = samples_of(sound)
    assert (rate, position, samples.tolist()) == (48000, 96000, [0, 1, -1, 256]), samples
    for message, decode in [(key, Picture().apply), (sound, samples_of)]:
        for length in range(len(message)):
            try:
                decode(message[:length])
            except BundleError:
                continue
            raise AssertionError(f"a message cut to {length} bytes passes")
    print("the examples of the document hold")


def main():
    if sys.argv[1:] == ["self-test"]:
        return self_test()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("info").set_defaults(run=info)
    options = commands.add_parser("events")
    options.add_argument("--track", choices=[track for track in TRACKS if track != "narration"])
    options.set_defaults(run=events)
    options = commands.add_parser("frame")
    options.add_argument("--at", type=float, required=True, metavar="SECONDS")
    options.add_argument("--display", type=int, default=0, choices=range(32), metavar="N")
    options.add_argument("-o", "--output", required=True)
    options.set_defaults(run=frame)
    options = commands.add_parser("narration")
    options.add_argument("-o", "--output", required=True)
    options.set_defaults(run=narration)
    options = parser.parse_args()
    try:
        bundle = Bundle(options.file)
        options.run(bundle, options)
    except (BundleError, OSError, ValueError, KeyError, soundfile.SoundFileError) as error:
        sys.exit(f"read_bundle: {options.file}: {error}")
    if bundle.damage:
        print(f"read_bundle: {options.file} {bundle.damage}; `praxis recover` keeps the rest", file=sys.stderr)
        sys.exit(3)


if __name__ == "__main__":
    main()

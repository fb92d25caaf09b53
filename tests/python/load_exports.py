"""Loads an export with the program that labs use for its format, and compares values with the bundle.

load_exports.py FORMAT FOLDER TRUTH: TRUTH is a JSON file with the bundle's actions and facts, or the transcript for vtt and srt.
"""

import ast
import base64
import csv
import io
import json
import re
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import numpy
from PIL import Image

GUARD_NANOS = 50_000_000


def frame(truth, display, nanos):
    """What the bundle's own program shows at a time."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "frame.png"
        at = f"{nanos // 10**9}.{nanos % 10**9:09}"
        command = [truth["program"], "frame", truth["bundle"], "--display", str(display), "--at", at, "-o", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return numpy.asarray(Image.open(out).convert("RGB"))


def same_picture(truth, display, nanos, picture):
    found = numpy.asarray(picture.convert("RGB"))
    assert numpy.array_equal(found, frame(truth, display, nanos)), f"another picture at {nanos}"


def same_action(action, expected):
    for key in ("kind", "start_nanos", "end_nanos", "text", "x_px", "y_px", "keys"):
        assert action.get(key) == expected.get(key), (key, action, expected)


def only(folder, pattern):
    found = list(folder.glob(pattern))
    assert len(found) == 1, found
    return found[0]


def check_digests(folder):
    """export.json lists everything there is, with its SHA-256."""
    import hashlib

    export = json.loads((folder / "export.json").read_text())
    listed = {file["path"]: file["sha256"] for source in export["sources"] for file in source["files"]}
    for path, sha256 in listed.items():
        assert hashlib.sha256((folder / path).read_bytes()).hexdigest() == sha256, path
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    ours = {name for name in there if name.startswith("sources/") or name in ("export.json", "README.md")}
    assert there - ours == set(listed), there ^ set(listed)
    return export


def jsonl(folder, truth):
    steps_file = only(folder, "train/*/steps.jsonl")
    steps = [json.loads(line) for line in steps_file.read_text().splitlines()]
    assert len(steps) == len(truth["actions"])
    is_small = any(path.suffix == ".webp" for path in steps_file.parent.rglob("*"))
    compared = 0
    ended = 0
    for step, action in zip(steps, truth["actions"]):
        same_action(step["action"], action)
        observation = step["observation"]
        if observation is None:
            assert action["start_nanos"] < 2 * 10**9, step
            continue
        assert observation["at_nanos"] + GUARD_NANOS <= action["start_nanos"]
        assert observation["captured_nanos"] <= observation["at_nanos"]
        assert observation["is_stale"] == (ended > observation["at_nanos"])
        assert step["after"]["at_nanos"] >= action["end_nanos"]
        ended = max(ended, action["end_nanos"])
        picture = Image.open(steps_file.parent / observation["image"])
        assert picture.size == (observation["width_px"], observation["height_px"])
        if "x_px" in action:
            point, screen = step["from"], step["screen"]
            share = (action["x_px"] - screen["x_px"]) / screen["width_px"]
            assert abs(point["x"] - share) < 1e-9 and 0 <= point["x"] <= 1
            assert point["x_px"] == int(share * picture.width), (point, picture.size)
        if is_small:
            assert max(picture.size) == 640, picture.size
        elif compared < 6:
            same_picture(truth, step["display"], observation["captured_nanos"], picture)
            after = Image.open(steps_file.parent / step["after"]["image"])
            same_picture(truth, step["display"], step["after"]["captured_nanos"], after)
            compared += 1
    said = [span for step in steps for span in step["narration"]]
    assert said and all(span["end_nanos"] > span["start_nanos"] for span in said), said
    thinking = next(step for step in steps if step["action"]["kind"] == "wait")
    assert thinking["narration"], "the voice while waiting is not with the wait"


def parquet(folder, truth):
    import datasets

    loaded = datasets.load_dataset(str(folder), cache_dir=tempfile.mkdtemp())
    assert list(loaded) == ["train"], loaded
    rows = loaded["train"]
    assert isinstance(rows.features["image"], datasets.Image), rows.features
    assert isinstance(rows.features["narration"], datasets.Audio), rows.features
    # Decoding sound would need another large package: the bytes are a WAV file.
    rows = rows.cast_column("narration", datasets.Audio(decode=False))
    actions = {action["start_nanos"]: action for action in truth["actions"]}
    assert len(rows) >= len(actions) - 1
    voices = 0
    for n, row in enumerate(rows):
        action = actions[row["start_nanos"]]
        assert row["kind"] == action["kind"] and row["text"] == action.get("text")
        same_action(json.loads(row["action"]), action)
        assert row["image_nanos"] + GUARD_NANOS <= row["start_nanos"]
        if n % 8 == 0:
            same_picture(truth, 0, row["image_nanos"], row["image"])
            same_picture(truth, 0, row["image_after_nanos"], row["image_after"])
        if row["narration"] is not None:
            with wave.open(io.BytesIO(row["narration"]["bytes"])) as sound:
                voices += sound.getnframes() / sound.getframerate() > 0.3
    assert voices > 0, "no voice"


def webdataset(folder, truth):
    import webdataset

    shards = sorted(str(path) for path in folder.glob("train/*.tar"))
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8"))
    actions = {action["start_nanos"]: action for action in truth["actions"]}
    assert len(samples) >= len(actions) - 1
    voices = 0
    for n, sample in enumerate(samples):
        row = sample["json"]
        same_action(row["action"], actions[row["action"]["start_nanos"]])
        assert sample["__key__"].endswith(f"{row['index']:06}")
        if n % 8 == 0:
            expected = frame(truth, row["display"], row["observation"]["captured_nanos"])
            assert numpy.array_equal(sample["png"], expected)
            expected = frame(truth, row["display"], row["after"]["captured_nanos"])
            assert numpy.array_equal(sample["after.png"], expected)
        voices += "wav" in sample
    assert voices > 0, "no voice"


# The grammar of AgentNet's code, written from its description: what may be called, with which keywords.
AGENTNET = {
    "pyautogui.click": {"x", "y"},
    "pyautogui.doubleClick": {"x", "y"},
    "pyautogui.rightClick": {"x", "y"},
    "pyautogui.middleClick": {"x", "y"},
    "pyautogui.moveTo": {"x", "y"},
    "pyautogui.dragTo": {"x", "y", "button"},
    "pyautogui.scroll": 1,
    "pyautogui.hscroll": 1,
    "pyautogui.write": {"message"},
    "pyautogui.press": {"keys"},
    "pyautogui.hotkey": {"keys"},
    "computer.tripleClick": {"x", "y"},
    "computer.wait": set(),
    "computer.terminate": {"status"},
}


def calls(code):
    for line in code.split("\n"):
        call = ast.parse(line, mode="eval").body
        assert isinstance(call, ast.Call), line
        name = f"{call.func.value.id}.{call.func.attr}"
        expected = AGENTNET[name]
        values = {each.arg: ast.literal_eval(each.value) for each in call.keywords}
        if isinstance(expected, int):
            assert len(call.args) == expected and not values, line
            values = {"n": ast.literal_eval(call.args[0])}
        else:
            assert not call.args and set(values) == expected, line
        for side in ("x", "y"):
            assert 0 <= values.get(side, 0) <= 1, line
        yield name, values


def agentnet(folder, truth):
    file = only(folder, "train/*/trajectory.jsonl")
    (row,) = [json.loads(line) for line in file.read_text().splitlines()]
    assert row["task_id"] and row["instruction"] == "Twenty kinds" and row["task_completed"] is True
    names = []
    for index, step in enumerate(row["traj"]):
        assert step["index"] == index
        assert Image.open(file.parent / step["image"]).size == (1024, 768)
        done = list(calls(step["value"]["code"]))
        names += [name for name, _ in done]
        if done[0][0] == "pyautogui.write":
            texts = {action.get("text") for action in truth["actions"]}
            assert done[0][1]["message"] in texts, done
    assert names[-1] == "computer.terminate" and names.count("computer.terminate") == 1
    missing = set(AGENTNET) - set(names)
    assert not missing, f"the session has {missing}, the export has not"


def csv_(folder, truth):
    file = only(folder, "train/*.csv")
    rows = list(csv.DictReader(file.open(newline="")))
    command = [truth["program"], "events", truth["bundle"]]
    for track in ("pointer", "keys", "windows", "markers"):
        command += ["--track", track]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    events, active = [], None
    for event in map(json.loads, lines):
        # Other windows than the active one, and places, are not in the table.
        if event["track"] == "windows":
            window = event["active"] or {}
            known, active = active, (window.get("title"), window.get("class"))
            if known == active:
                continue
        events.append(event)
    assert len(rows) == len(events) > 100
    for row, event in zip(rows, events):
        assert int(row["session_time_nanos"]) == event["session_time_nanos"] and row["track"] == event["track"]
        for key in ("kind", "x_px", "button", "text", "keysym", "source_millis"):
            value = event.get(key)
            assert row[key] == ("" if value is None else str(value)), (row, event)


def wav(folder, truth):
    file = only(folder, "train/*.wav")
    assert file.read_bytes() == Path(truth["voice"]).read_bytes()
    with wave.open(str(file)) as sound:
        rate, frames = sound.getframerate(), sound.getnframes()
    assert abs(frames / rate - truth["info"]["duration_nanos"] / 1e9) < 0.001
    spans = json.loads(Path(f"{file}.json").read_text())
    assert spans["rate_hz"] == rate and spans["runs"]
    end = 0
    for run in spans["runs"]:
        assert run["sample"] >= end
        assert abs(run["sample"] / rate - run["nanos"] / 1e9) < 0.03, run
        end = run["sample"] + run["samples"]
    assert end <= frames


def cues(folder, truth):
    import webvtt

    file = only(folder, f"train/*.{sys.argv[1]}")
    loaded = webvtt.read(str(file)) if file.suffix == ".vtt" else webvtt.from_srt(str(file))
    for cue, segment in zip(loaded, truth["segments"], strict=True):
        text = cue.text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        assert text == segment["text"].strip(), cue
        assert abs(cue.start_in_seconds - segment["start"]) < 1 and cue.start[-3:] == f"{segment['start'] % 1:.3f}"[2:], cue


def size_of(data):
    return Image.open(io.BytesIO(base64.b64decode(data))).size


def anthropic(folder, truth):
    from anthropic.types.beta import BetaMessageParam
    from pydantic import TypeAdapter

    lines = only(folder, "train/*/messages.jsonl").read_text().splitlines()
    messages = [json.loads(line) for line in lines]
    TypeAdapter(list[BetaMessageParam]).validate_python(messages)
    assert messages[0]["content"][0]["text"] == "Twenty kinds"
    inputs = []
    for ask, answer in zip(messages[1::2], messages[2::2], strict=True):
        use, result = ask["content"][-1], answer["content"][0]
        assert ask["role"] == "assistant" and answer["role"] == "user"
        assert use["type"] == "tool_use" and result["tool_use_id"] == use["id"]
        inputs.append(use["input"])
        if use["input"]["action"] == "screenshot":
            assert size_of(result["content"][0]["source"]["data"]) == (1024, 768)
    done = [each for each in inputs if each["action"] != "screenshot"]
    for each in done:
        for place in ("coordinate", "start_coordinate"):
            x, y = each.get(place, (0, 0))
            assert 0 <= x < 1024 and 0 <= y < 768
    names = {each["action"] for each in done}
    assert names == {
        "left_click", "double_click", "triple_click", "middle_click", "right_click", "left_click_drag", "left_mouse_down",
        "left_mouse_up", "mouse_move", "scroll", "type", "key", "wait",
    }, names
    assert {"action": "left_click", "coordinate": [700, 640], "text": "ctrl+shift"} in done
    assert {"action": "key", "text": "ctrl+s"} in done and {"action": "key", "text": "shift+Home"} in done
    assert done.count({"action": "key", "text": "Left"}) == 3
    assert {"action": "left_click_drag", "start_coordinate": [700, 640], "coordinate": [820, 660]} in done
    texts = [each["text"] for each in done if each["action"] == "type"]
    assert texts == [action["text"] for action in truth["actions"] if action["kind"] == "type"]


def openai(folder, truth):
    from openai.types.responses import ResponseComputerToolCall, response_input_param
    from pydantic import TypeAdapter

    lines = only(folder, "train/*/items.jsonl").read_text().splitlines()
    items = [json.loads(line) for line in lines]
    TypeAdapter(list[response_input_param.ResponseInputItemParam]).validate_python(items)
    calls, outputs = items[1::2], items[2::2]
    done = []
    for call, output in zip(calls, outputs, strict=True):
        done.append(ResponseComputerToolCall.model_validate(call).action)
        assert output["type"] == "computer_call_output" and output["call_id"] == call["call_id"]
        assert size_of(output["output"]["image_url"].split(",")[1]) == (1024, 768)
    names = [action.type for action in done]
    assert set(names) == {"screenshot", "click", "double_click", "drag", "scroll", "type", "keypress", "move", "wait"}, names
    scrolled = [(action.scroll_x, action.scroll_y) for action in done if action.type == "scroll"]
    assert scrolled == [(0, 400), (0, -100), (200, 0), (0, 100)], scrolled
    drag = next(action for action in done if action.type == "drag")
    assert [(point.x, point.y) for point in drag.path] == [(700, 640), (820, 660)]


def osworld(folder, truth):
    # The rules of its trajectories, written from their description.
    file = only(folder, "train/*/traj.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(lines) >= len(truth["actions"]) - 1
    for number, line in enumerate(lines, 1):
        assert line["step_num"] == number and line["done"] == (number == len(lines))
        assert line["screenshot_file"].startswith(f"step_{number}_{line['action_timestamp']}.")
        assert Image.open(file.parent / line["screenshot_file"]).size == (1024, 768)
        for call in line["action"].split("\n"):
            for each in ast.parse(call, mode="eval").body.keywords:
                assert each.arg not in ("x", "y") or isinstance(ast.literal_eval(each.value), int), call
    assert "pyautogui.click(x=700, y=640)" in [line["action"] for line in lines]
    assert lines[-1]["reward"] == 1.0 and (file.parent / "result.txt").read_text().strip() == "1.0"
    assert Image.open(file.parent / "step_0.png").size == (1024, 768)


def mp4(folder, truth):
    file = only(folder, "train/*-0.mp4")
    ask = ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", str(file)]
    facts = json.loads(subprocess.run(ask, check=True, capture_output=True).stdout)
    seconds = truth["info"]["duration_nanos"] / 1e9
    assert abs(float(facts["format"]["duration"]) - seconds) < 0.2, (facts["format"], seconds)
    assert {stream["codec_name"] for stream in facts["streams"]} == {"h264", "aac"}
    for at in (2, int(seconds) // 2, int(seconds) - 1):
        ask = ["ffmpeg", "-v", "error", "-ss", str(at), "-i", str(file), "-frames:v", "1", "-f", "image2pipe", "-c:v", "png", "-"]
        picture = Image.open(io.BytesIO(subprocess.run(ask, check=True, capture_output=True).stdout)).convert("RGB")
        expected = frame(truth, 0, at * 10**9).astype(int)
        difference = numpy.abs(numpy.asarray(picture).astype(int) - expected)
        # Lossy, and with an arrow on it; a picture of another moment differs by far more where the counter is.
        assert difference.mean() < 3, (at, difference.mean())


def owamcap(folder, truth):
    import warnings

    from mcap_owa.highlevel import OWAMcapReader

    warnings.simplefilter("error")
    command = [truth["program"], "events", truth["bundle"], "--track", "pointer", "--track", "keys", "--track", "windows"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    events = [json.loads(line) for line in lines]
    epoch = truth["info"]["manifest"]["epoch_wall_nanos"]
    with OWAMcapReader(only(folder, "train/*-0.mcap")) as reader:
        assert reader.duration <= truth["info"]["duration_nanos"] + 10**9
        found = {topic: [message.decoded for message in reader.iter_messages(topics=[topic])] for topic in reader.topics}
        order = [message.timestamp for message in reader.iter_messages()]
    assert set(found) == {"screen", "mouse", "keyboard", "window"} and order == sorted(order)
    mice = [event for event in events if event["track"] == "pointer"]
    for mouse, event in zip(found["mouse"], mice, strict=True):
        assert (mouse.x, mouse.y, mouse.timestamp) == (event["x_px"], event["y_px"], epoch + event["session_time_nanos"])
        kind = {"move": "move", "scroll": "scroll"}.get(event["kind"], "click")
        assert mouse.event_type == kind
        if kind == "click":
            names = {1: "left", 2: "middle", 3: "right", 8: "x1", 9: "x2"}
            assert mouse.button == names[event["button"]] and mouse.pressed == (event["kind"] == "press")
        if kind == "scroll":
            assert (mouse.dx, mouse.dy) == (event["dx"] or 0, event["dy"] or 0)
    keys = [event for event in events if event["track"] == "keys"]
    # Windows has no key for a line feed.
    keys = [event for event in keys if event["keysym"] != "Linefeed"]
    for key, event in zip(found["keyboard"], keys, strict=True):
        assert key.timestamp == epoch + event["session_time_nanos"]
        assert key.event_type == event["kind"]
        letter = event["keysym"].upper()
        if len(letter) == 1 and letter.isalpha():
            assert key.vk == ord(letter), event
        if event["keysym"] == "Return":
            assert key.vk == 0x0D
    assert len(found["screen"]) > 20
    for screen in found["screen"][:: len(found["screen"]) // 5]:
        assert screen.shape == screen.source_shape == (1024, 768)
        expected = frame(truth, 0, screen.utc_ns - epoch)
        assert numpy.array_equal(screen.to_rgb_array(), expected)
    windows = [event["active"] for event in events if event["track"] == "windows" and event["active"]]
    for window, active in zip(found["window"], windows, strict=True):
        left, top, right, bottom = window.rect
        assert (window.title, left, top) == (active["title"], active["rect"]["x_px"], active["rect"]["y_px"])
        assert (right - left, bottom - top) == (active["rect"]["width_px"], active["rect"]["height_px"])


def rerun_rows(file):
    """What Rerun makes of a file or folder: component names with how many rows have them."""
    import rerun

    out = Path(tempfile.mkdtemp()) / "out.rrd"
    recording = rerun.RecordingStream("praxis_test")
    recording.save(str(out))
    recording.log_file_from_path(str(file))
    recording.flush()
    recording.disconnect()
    binary = Path(sys.executable).parent / "rerun"
    return subprocess.run([str(binary), "rrd", "print", "-vvv", str(out)], check=True, capture_output=True, text=True).stdout


def foxglove(folder, truth):
    from mcap.reader import make_reader
    from mcap_protobuf.decoder import DecoderFactory

    file = only(folder, "train/*.mcap")
    epoch = truth["info"]["manifest"]["epoch_wall_nanos"]
    found = {}
    with file.open("rb") as stream:
        for schema, channel, message, decoded in make_reader(stream, decoder_factories=[DecoderFactory()]).iter_decoded_messages():
            found.setdefault(channel.topic, []).append((schema.name, message.log_time - epoch, decoded))
    names = {topic: rows[0][0] for topic, rows in found.items()}
    assert names == {
        "screen/0": "foxglove.CompressedImage", "screen/0/pointer": "foxglove.ImageAnnotations",
        "narration": "foxglove.RawAudio", "log": "foxglove.Log",
    }, names
    pictures = found["screen/0"]
    assert len(pictures) > 20
    for _, nanos, picture in pictures[:: len(pictures) // 5]:
        assert picture.format == "png" and picture.frame_id == "screen/0"
        assert picture.timestamp.seconds * 10**9 + picture.timestamp.nanos == nanos + epoch
        same_picture(truth, 0, nanos, Image.open(io.BytesIO(picture.data)))
    said = [row for _, _, row in found["log"] if row.name == "action"]
    starts = [nanos for _, nanos, row in found["log"] if row.name == "action"]
    assert starts == [action["start_nanos"] for action in truth["actions"]]
    assert any("drag" in row.message for row in said)
    with wave.open(truth["voice"]) as sound:
        voice = numpy.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2")
    heard = numpy.concatenate([numpy.frombuffer(row.data, dtype="<i2") for _, _, row in found["narration"]])
    start = found["narration"][0][1] * 48_000 // 10**9
    # As long as nothing was lost, sample by sample; the WAV file has silence where the microphone gave nothing.
    assert numpy.array_equal(heard[: 3 * 48_000], voice[start : start + 3 * 48_000])
    assert len(voice) * 0.9 < len(heard) <= len(voice), (len(heard), len(voice))
    pressed = [row for _, _, row in found["screen/0/pointer"] if row.circles and row.circles[0].diameter > 20]
    presses = [action for action in truth["actions"] if action["kind"] in ("click", "drag")]
    assert len(pressed) >= len(presses)
    printed = rerun_rows(file)
    assert "EncodedImage" in printed and "TextLog" in printed, printed[-2000:]


def lerobot(folder, truth):
    import pyarrow.parquet

    home = only(folder, "train/*-0")
    info = json.loads((home / "meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0" and info["fps"] == 5
    rows = pyarrow.parquet.read_table(home / "data/chunk-000/file-000.parquet").to_pylist()
    seconds = truth["info"]["duration_nanos"] / 1e9
    assert len(rows) == info["total_frames"] == int(seconds * 5) + 1
    assert set(rows[0]) == set(info["features"])
    stats = json.loads((home / "meta/stats.json").read_text())
    for name, length in (("observation.state", 5), ("action", 7)):
        values = numpy.array([row[name] for row in rows])
        assert values.shape == (len(rows), length) and info["features"][name]["shape"] == [length]
        for key, of in (("min", values.min(0)), ("max", values.max(0)), ("mean", values.mean(0)), ("std", values.std(0))):
            assert numpy.allclose(stats[name][key], of, atol=1e-5), (name, key)
    for n, row in enumerate(rows):
        assert row["frame_index"] == row["index"] == n and abs(row["timestamp"] - n / 5) < 1e-5
        assert row["observation.nanos"] == n * 200_000_000
        taken = row["observation.image_nanos"]
        assert taken is None or taken <= row["observation.nanos"]
    for row in rows[10 :: len(rows) // 5]:
        picture = Image.open(io.BytesIO(row["observation.images.screen"]["bytes"]))
        same_picture(truth, 0, row["observation.nanos"], picture)
    typed = "".join(row["action.text"] for row in rows)
    for action in truth["actions"]:
        if action["kind"] == "type" and not action.get("corrections"):
            assert action["text"] in typed, (action["text"], typed)
    # Every click is in the state at one tick at least.
    for action in truth["actions"]:
        if action["kind"] == "click" and action["button"] in (1, 2, 3):
            first = -(-action["start_nanos"] // 200_000_000)
            assert rows[first]["observation.state"][1 + action["button"]] == 1, action
            assert rows[first - 1]["action"][1 + action["button"]] == 1, action
            x = rows[first]["observation.state"][0]
            assert abs(x - action["x_px"] / 1024) < 1e-6
    turned = sum(abs(row["action"][6]) + abs(row["action"][5]) for row in rows)
    expected = sum(abs(action.get("dx_ticks") or 0) + abs(action.get("dy_ticks") or 0) for action in truth["actions"])
    assert turned == expected, (turned, expected)
    tasks = pyarrow.parquet.read_table(home / "meta/tasks.parquet").to_pandas()
    assert list(tasks.index) == ["Twenty kinds"] and list(tasks["task_index"]) == [0]
    printed = rerun_rows(home)
    rows_of = {name: sum(int(n) for n in re.findall(rf"with (\d+) rows .*- {name} -", printed)) for name in ("/observation.images.screen", "/task")}
    assert set(rows_of.values()) == {len(rows)}, rows_of
    assert "EncodedImage" in printed and "Scalars" in printed and "Twenty kinds" in printed, printed[-3000:]


FORMATS = {"owamcap": owamcap, "foxglove": foxglove, "lerobot": lerobot, "mp4": mp4, "anthropic": anthropic, "openai": openai, "osworld": osworld, "jsonl": jsonl, "parquet": parquet, "webdataset": webdataset, "agentnet": agentnet, "csv": csv_, "wav": wav, "vtt": cues, "srt": cues}

if __name__ == "__main__":
    name, folder, truth = sys.argv[1:]
    check_digests(Path(folder))
    FORMATS[name](Path(folder), json.loads(Path(truth).read_text()))

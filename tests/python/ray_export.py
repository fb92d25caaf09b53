"""Exports each bundle by a task of Ray into one folder, as docs/export-formats.md shows it: PRAXIS OUT BUNDLE…"""

import json
import subprocess
import sys
from pathlib import Path

import ray

program, out, *bundles = sys.argv[1:]


@ray.remote(num_cpus=1)
def export(bundle):
    command = [program, "export", bundle, "--format", "jsonl", "--out", out, "--jobs", "1"]
    return subprocess.run(command, stdout=subprocess.DEVNULL).returncode


ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
codes = ray.get([export.remote(bundle) for bundle in bundles])
assert codes == [0] * len(bundles), codes
exported = json.loads((Path(out) / "export.json").read_text())
assert len(exported["sources"]) == len(bundles), exported
files = [file["path"] for source in exported["sources"] for file in source["files"]]
assert all((Path(out) / path).exists() for path in files)
print(f"{len(bundles)} bundles by Ray, {exported['steps']} steps, {len(files)} files")

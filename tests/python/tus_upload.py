"""Uploads a file with the tuspy client, in small chunks with checksums: URL FILE BUNDLE_ID; the token is in PRAXIS_TOKEN."""

import os
import sys

from tusclient import client

url, path, bundle_id = sys.argv[1:]
tus = client.TusClient(url, headers={"Authorization": "Bearer " + os.environ["PRAXIS_TOKEN"]})
uploader = tus.uploader(path, chunk_size=700_000, metadata={"bundle_id": bundle_id}, upload_checksum=True)
uploader.upload()
assert uploader.offset == os.path.getsize(path)

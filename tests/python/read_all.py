"""Reads a bundle with the official mcap package and prints the number of messages per topic as JSON."""

import json
import sys
from collections import Counter

from mcap.reader import make_reader

with open(sys.argv[1], "rb") as stream:
    reader = make_reader(stream, validate_crcs=True)
    summary = reader.get_summary()
    topics = Counter()
    for schema, channel, message in reader.iter_messages():
        topics[channel.topic] += 1
        if channel.message_encoding == "json":
            json.loads(message.data)
    assert summary.statistics.message_count == sum(topics.values())
    assert summary.chunk_indexes, "no chunk index"
    assert any(record.name == "praxis.manifest" for record in reader.iter_metadata())
    assert any(a.name == "praxis.chunk_digests" for a in reader.iter_attachments())
print(json.dumps(topics))

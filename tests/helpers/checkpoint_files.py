"""The file of a model taken apart and put together again by json, struct and hashlib alone."""

import hashlib
import json
import struct

ZEROS = b"0" * 64


def take_apart(content):
    """The header without the metadata, what rnnkit wrote into those, and the tensors' bytes."""
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    return header, json.loads(header.pop("__metadata__")["rnnkit"]), content[8 + length :]


def put_together(header, record, data):
    """The content of a file with the right digest, whatever else is wrong with it."""
    record = {**record, "sha256": ZEROS.decode()}
    text = json.dumps({"__metadata__": {"rnnkit": json.dumps(record)}, **header}).encode()
    content = struct.pack("<Q", len(text)) + text + data
    before, after = content.split(ZEROS)
    return before + hashlib.sha256(content).hexdigest().encode() + after


def edited(content, edit):
    """The content after `edit(header, record)` has changed either, signed again."""
    header, record, data = take_apart(content)
    edit(header, record)
    return put_together(header, record, data)

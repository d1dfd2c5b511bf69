"""Answers cases, one JSON object a line, with the libsodium of the system.

It is called through ctypes: nothing is built, nothing is installed by pip, and no crate of this workspace needs
unsafe code or a C library. What the protocol adds (nonces, padding, flags) is written here anew, from
docs/protocol.md, and shares nothing with the crate.
"""

import ctypes
import ctypes.util
import json
import sys

NAME = ctypes.util.find_library("sodium")
if NAME is None:
    sys.exit("libsodium is missing")
SODIUM = ctypes.CDLL(NAME)
if SODIUM.sodium_init() < 0:
    sys.exit("libsodium does not start")

TAG = 16


def length(data):
    return ctypes.c_ulonglong(len(data))


def public(secret):
    out = ctypes.create_string_buffer(32)
    if SODIUM.crypto_scalarmult_base(out, secret) != 0:
        return None
    return out.raw


def before(theirs, own):
    out = ctypes.create_string_buffer(32)
    if SODIUM.crypto_box_beforenm(out, theirs, own) != 0:
        return None
    return out.raw


def seal(plain, nonce, key):
    out = ctypes.create_string_buffer(len(plain) + TAG)
    SODIUM.crypto_box_easy_afternm(out, plain, length(plain), nonce, key)
    return out.raw


def opened(sealed, nonce, key):
    if len(sealed) < TAG:
        return None
    out = ctypes.create_string_buffer(max(1, len(sealed) - TAG))
    if SODIUM.crypto_box_open_easy_afternm(out, sealed, length(sealed), nonce, key) != 0:
        return None
    return out.raw[: len(sealed) - TAG]


def to_hex(data):
    return None if data is None else data.hex()


def box(case):
    theirs, own, nonce, plain, sealed, altered = (
        bytes.fromhex(case[name]) for name in ("theirs", "own", "nonce", "plain", "sealed", "altered")
    )
    key = before(theirs, own)
    return {
        "public": to_hex(public(own)),
        "before": to_hex(key),
        "sealed": to_hex(seal(plain, nonce, key)),
        "opened": to_hex(opened(sealed, nonce, key)),
        "altered": to_hex(opened(altered, nonce, key)),
    }


def frame(case):
    """A first byte with the number of bytes of the length, and 16 for a text; the length; the random bytes."""
    random, message = case["random"], bytes.fromhex(case["message"])
    header = bytes([16 if case["text"] else 0])
    if random is not None:
        random = bytes.fromhex(random)
        header = bytes([header[0] + 1, len(random)]) + random
    plain = header + message
    nonce = case["counter"].to_bytes(24, "big")
    return {
        "nonce": nonce.hex(),
        "plain": plain.hex(),
        "frame": seal(plain, nonce, bytes.fromhex(case["key"])).hex(),
    }


def strip(case):
    plain = bytes.fromhex(case["plain"])
    if not plain:
        return {"stripped": None}
    count = plain[0] & 15
    if count > 8 or 1 + count > len(plain):
        return {"stripped": None}
    start = 1 + count + int.from_bytes(plain[1 : 1 + count], "big")
    if start > len(plain):
        return {"stripped": None}
    return {"stripped": {"text": bool(plain[0] & 16), "message": plain[start:].hex()}}


def weak(case):
    """Whether a key of small order is refused."""
    return {"refused": before(bytes.fromhex(case["theirs"]), bytes.fromhex(case["own"])) is None}


ANSWERS = {"box": box, "frame": frame, "strip": strip, "weak": weak}

for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps(ANSWERS[request["op"]](request)), flush=False)

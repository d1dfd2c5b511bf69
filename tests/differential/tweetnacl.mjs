// Answers cases, one JSON object a line, with tweetnacl. What the protocol adds to it (nonces, padding, flags) is
// written here anew, from docs/protocol.md, and shares nothing with the crate.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const nacl = createRequire(import.meta.url)("tweetnacl");

const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
const hex = (array) => (array === null ? null : Buffer.from(array).toString("hex"));

// 16 zeros, then the counter in 8 bytes, the highest first.
function nonceOf(counter) {
  const nonce = new Uint8Array(24);
  let rest = BigInt(counter);
  for (let i = 23; i >= 16; i -= 1) {
    nonce[i] = Number(rest % 256n);
    rest /= 256n;
  }
  return nonce;
}

// A first byte: the number of bytes of the length in its lower half, and 16 for a text. Then the length of the random
// bytes, then those, then the message.
function padded(text, random, message) {
  const flag = text ? 16 : 0;
  const header = random === null ? [flag] : [flag + 1, random.length, ...random];
  return Uint8Array.from([...header, ...message]);
}

function stripped(plain) {
  if (plain.length === 0) return null;
  const count = plain[0] % 16;
  if (count > 8 || 1 + count > plain.length) return null;
  let length = 0n;
  for (let i = 1; i <= count; i += 1) length = length * 256n + BigInt(plain[i]);
  const start = 1n + BigInt(count) + length;
  if (start > BigInt(plain.length)) return null;
  return { text: Math.floor(plain[0] / 16) % 2 === 1, message: hex(plain.subarray(Number(start))) };
}

const answers = {
  box({ theirs, own, nonce, plain, sealed, altered }) {
    const [pk, sk, n] = [bytes(theirs), bytes(own), bytes(nonce)];
    return {
      public: hex(nacl.box.keyPair.fromSecretKey(sk).publicKey),
      before: hex(nacl.box.before(pk, sk)),
      sealed: hex(nacl.box(bytes(plain), n, pk, sk)),
      opened: hex(nacl.box.open(bytes(sealed), n, pk, sk)),
      altered: hex(nacl.box.open(bytes(altered), n, pk, sk)),
    };
  },
  frame({ key, counter, text, random, message }) {
    const plain = padded(text, random === null ? null : bytes(random), bytes(message));
    const nonce = nonceOf(counter);
    return { nonce: hex(nonce), plain: hex(plain), frame: hex(nacl.secretbox(plain, nonce, bytes(key))) };
  },
  strip({ plain }) {
    return { stripped: stripped(bytes(plain)) };
  },
  // It knows no keys of small order.
  weak() {
    return { refused: null };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(answers[request.op](request))}\n`);
}

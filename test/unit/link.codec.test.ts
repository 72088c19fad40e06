/**
 * What goes over the link comes out as it went in, and what never went in comes out as an error:
 * frames are cut anywhere, bytes are anything, and nothing is read beyond them.
 */
import { describe, expect, test } from "bun:test";
import { array, assert, integer, property, uint8Array } from "fast-check";
import { ByteReader, ByteWriter, FrameError, textBytesMax } from "../../src/link/bytes.ts";
import { readCommand, writeCommand } from "../../src/link/commands.ts";
import {
  bucketsPerFrameMax,
  readCounts,
  readStreams,
  streamsPerFrameMax,
  writeCounts,
  writeStreams,
} from "../../src/link/counts.ts";
import { FrameReader, FrameWriter, strangerBytesMax } from "../../src/link/frames.ts";
import { readOutcome, writeOutcome } from "../../src/link/outcomes.ts";
import { commandKinds } from "../../src/link/words.ts";
import { commands, counts, outcomes, sentOf, texts } from "../support/linked.ts";
import { seeds } from "../support/random.ts";

const seed = seeds(1)[0] ?? 0;
const drawn = { seed, numRuns: 1_000 };

const written = (write: (to: ByteWriter) => void): Uint8Array => {
  const to = new ByteWriter(16);
  write(to);
  return to.take();
};

/** Reads to the last byte. */
function readAll<T>(bytes: Uint8Array, read: (from: ByteReader) => T): T {
  const from = new ByteReader(bytes);
  const value = read(from);
  from.end();
  return value;
}

/** Reads what may be anything: it is read, or is a `FrameError`. */
function readsOrRefuses(bytes: Uint8Array, read: (from: ByteReader) => unknown): void {
  try {
    read(new ByteReader(bytes));
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
  }
}

describe("over the link", () => {
  test("commands come as they went, but for the code that who decides draws", () => {
    assert(
      property(commands, (command) => {
        const come = readAll(
          written((to) => writeCommand(to, command)),
          readCommand,
        );
        expect(sentOf(come)).toEqual(sentOf(command));
      }),
      drawn,
    );
  });

  test("a checkout's code is drawn once, when somebody looks", () => {
    const checkout = {
      kind: "checkout",
      buyer: { kind: "guest", userId: "ann" },
      item: 1,
      sale: "current",
      key: null,
      expectedPriceCents: null,
      code: "",
    } as const;
    const come = readAll(
      written((to) => writeCommand(to, checkout)),
      readCommand,
    );
    if (come.kind !== "checkout") throw new Error("it is no checkout");
    expect(come.code).toMatch(/^[0-9a-f-]{36}$/);
    expect(come.code).toBe(come.code);
  });

  test("outcomes come as they went", () => {
    assert(
      property(outcomes, ({ kind, outcome }) => {
        const bytes = written((to) => writeOutcome(to, kind, outcome));
        expect(readAll(bytes, (from) => readOutcome(from, kind))).toEqual(outcome);
      }),
      drawn,
    );
  });

  test("what clients have used up comes as it went, and no more than fits", () => {
    assert(
      property(counts, (told) => {
        const bytes = written((to) => writeCounts(to, told));
        expect(readAll(bytes, readCounts)).toEqual(told);
        for (let end = 0; end < bytes.length; end += 7) {
          expect(() => readCounts(new ByteReader(bytes.subarray(0, end)))).toThrow(FrameError);
        }
      }),
      { seed, numRuns: 200 },
    );
    const bucket = { tag: 1, hash: 1, kind: 0, ms: 50 };
    const many = (count: number) => Array.from({ length: count }, () => bucket);
    const told = (buckets: readonly (typeof bucket)[]) =>
      readCounts(new ByteReader(written((to) => writeCounts(to, { buckets, holdings: [] }))));
    expect(told(many(bucketsPerFrameMax)).buckets).toHaveLength(bucketsPerFrameMax);
    expect(() => told(many(bucketsPerFrameMax + 1))).toThrow(FrameError);
    for (const strange of [{ kind: 3 }, { ms: -1 }, { ms: Infinity }]) {
      expect(() => told([{ ...bucket, ...strange }])).toThrow(FrameError);
    }
  });

  test("event streams come as they went, and no more than fit", () => {
    const instance = "01234567-89ab-4def-8000-000000000000";
    const told = (count: number) => ({
      instance,
      networks: Array.from({ length: count }, (_, n) => ({ network: `2001:db8::${n}`, count: n })),
    });
    const sent = (count: number) => written((to) => writeStreams(to, told(count)));
    expect(readAll(sent(3), readStreams)).toEqual(told(3));
    expect(readAll(sent(streamsPerFrameMax), readStreams)).toEqual(told(streamsPerFrameMax));
    expect(() => readAll(sent(streamsPerFrameMax + 1), readStreams)).toThrow(FrameError);
    const bytes = sent(3);
    for (let end = 0; end < bytes.length; end += 1) {
      expect(() => readStreams(new ByteReader(bytes.subarray(0, end)))).toThrow(FrameError);
    }
  });

  test("what is cut short is an error, wherever it is cut", () => {
    assert(
      property(commands, outcomes, (command, { kind, outcome }) => {
        const asked = written((to) => writeCommand(to, command));
        const told = written((to) => writeOutcome(to, kind, outcome));
        for (let end = 0; end < asked.length; end += 1) {
          expect(() => readCommand(new ByteReader(asked.subarray(0, end)))).toThrow(FrameError);
        }
        for (let end = 0; end < told.length; end += 1) {
          expect(() => readOutcome(new ByteReader(told.subarray(0, end)), kind)).toThrow(
            FrameError,
          );
        }
      }),
      { seed, numRuns: 50 },
    );
  });

  test("bytes that are anything are read, or an error", () => {
    assert(
      property(uint8Array({ maxLength: 300 }), (bytes) => {
        readsOrRefuses(bytes, readCommand);
        readsOrRefuses(bytes, readCounts);
        for (const kind of commandKinds) readsOrRefuses(bytes, (from) => readOutcome(from, kind));
      }),
      { seed, numRuns: 3_000 },
    );
  });

  test("and so is a frame of which one byte was changed", () => {
    assert(
      property(commands, integer({ min: 0 }), integer({ min: 1, max: 255 }), (command, at, by) => {
        const bytes = written((to) => writeCommand(to, command));
        const index = at % bytes.length;
        bytes[index] = (bytes[index] ?? 0) ^ by;
        readsOrRefuses(bytes, readCommand);
      }),
      drawn,
    );
  });

  test("a text of any script is what it was, up to its bound", () => {
    assert(
      property(texts, (text) => {
        const bytes = written((to) => to.text(text));
        expect(readAll(bytes, (from) => from.text())).toBe(text);
      }),
      drawn,
    );
    const longest = "x".repeat(textBytesMax);
    expect(
      readAll(
        written((to) => to.text(longest)),
        (from) => from.text(),
      ),
    ).toBe(longest);
    expect(() => written((to) => to.text(`${longest}x`))).toThrow(FrameError);
  });
});

const head = (length: number): Uint8Array => written((to) => to.u32(length));

describe("frames", () => {
  test("come whole and in order, however they are cut on the way", () => {
    const payloads = array(uint8Array({ maxLength: 200 }), { maxLength: 20 });
    assert(
      property(payloads, array(integer({ min: 1, max: 64 }), { minLength: 1 }), (sent, cuts) => {
        const to = new FrameWriter(8);
        const stream = Buffer.concat(
          sent.map((payload, index) => {
            to.begin(index);
            to.bytes(payload);
            return to.end();
          }),
        );
        const come: [number, number[]][] = [];
        const from = new FrameReader((type, payload) => come.push([type, [...payload]]));
        for (let at = 0, i = 0; at < stream.length; i += 1) {
          const length = cuts[i % cuts.length] ?? 1;
          from.take(stream.subarray(at, at + length));
          at += length;
        }
        expect(come).toEqual(sent.map((payload, index) => [index, [...payload]]));
      }),
      drawn,
    );
  });

  test("longer than may be are refused by their first bytes", () => {
    const from = new FrameReader(() => {});
    from.take(Buffer.concat([head(strangerBytesMax), new Uint8Array(strangerBytesMax)]));
    expect(() => from.take(Buffer.concat([head(strangerBytesMax + 1), Buffer.of(1)]))).toThrow(
      FrameError,
    );
    const empty = new FrameReader(() => {});
    expect(() => empty.take(Buffer.concat([head(0), Buffer.of(1)]))).toThrow(FrameError);
  });
});

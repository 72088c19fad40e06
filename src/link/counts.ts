/**
 * What processes tell each other of what their clients use up, a few times a second and through
 * whoever leads: so that limits count over all of them.
 */
import type { Buyer } from "../ledger/buyers.ts";
import { FrameError, type ByteReader, type ByteWriter } from "./bytes.ts";
import { readBuyer, writeBuyer } from "./people.ts";

/** Buckets that are told of at once: those of which most was used. */
export const bucketsPerFrameMax = 2_048;
/** Reservations and what became of them, that are told of at once. */
export const holdingsPerFrameMax = 2_048;

/** Addresses whose streams are told of at once. */
export const streamsPerFrameMax = 2_048;

/** What was used of one bucket of requests, as the time in which it comes back. */
export type UsedBucket = {
  /** Both name whoever is counted: see `Rates`. */
  readonly tag: number;
  readonly hash: number;
  /** Which of their buckets. */
  readonly kind: number;
  readonly ms: number;
};

/** What a client holds that is counted, and what became of a code, counted or not. */
export type Holding =
  | {
      readonly word: "reserved";
      readonly network: string;
      readonly code: string;
      readonly buyer: Buyer;
      readonly saleId: number;
      readonly itemId: number;
      /** ms since the Unix epoch */
      readonly expiresAt: number;
      /** The sale was not named: it is the one that is open on the schedule. */
      readonly isCurrent: boolean;
    }
  | { readonly word: "bought"; readonly code: string }
  | { readonly word: "released"; readonly code: string; readonly at: number }
  | { readonly word: "extended"; readonly code: string; readonly expiresAt: number };

/** Event streams that addresses have open at a process: of some of them, how many there are now. */
export type StreamsTold = {
  readonly instance: string;
  readonly networks: readonly { readonly network: string; readonly count: number }[];
};

export type Counts = {
  readonly buckets: readonly UsedBucket[];
  readonly holdings: readonly Holding[];
  /** Has a frame of its own. */
  readonly streams?: StreamsTold;
};

const bucketBytes = 17;
/** Of a holding: its word and code. */
const holdingBytesMin = 17;
const kindsMax = 3;
/** No bucket takes longer to fill: a million at once, of which one a second comes back. */
const usedMsMax = 1e9;

const words = ["reserved", "bought", "released", "extended"] as const;

export function writeCounts(to: ByteWriter, { buckets, holdings }: Counts): void {
  to.u32(buckets.length);
  for (const { tag, hash, kind, ms } of buckets) {
    to.u32(tag);
    to.u32(hash);
    to.u8(kind);
    to.number(ms);
  }
  to.u32(holdings.length);
  for (const holding of holdings) writeHolding(to, holding);
}

function writeHolding(to: ByteWriter, holding: Holding): void {
  to.u8(words.indexOf(holding.word));
  to.code(holding.code);
  switch (holding.word) {
    case "reserved":
      to.text(holding.network);
      writeBuyer(to, holding.buyer);
      to.number(holding.saleId);
      to.number(holding.itemId);
      to.number(holding.expiresAt);
      to.boolean(holding.isCurrent);
      return;
    case "bought":
      return;
    case "released":
      to.number(holding.at);
      return;
    case "extended":
      to.number(holding.expiresAt);
      return;
    default:
      holding satisfies never;
  }
}

/** @throws FrameError */
export function readCounts(from: ByteReader): Counts {
  const bucketCount = from.count(bucketsPerFrameMax, bucketBytes);
  const buckets = Array.from({ length: bucketCount }, () => readBucket(from));
  const holdingCount = from.count(holdingsPerFrameMax, holdingBytesMin);
  const holdings = Array.from({ length: holdingCount }, () => readHolding(from));
  from.end();
  return { buckets, holdings };
}

/** Of an address: the length of its text, and how many. */
const streamBytesMin = 5;

export function writeStreams(to: ByteWriter, { instance, networks }: StreamsTold): void {
  to.code(instance);
  to.u32(networks.length);
  for (const { network, count } of networks) {
    to.text(network);
    to.u32(count);
  }
}

/** @throws FrameError */
export function readStreams(from: ByteReader): StreamsTold {
  const instance = from.code();
  const count = from.count(streamsPerFrameMax, streamBytesMin);
  const networks = Array.from({ length: count }, () => ({
    network: from.text(),
    count: from.u32(),
  }));
  from.end();
  return { instance, networks };
}

function readBucket(from: ByteReader): UsedBucket {
  const [tag, hash, kind, ms] = [from.u32(), from.u32(), from.u8(), from.number()];
  if (kind >= kindsMax) throw new FrameError(`there is no kind ${kind} of bucket`);
  if (!(ms >= 0 && ms <= usedMsMax)) throw new FrameError(`a bucket is not used by ${ms} ms`);
  return { tag, hash, kind, ms };
}

function readHolding(from: ByteReader): Holding {
  const word = from.oneOf(words);
  const code = from.code();
  switch (word) {
    case "reserved":
      return {
        word,
        code,
        network: from.text(),
        buyer: readBuyer(from),
        saleId: from.whole(1),
        itemId: from.whole(1),
        expiresAt: from.number(),
        isCurrent: from.boolean(),
      };
    case "bought":
      return { word, code };
    case "released":
      return { word, code, at: from.number() };
    case "extended":
      return { word, code, expiresAt: from.number() };
    default:
      return word satisfies never;
  }
}

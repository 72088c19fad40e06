/**
 * How two processes make sure of each other. Each sends a number that was never used, and proves by
 * an HMAC over both numbers and all that was said that it knows the secret, which is in the
 * database: who can read that may be the leader anyhow. Nothing else is read of a stranger.
 *
 * It does not hide what follows: between machines the link belongs into a network of one's own.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { FrameError, type ByteReader, type ByteWriter } from "./bytes.ts";
import { protocolVersion, spokenWith } from "./frames.ts";

const nonceBytes = 32;

/** What a process says of itself. */
export type Introduction = {
  /** Which process it is: an id that it made when it started. */
  readonly instance: string;
  /** The term in which it leads, or the one that it means to find there. */
  readonly epoch: number;
  /** The newest migration that it knows, as drizzle numbers it. */
  readonly schema: number;
};

export type Hello = Introduction & { readonly protocol: number; readonly nonce: Uint8Array };

export const helloOf = (who: Introduction): Hello => ({
  ...who,
  protocol: protocolVersion,
  nonce: crypto.getRandomValues(new Uint8Array(nonceBytes)),
});

export function writeHello(to: ByteWriter, hello: Hello): void {
  to.u16(hello.protocol);
  to.code(hello.instance);
  to.number(hello.epoch);
  to.number(hello.schema);
  to.bytes(hello.nonce);
}

/** @throws FrameError for one of a release too far away, of which nothing else can be told */
export function readHello(from: ByteReader): Hello {
  const protocol = from.u16();
  if (spokenWith(protocol) === null) {
    throw new FrameError(
      `the other process speaks version ${protocol} of the link, this one ${protocolVersion}: ` +
        "run the same release, or two that follow each other",
    );
  }
  const [instance, epoch, schema] = [from.code(), from.number(), from.number()];
  const nonce = Uint8Array.from({ length: nonceBytes }, () => from.u8());
  return { protocol, instance, epoch, schema, nonce };
}

export const proofBytes = 32;

/** What shows that one end knows the secret, and has heard what the other said. */
export function proofOf(
  secret: string,
  end: "asks" | "leads",
  asking: Hello,
  leading: Hello,
): Uint8Array {
  const hmac = createHmac("sha256", secret).update(end);
  for (const { protocol, instance, epoch, schema, nonce } of [asking, leading]) {
    hmac.update(`|${protocol}|${instance}|${epoch}|${schema}|`).update(nonce);
  }
  return hmac.digest();
}

/** Reads a proof. @throws FrameError for one that was made without the secret */
export function checkProof(from: ByteReader, expected: Uint8Array): void {
  const given = Uint8Array.from({ length: proofBytes }, () => from.u8());
  if (!timingSafeEqual(given, expected)) throw new FrameError("a stranger, without the secret");
}

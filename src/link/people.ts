/** Buyers, and those who administer, as they go over the link. */
import type { Buyer } from "../ledger/buyers.ts";
import type { Actor } from "../ledger/commands.ts";
import type { ByteReader, ByteWriter } from "./bytes.ts";
import { actorKinds, actorNumbers, buyerKinds, buyerNumbers } from "./words.ts";

export function writeBuyer(to: ByteWriter, { kind, userId }: Buyer): void {
  to.u8(buyerNumbers[kind]);
  to.text(userId);
}

export const readBuyer = (from: ByteReader): Buyer => ({
  kind: from.oneOf(buyerKinds),
  userId: from.text(),
});

export function writeActor(to: ByteWriter, { kind, name }: Actor): void {
  to.u8(actorNumbers[kind]);
  to.text(name);
}

export const readActor = (from: ByteReader): Actor => ({
  kind: from.oneOf(actorKinds),
  name: from.text(),
});

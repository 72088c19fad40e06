/**
 * Seals what has to be stored and read again: AES-256-GCM, bound to whose it is, so that put into
 * another row it opens nothing. The key is kept beside the records: sealing helps against a copy of a
 * table or a line of a log, and not against whoever has the database.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";

const cipher = "aes-256-gcm";
const ivBytes = 12;
const tagBytes = 16;

export class Seals {
  readonly #key: Uint8Array;

  /**
   * @param secret 32 bytes or more
   * @param purpose what is sealed for one opens nothing for another
   */
  constructor(secret: string, purpose: string) {
    this.#key = new Uint8Array(hkdfSync("sha256", secret, "", purpose, 32));
  }

  /** @param owner whose it is, such as `user 7` */
  seal(text: string, owner: string): string {
    const iv = crypto.getRandomValues(new Uint8Array(ivBytes));
    const sealing = createCipheriv(cipher, this.#key, iv).setAAD(Buffer.from(owner));
    const sealed = [iv, sealing.update(text, "utf8"), sealing.final(), sealing.getAuthTag()];
    return Buffer.concat(sealed).toString("base64url");
  }

  /** @throws when it was not sealed by this key for this owner */
  open(sealed: string, owner: string): string {
    const bytes = Buffer.from(sealed, "base64url");
    const opening = createDecipheriv(cipher, this.#key, bytes.subarray(0, ivBytes), {
      authTagLength: tagBytes,
    });
    opening.setAAD(Buffer.from(owner)).setAuthTag(bytes.subarray(-tagBytes));
    const text = opening.update(bytes.subarray(ivBytes, -tagBytes));
    return Buffer.concat([text, opening.final()]).toString("utf8");
  }
}

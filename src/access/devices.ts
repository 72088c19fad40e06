/**
 * Browsers in which an account has logged in before. Each has a cookie that says so, signed: whoever
 * shows it is not locked out by what strangers try (OWASP calls it a device cookie). It opens nothing:
 * the password is needed all the same, and it is counted how often one is tried with it.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { sameName } from "../store/users.ts";

export const deviceLifeMs = 180 * 86_400_000;
const deviceText = /^([A-Za-z0-9_-]{22})\.(\d{13})\.([A-Za-z0-9_-]{43})$/;

export class Devices {
  readonly #secret: string;

  constructor(secret: string) {
    this.#secret = secret;
  }

  /** The cookie of a new device of an account. @param now ms since the Unix epoch */
  issue(username: string, now: number): string {
    const random = crypto.getRandomValues(new Uint8Array(16));
    const device = Buffer.from(random).toString("base64url");
    const expiresAt = String(now + deviceLifeMs);
    return `${device}.${expiresAt}.${this.#sign(username, device, expiresAt).toString("base64url")}`;
  }

  /** The device of a cookie; null when it is not one of this account's. */
  of(username: string, cookie: string | null, now: number): string | null {
    const [, device = "", expiresAt = "", signature = ""] = deviceText.exec(cookie ?? "") ?? [];
    if (device === "" || Number(expiresAt) <= now) return null;
    const expected = this.#sign(username, device, expiresAt);
    return timingSafeEqual(Buffer.from(signature, "base64url"), expected) ? device : null;
  }

  #sign(username: string, device: string, expiresAt: string): Buffer {
    const said = JSON.stringify(["device", sameName(username), device, expiresAt]);
    return createHmac("sha256", this.#secret).update(said).digest();
  }
}

/** Codes of a second factor, by the vectors of RFC 6238; recovery codes; and how a secret is sealed. */
import { describe, expect, test } from "bun:test";
import {
  factorUri,
  FactorSeals,
  newFactorSecret,
  newRecoveryCodes,
  readCode,
  stepOf,
} from "../../src/access/otp.ts";
import { codeOf } from "../support/authenticator.ts";

/** "12345678901234567890" in base32. */
const rfcSecret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

describe("a code", () => {
  /** Appendix B, the last six of the eight digits. */
  const vectors = [
    [59, "287082"],
    [1_111_111_109, "081804"],
    [1_111_111_111, "050471"],
    [1_234_567_890, "005924"],
    [2_000_000_000, "279037"],
    [20_000_000_000, "353130"],
  ] as const;

  test.each(vectors)("of the RFC at %i s is %s", (seconds, code) => {
    expect(stepOf(rfcSecret, code, seconds * 1000)).toBe(Math.floor(seconds / 30));
    expect(codeOf(rfcSecret, seconds * 1000)).toBe(code);
  });

  test("is good a step before and after, and says which step it is of", () => {
    const secret = newFactorSecret();
    const now = Date.parse("2026-06-01T12:00:15Z");
    const step = now / 30_000 - 0.5;
    const found = [-2, -1, 0, 1, 2].map((steps) =>
      stepOf(secret, codeOf(secret, now + steps * 30_000), now),
    );
    expect(found).toEqual([null, step - 1, step, step + 1, null]);
    expect(["", "12345", "abcdef", "1234567"].map((code) => stepOf(secret, code, now))).toEqual([
      null,
      null,
      null,
      null,
    ]);
  });

  test("is read as people type it, and nothing else is one", () => {
    expect(readCode(" 123 456 ")).toEqual({ digits: "123456" });
    const recovery = readCode("ABCD-EFGH-IJKL-M234");
    expect(recovery).toEqual({ recoveryHash: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(readCode("abcd efgh ijkl m234")).toEqual(recovery);
    for (const typed of [
      "",
      "12345",
      "ABCD-EFGH-IJKL-M23",
      "ABCD-EFGH-IJKL-M018",
      "１２３４５６",
    ]) {
      expect(readCode(typed)).toBeNull();
    }
  });

  test("is made by an app from the address in the QR code", () => {
    const secret = newFactorSecret();
    const { protocol, host, pathname, searchParams } = new URL(
      factorUri(secret, "anna.b", "Paper: animals"),
    );
    expect([protocol, host, decodeURIComponent(pathname)]).toEqual([
      "otpauth:",
      "totp",
      "/Paper animals:anna.b",
    ]);
    expect(searchParams.get("issuer")).toBe("Paper animals");
    expect(searchParams.get("secret")).toBe(secret);
    expect(secret).toMatch(/^[A-Z2-7]{32}$/);
  });
});

test("recovery codes are ten, all different, and stored as what they are read as", () => {
  const { codes, hashes } = newRecoveryCodes();
  expect(new Set(codes).size).toBe(10);
  expect(codes.map(readCode)).toEqual(hashes.map((recoveryHash) => ({ recoveryHash })));
  expect(codes.join()).not.toContain(hashes[0] ?? "");
});

describe("a sealed secret", () => {
  const seals = new FactorSeals("a secret of thirty-two bytes or so");

  test("is opened for its user by its key, and is never sealed the same", () => {
    const sealed = seals.seal(rfcSecret, 7);
    expect(sealed).not.toContain(rfcSecret);
    expect(seals.seal(rfcSecret, 7)).not.toBe(sealed);
    expect(seals.open(sealed, 7)).toBe(rfcSecret);
    expect(() => seals.open(sealed, 8)).toThrow();
    expect(() => new FactorSeals("another secret of the same length").open(sealed, 7)).toThrow();
    const other = sealed.startsWith("A") ? "B" : "A";
    expect(() => seals.open(other + sealed.slice(1), 7)).toThrow();
    expect(() => seals.open("", 7)).toThrow();
  });
});

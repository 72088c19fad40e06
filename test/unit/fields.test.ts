/** The fields of bodies at their bounds: a time must be one that can be stored and told again. */
import { describe, expect, test } from "bun:test";
import { instant, time } from "../../src/http/fields.ts";

const read = (text: unknown): number | null => instant.safeParse(text).data ?? null;

describe("a time of a body", () => {
  test.each([
    ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"],
    ["1970-01-01T01:00:00+01:00", "1970-01-01T00:00:00.000Z"],
    ["1969-12-31T23:30:00-00:30", "1970-01-01T00:00:00.000Z"],
    ["2030-01-31T12:00:00.123+05:30", "2030-01-31T06:30:00.123Z"],
    ["9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"],
    ["9999-12-31T23:59:59.999+00:01", "9999-12-31T23:58:59.999Z"],
    ["9999-12-31T22:59:59.999-01:00", "9999-12-31T23:59:59.999Z"],
  ])("%s is %s", (text, told) => {
    expect(time(read(text) ?? Number.NaN)).toBe(told);
  });

  test.each([
    // Of which the offset makes another year.
    "9999-12-31T23:59:59-23:59",
    "9999-12-31T23:59:59.999-00:01",
    "9999-12-31T23:00:00-01:00",
    "1970-01-01T00:00:00+00:01",
    "1970-01-01T00:59:59.999+01:00",
    "1969-12-31T23:59:59.999Z",
    "0001-01-01T00:00:00Z",
    "+010000-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z",
    // Which is no time at all.
    "2030-02-30T00:00:00Z",
    "2030-01-01T24:00:01Z",
    "2030-01-01T12:00:00",
    "2030-01-01",
    "now",
    "NaN",
    "",
    0,
    Number.NaN,
    null,
  ])("%p is none", (text) => {
    expect(read(text)).toBeNull();
  });
});

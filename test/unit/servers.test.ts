/** A `DATABASE_URL` with one server or several, and which of them is the primary. */
import { describe, expect, test } from "bun:test";
import { placeOf, primaryAmong, serversOf, type Found } from "../../src/postgres/servers.ts";

const found = (host: string, timeline = 1): Promise<Found> =>
  Promise.resolve({ host, port: 1, timeline });
const none = (reason: string): Promise<Found> => Promise.reject(new Error(reason));
const silent = new Promise<Found>(() => {});

describe("a URL", () => {
  test.each([
    ["postgres://u:p@one/db", ["postgres://u:p@one/db"], false],
    ["postgres://u:p@one,two/db", ["postgres://u:p@one/db", "postgres://u:p@two/db"], true],
    [
      "postgresql://u:p%40@one:1,[::1]:2/db?sslmode=require&target_session_attrs=primary",
      [
        "postgresql://u:p%40@one:1/db?sslmode=require",
        "postgresql://u:p%40@[::1]:2/db?sslmode=require",
      ],
      true,
    ],
    ["postgres://one/db?target_session_attrs=read-write", ["postgres://one/db"], true],
    ["postgres://one/db?target_session_attrs=any", ["postgres://one/db"], false],
  ])("%s", (url, urls, isSearched) => {
    expect(serversOf(url)).toEqual({ urls, isSearched });
  });

  test.each([
    "localhost",
    "mysql://one/db",
    "postgres://u:p@one,/db",
    "postgres://u:p@one:1,two:99999/db",
    "postgres://u:p%zz@one,two/db",
    "postgres://one,two/db?target_session_attrs=standby",
    "postgres://one/db?target_session_attrs=prefer-standby",
    "postgres://one/db?target_session_attrs=read-write&target_session_attrs=read-only",
  ])("%s will not do", (url) => {
    expect(serversOf(url)).toBeNull();
  });

  test("says where its server listens", () => {
    expect(placeOf("postgres://u:p@one/db")).toEqual({ host: "one", port: 5432 });
    expect(placeOf("postgres://[::1]:7/db")).toEqual({ host: "::1", port: 7 });
  });
});

describe("the primary", () => {
  test("is the one that says so", async () => {
    expect(await primaryAmong([none("a replica"), found("two")])).toEqual({ host: "two", port: 1 });
  });

  test("of two is the one that was made last, whichever answers first", async () => {
    const past = found("past", 4);
    expect(await primaryAmong([past, found("present", 10)])).toMatchObject({ host: "present" });
    expect(await primaryAmong([found("present", 10), past])).toMatchObject({ host: "present" });
  });

  test("is not kept waiting by one that says nothing", async () => {
    expect(await primaryAmong([silent, found("two")])).toMatchObject({ host: "two" });
  });

  test("is missing, for reasons in their order", async () => {
    const asked = primaryAmong([none("a replica"), none("refused")]);
    const reasons = await asked.catch((error: unknown) => (error as AggregateError).errors);
    expect(reasons).toEqual([new Error("a replica"), new Error("refused")]);
  });
});

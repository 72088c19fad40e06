/** What reads may take beside buyers: when they wait, in what order, and how many may. */
import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import { OverloadedError } from "../../src/engine/writer.ts";
import {
  nobodyBuys,
  Reads,
  readsMax,
  restMsMin,
  waitMsMax,
  type Lane,
  type ReadCost,
} from "../../src/http/reads.ts";
import { upTo } from "../support/wait.ts";

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

const ok = (): Response => new Response();
const request = new Request("http://localhost/");

/** Reads of a process through which somebody buys all the time, or through another, or nobody. */
function readsBeside(buyers: "buyers" | "buyers elsewhere" | "nobody") {
  let attempts = 0;
  const buying = (): number => (attempts += 1);
  const here = buyers === "buyers" ? buying : nobodyBuys.here;
  const anywhere = buyers === "nobody" ? nobodyBuys.anywhere : buying;
  const reads = new Reads({ here, anywhere });
  // What nobody has asked for yet counts as news.
  jest.advanceTimersByTime(1_000);
  const answered: number[] = [];
  const ask = (number: number, cost?: ReadCost): void => {
    void reads.answer(request, cost, () => {
      answered.push(number);
      return ok();
    });
  };
  return { reads, ask, answered };
}

describe("beside buyers", () => {
  test("a few are answered at once, and more as time goes by, in their order", () => {
    const { ask, answered } = readsBeside("buyers");
    for (const number of upTo(2_000)) ask(number);
    const atOnce = answered.length;
    expect(atOnce).toBeGreaterThan(10);
    expect(atOnce).toBeLessThan(500);
    jest.advanceTimersByTime(20);
    expect(answered.length).toBeGreaterThan(atOnce);
    jest.advanceTimersByTime(60_000);
    expect(answered).toEqual(upTo(2_000));
  });

  test("large ones are fewer", () => {
    const small = readsBeside("buyers");
    const large = readsBeside("buyers");
    for (const number of upTo(400)) {
      small.ask(number);
      large.ask(number, "large");
    }
    expect(large.answered.length * 4).toBeLessThan(small.answered.length);
  });

  test("after a long list others wait for as much longer", () => {
    const { reads, ask, answered } = readsBeside("buyers");
    ask(1);
    reads.listed(10_000);
    ask(2);
    jest.advanceTimersByTime(80);
    expect(answered).toEqual([1]);
    jest.advanceTimersByTime(200);
    expect(answered).toEqual([1, 2]);
  });

  test("who waits for long is told, and whoever comes then is not", async () => {
    const { reads } = readsBeside("buyers");
    const refused = { small: 0, large: 0, records: 0 };
    for (const kind of ["small", "large", "records"] as const) {
      for (const _ of upTo(readsMax[kind])) {
        const cost = kind === "small" ? undefined : kind;
        void Promise.resolve(reads.answer(request, cost, ok)).catch((error: unknown) => {
          expect(error).toBeInstanceOf(OverloadedError);
          refused[kind] += 1;
        });
      }
    }
    jest.advanceTimersByTime(waitMsMax);
    await Promise.resolve();
    expect(refused).toEqual({ small: 0, large: 0, records: 0 });
    jest.advanceTimersByTime(100);
    const next = reads.answer(request, undefined, ok);
    jest.advanceTimersByTime(waitMsMax);
    expect(await next).toBeInstanceOf(Response);
    expect(refused).toMatchObject({ small: 0, large: 0 });
    expect(refused.records).toBeGreaterThan(0);
  });

  test.each(["buyers", "buyers elsewhere"] as const)("costly ones rest: %s", async (buyers) => {
    const { reads } = readsBeside(buyers);
    const made: number[] = [];
    const first = Promise.withResolvers<Response>();
    const answers = upTo(3).map((number) =>
      reads.answer(request, "costly", () => {
        made.push(number);
        return number === 1 ? first.promise : ok();
      }),
    );
    await Promise.resolve();
    await Promise.resolve();
    expect(made).toEqual([1]);
    first.resolve(ok());
    await answers[0];
    expect(made).toEqual([1]);
    jest.advanceTimersByTime(restMsMin);
    await answers[1];
    expect(made).toEqual([1, 2]);
  });
});

test("nothing costly is made for who has gone", async () => {
  const { reads } = readsBeside("nobody");
  const gone = new AbortController();
  const first = Promise.withResolvers<Response>();
  const before = reads.answer(request, "costly", () => first.promise);
  let made = 0;
  const leaving = new Request(request, { signal: gone.signal });
  const answer = reads.answer(leaving, "costly", () => {
    made += 1;
    return ok();
  });
  gone.abort();
  first.resolve(ok());
  await before;
  expect(answer).rejects.toBeInstanceOf(OverloadedError);
  expect(await reads.answer(request, "costly", ok)).toBeInstanceOf(Response);
  expect(made).toBe(0);
});

test("whoever administers waits for one stranger's costly read at most, and has places of their own", async () => {
  const { reads } = readsBeside("nobody");
  const made: string[] = [];
  const pending: PromiseWithResolvers<Response>[] = [];
  const ask = (name: string, lane: Lane) =>
    reads.answer(
      request,
      "costly",
      () => {
        made.push(name);
        const answer = Promise.withResolvers<Response>();
        pending.push(answer);
        return answer.promise;
      },
      lane,
    );
  const asked = upTo(readsMax.costly).map((n) => ask(`stranger ${n}`, "anybody"));
  expect(() => ask("one too many", "anybody")).toThrow(OverloadedError);
  asked.push(...upTo(3).map((n) => ask(`boss ${n}`, "administrators")));
  for (const n of upTo(asked.length)) {
    // oxlint-disable-next-line no-await-in-loop
    while (made.length < n) await Promise.resolve();
    pending.shift()?.resolve(ok());
  }
  await Promise.all(asked);
  expect(made.slice(0, 7)).toEqual([
    "stranger 1",
    "boss 1",
    "stranger 2",
    "boss 2",
    "stranger 3",
    "boss 3",
    "stranger 4",
  ]);
  expect(made).toHaveLength(readsMax.costly + 3);
});

test.each(["nobody", "buyers elsewhere"] as const)("beside %s nothing waits", (buyers) => {
  const { ask, answered } = readsBeside(buyers);
  for (const number of upTo(2_000)) ask(number);
  expect(answered).toEqual(upTo(2_000));
});

describe("of each kind there is a bound", () => {
  test.each(["small", "large", "records", "costly"] as const)("%s", async (kind) => {
    const { reads } = readsBeside("nobody");
    const cost = kind === "small" ? undefined : kind;
    const pending = Promise.withResolvers<Response>();
    const asked = upTo(readsMax[kind]).map(() =>
      reads.answer(request, cost, () => pending.promise),
    );
    expect(() => reads.answer(request, cost, ok)).toThrow(OverloadedError);
    // Others are not concerned.
    expect(reads.answer(request, kind === "small" ? "large" : undefined, ok)).toBeInstanceOf(
      Response,
    );
    pending.resolve(ok());
    await Promise.all(asked);
    expect(await reads.answer(request, cost, ok)).toBeInstanceOf(Response);
  });

  test("one that fails makes room", () => {
    const { reads } = readsBeside("nobody");
    for (const _ of upTo(readsMax.large + 1)) {
      expect(() =>
        reads.answer(request, "large", () => {
          throw new Error("broken");
        }),
      ).toThrow("broken");
    }
  });
});

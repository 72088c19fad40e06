/** Releases of the program that follow each other, at the two ends of the link: they work together. */
import { describe, expect, test } from "bun:test";
import { addressText } from "../../src/link/address.ts";
import { ByteReader } from "../../src/link/bytes.ts";
import { readChange, writeChange } from "../../src/link/changes.ts";
import { FrameReader, FrameWriter, frameTypes, protocolVersion } from "../../src/link/frames.ts";
import { helloOf, proofOf, readHello, writeHello } from "../../src/link/handshake.ts";
import { readAnswers, writeAnswers, writeAsked } from "../../src/link/messages.ts";
import { until } from "../support/wait.ts";
import {
  asking,
  claim,
  counted,
  dialled,
  epoch,
  intruder,
  newEars,
  newLeader,
  newProcess,
  rawTo,
  schema,
  secret,
} from "../support/link-ends.ts";

/** One that leads, and speaks some version; what it was sent once it was found. */
function leaderOf(protocol: number) {
  const instance = crypto.randomUUID();
  const types: number[] = [];
  const leading = { ...helloOf({ instance, epoch, schema }), protocol };
  const listener = Bun.listen<FrameReader>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open: (socket) => {
        const send = (type: number, write: (to: FrameWriter) => void = () => {}): void => {
          const to = new FrameWriter();
          to.begin(type);
          write(to);
          socket.write(to.end());
        };
        socket.data = new FrameReader((type, payload) => {
          types.push(type);
          if (type === frameTypes.proof) send(frameTypes.ready);
          if (type !== frameTypes.hello) return;
          const hello = readHello(new ByteReader(payload));
          send(frameTypes.welcome, (to) => {
            writeHello(to, leading);
            to.bytes(proofOf(secret, "leads", hello, leading));
          });
        });
      },
      data: ({ data }, chunk) => data.take(chunk),
    },
  });
  const link = addressText({ unix: null, hosts: ["127.0.0.1"], port: listener.port });
  return { record: { epoch, url: "", instance, link }, types, end: () => listener.stop(true) };
}

describe("releases that follow each other work together:", () => {
  const before = protocolVersion - 1;
  const after = protocolVersion + 1;

  test.each([
    ["before", before, true],
    ["after", after, true],
  ])(
    "a leader lets in one of the release %s, and says only what it knows",
    async (_, spoken, isTold) => {
      const leader = newLeader();
      const raw = await intruder(leader.link.port, spoken);
      const line = await until("its being let in", () => leader.lines[0]);
      line.counts(counted);
      line.change({ kind: "time", seq: 5, at: 6 });
      await until("the change", () => raw.types.includes(frameTypes.change));
      expect(raw.types.includes(frameTypes.counts)).toBe(isTold);
      raw.send(frameTypes.commands, (to) => writeAsked(to, asking));
      await until("its being asked", () => leader.asked.length === 1);
    },
  );

  test.each([
    ["before", before, true],
    ["after", after, true],
  ])(
    "a leader of the release %s is followed, and asked only what it knows",
    async (_, spoken, isTold) => {
      const leader = leaderOf(spoken);
      const line = await newProcess().link.dial(leader.record, newEars().events);
      line.counts(counted);
      line.ask(asking);
      await until("its being asked", () => leader.types.includes(frameTypes.commands));
      expect(leader.types.includes(frameTypes.counts)).toBe(isTold);
      leader.end();
    },
  );

  test("what one of version 3 does not know of coupons it is not told, or in its own words", () => {
    const coupon = { id: 1, name: "TEN", amount: 2, createdAt: 0, remaining: 1 };
    const life = { startsAt: null, endsAt: null, disabled: true };
    const at = 8;
    const made = { seq: 6, at, word: "coupon_created", coupon } as const;
    const changed = { seq: 7, at, word: "coupon_changed", coupon: { ...coupon, ...life } } as const;
    const removed = { seq: 8, at, word: "coupon_removed", coupon: "TEN" } as const;
    const effects = [made, changed, removed];
    const batch = { kind: "batch", seq: 8, at, firstSeq: 6, attempts: [], effects } as const;
    const refused = { word: "coupon_not_active", coupon, opensAt: null } as const;
    const told = (version: number) => {
      const to = new FrameWriter();
      writeChange(to, batch, version);
      const change = readChange(new ByteReader(to.take()));
      const answers: unknown[] = [];
      writeAnswers(to, [1], [claim], [refused], version);
      readAnswers(new ByteReader(to.take()), (_, answer) => answers.push(answer));
      return { change, answers };
    };
    expect(told(4)).toEqual({ change: batch, answers: [refused] });
    const sold = { word: "coupon_sold_out", coupon };
    expect(told(3)).toEqual({ change: { ...batch, effects: [made] }, answers: [sold] });
  });

  test.each([before - 1, after + 1])("but not with version %i", async (far) => {
    const leader = newLeader();
    const hello = helloOf({ instance: crypto.randomUUID(), epoch, schema });
    const raw = await rawTo(leader.link.port);
    raw.send(frameTypes.hello, (to) => writeHello(to, { ...hello, protocol: far }));
    await raw.closed();
    expect(leader.said.join()).toContain(`version ${far} of the link`);
    const other = leaderOf(far);
    await expect(dialled(other.record)).rejects.toThrow(`version ${far} of the link`);
    other.end();
  });
});

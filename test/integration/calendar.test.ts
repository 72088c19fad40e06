/** A sale as a calendar's event: escaped, folded, in UTC, and the same event however often it is taken. */
import { expect, test } from "bun:test";
import { calendarOf } from "../../src/http/sale/calendar.ts";
import { usePostgres } from "../support/postgres.ts";
import { Clock } from "../support/shop.ts";
import { newProduct, newSale, openStorefront, told } from "../support/storefront.ts";

const postgres = usePostgres();
const minuteMs = 60_000;

const uidOf = (text: string) => /^UID:.*$/m.exec(text)?.[0];

const sale = {
  id: 7,
  title: "Owls, foxes; and\\or\nbears",
  kind: "product",
  starts_at: "2030-01-31T12:00:00.000Z",
  ends_at: "2030-01-31T13:30:00.500Z",
  stock: 20,
  per_user_limit: 2,
} as const;

test("what would be structure is escaped, and times are in UTC", () => {
  const lines = calendarOf(sale, "https://shop.test:8443", 0).split("\r\n");
  expect(lines).toContain("SUMMARY:Owls\\, foxes\\; and\\\\or\\nbears");
  expect(lines).toContain("DTSTART:20300131T120000Z");
  expect(lines).toContain("DTEND:20300131T133000Z");
  expect(lines).toContain("DTSTAMP:19700101T000000Z");
  expect(lines).toContain("UID:sale-7@shop.test:8443");
  expect(lines).toContain("URL:https://shop.test:8443/shop");
  expect(lines.at(-1)).toBe("");
});

test("no line has more than 75 octets, no character is cut, and unfolded it is what it was", () => {
  const title = "Zwölf Füchse 🦊 und ein sehr langer Name, ".repeat(6);
  const text = calendarOf({ ...sale, title }, "http://shop.test", 0);
  for (const line of text.split("\r\n")) {
    expect(Buffer.byteLength(line)).toBeLessThanOrEqual(75);
    expect(line.isWellFormed()).toBe(true);
  }
  const whole = text.replaceAll("\r\n ", "");
  expect(whole).toContain(`SUMMARY:${title.replaceAll(",", "\\,")}\r\n`);
});

test("it is served as a calendar, with the same UID after a change, and 404 without the sale", async () => {
  const clock = new Clock(Math.floor(Date.now() / 3_600_000) * 3_600_000 + 20 * minuteMs);
  const front = await openStorefront(await postgres.newRecords(), clock);
  const admin = await front.person("boss", "admin");
  const product = await newProduct(admin, "Lamp");
  const { id } = await newSale(admin, {
    startsAt: clock.now + minuteMs,
    endsAt: clock.now + 2 * minuteMs,
    items: [{ product, stock: 3 }],
  });
  const ask = () => front.client.ask("GET", `/sales/${id}/calendar.ics`);
  const first = await ask();
  expect(first.headers.get("Content-Type")).toBe("text/calendar; charset=utf-8");
  expect(first.text).toContain("SUMMARY:A sale\r\n");
  await admin.ask("PATCH", `/api/admin/flash-sales/${id}`, { title: "Another" });
  clock.now += 1_000;
  const second = await ask();
  expect(second.text).toContain("SUMMARY:Another\r\n");
  expect(uidOf(second.text)).toBe(uidOf(first.text));
  const overTls = await front.client.ask("GET", `/sales/${id}/calendar.ics`, {
    headers: { "X-Forwarded-Proto": "HTTPS, http" },
  });
  expect(overTls.text).toMatch(/^URL:https:/m);
  expect(uidOf(overTls.text)).toBe(uidOf(first.text));
  expect(told(await front.client.ask("GET", "/sales/999999/calendar.ics"))).toBe(
    "404 sale_not_found",
  );
});

/**
 * The house's own: name, currency, language of figures, accent and logo. What the environment says, what
 * administrators set instead, and that every process and every page has it.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { accentOf } from "../../src/art/accent.ts";
import { Client } from "../support/client.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { newKey, newPerson, Person, read, told } from "../support/storefront.ts";
import { jwtSecret } from "../support/shop.ts";
import { inTurn, until } from "../support/wait.ts";

const postgres = usePostgres();
const path = "/api/admin/settings";

let servers: readonly TestServer[];
let admin: Person;
let ann: Person;
let nobody: Person;

beforeAll(async () => {
  const url = await postgres.newRecords();
  const environment = {
    DATABASE_URL: url,
    JWT_SECRET: jwtSecret,
    SHOP_NAME: 'Tom & "Jerry" <b>',
    CURRENCY: "JPY",
    LOCALE: "ja-JP",
    SALE_TIMEZONE: "Asia/Tokyo",
  };
  const first = await startServer(environment);
  servers = [first, await startServer(environment)];
  const client = new Client(() => first.url);
  const sql = lookInto(url);
  admin = await newPerson(sql, client, "boss", "admin");
  ann = await newPerson(sql, client, "ann");
  nobody = new Person("nobody", client, null);
});

const settings = z.object({
  name: z.string(),
  currency: z.string(),
  minor_unit_digits: z.int(),
  locale: z.string(),
  accent: z.string().nullable(),
  accents: z.object({ light: z.string(), dark: z.string() }).nullable(),
  logo_url: z.string().nullable(),
  time_zone: z.string(),
  set: z.array(z.string()),
});

const change = (to: object) => admin.ask("PATCH", path, to);

const unescaped = (escaped = "") =>
  escaped.replaceAll("&quot;", '"').replaceAll("&lt;", "<").replaceAll("&amp;", "&");

/** What a page says of its shop. */
async function pageOf(server: TestServer, at = "/shop") {
  const answer = await server.client.get(at);
  const { text } = answer;
  const policy = answer.headers.get("Content-Security-Policy") ?? "";
  const [, style = ""] = /<style>([\s\S]*?)<\/style>/.exec(text) ?? [];
  const digest = new Bun.CryptoHasher("sha256").update(style).digest("base64");
  expect(policy).toContain(`style-src 'sha256-${digest}'`);
  expect(text).not.toMatch(/\{(?:shop|logo|accent|house|origin)\}/);
  return {
    house: JSON.parse(unescaped(/name="shop" content="([^"]*)"/.exec(text)?.[1])) as unknown,
    title: unescaped(/<title>(.*?)<\/title>/.exec(text)?.[1]),
    logo: /class="brand" href="\/"><img src="([^"]*)"/.exec(text)?.[1],
    accent: /:root\{--accent:light-dark\(([^)]*)\)/.exec(style)?.[1] ?? null,
  };
}

describe("the house's own", () => {
  test("is what the environment says, where nobody has set it", async () => {
    expect(read(await admin.get(path), settings)).toEqual({
      name: 'Tom & "Jerry" <b>',
      currency: "JPY",
      minor_unit_digits: 0,
      locale: "ja-JP",
      accent: null,
      accents: null,
      logo_url: null,
      time_zone: "Asia/Tokyo",
      set: [],
    });
    await inTurn(servers, async (server) => {
      expect(await pageOf(server)).toEqual({
        house: {
          name: 'Tom & "Jerry" <b>',
          currency: "JPY",
          digits: 0,
          locale: "ja-JP",
          zone: "Asia/Tokyo",
        },
        title: 'Shop · Tom & "Jerry" <b>',
        logo: "/favicon.svg",
        accent: null,
      });
    });
    const manifest = (await nobody.get("/manifest.webmanifest")).json();
    expect(manifest).toMatchObject({ name: 'Tom & "Jerry" <b>' });
  });

  test("is set by administrators, on every process and every page", async () => {
    const to = { name: "Zoo", currency: "KWD", locale: "de-at", accent: "#FFEE00" };
    const set = read(await change(to), settings);
    expect(set).toMatchObject({
      name: "Zoo",
      currency: "KWD",
      minor_unit_digits: 3,
      locale: "de-AT",
      accent: "#ffee00",
      set: ["name", "currency", "locale", "accent"],
    });
    await inTurn(servers, async (server) => {
      await until("the page's new name", async () => {
        const { title } = await pageOf(server);
        return title === "Shop · Zoo" || undefined;
      });
      const page = await pageOf(server, "/");
      expect(page.house).toMatchObject({ currency: "KWD", digits: 3, locale: "de-AT" });
      expect(page.accent).toBe(`${set.accents?.light},${set.accents?.dark}`);
      const lost = await server.client.ask("GET", "/no/such/page", {
        headers: { Accept: "text/html" },
      });
      expect(lost.text).toContain("· Zoo</title>");
    });
    // One by itself; null is what the environment says.
    expect(read(await change({ name: null }), settings)).toMatchObject({
      name: 'Tom & "Jerry" <b>',
      currency: "KWD",
      set: ["currency", "locale", "accent"],
    });
    const all = { currency: null, locale: null, accent: null };
    expect(read(await change(all), settings)).toMatchObject({ currency: "JPY", set: [] });
  });

  test("is refused where it is none, by the field's name", async () => {
    const wrong: [object, string][] = [
      [{}, "body has nothing that can be changed"],
      [{ name: " " }, "name is blank"],
      [{ name: "x".repeat(61) }, "name has more than 60 characters"],
      [{ currency: "EURO" }, "currency is not a currency"],
      [{ currency: "eur" }, "currency is not a currency"],
      [{ locale: "not a language" }, "locale is not a language"],
      [{ accent: "red" }, "accent is not a colour"],
      [{ accent: "#fff" }, "accent is not a colour"],
      [{ colour: "#ffffff" }, "colour is not a field of this body"],
    ];
    await inTurn(wrong, async ([body, detail]) => {
      const answer = await change(body);
      expect(told(answer)).toBe("400 invalid_request");
      expect(answer.text).toContain(detail);
    });
    expect(read(await admin.get(path), settings).set).toEqual([]);
  });

  test("is for administrators and keys that manage, and noted", async () => {
    expect(told(await nobody.ask("PATCH", path, { name: "x" }))).toBe("401 unauthenticated");
    expect(told(await ann.ask("PATCH", path, { name: "x" }))).toBe("403 forbidden");
    const reader = await newKey(admin, "read");
    expect(told(await nobody.ask("GET", path, undefined, reader))).toBe("200");
    expect(told(await nobody.ask("PATCH", path, { name: "x" }, reader))).toBe("403 forbidden");
    const merchant = await newKey(admin, "manage");
    expect(told(await nobody.ask("PATCH", path, { name: "By key" }, merchant))).toBe("200");
    expect(told(await change({ name: "By key" }))).toBe("200");
    expect(told(await change({ name: null }))).toBe("200");
    const { activity } = z
      .object({ activity: z.array(z.looseObject({ what: z.string() })) })
      .parse((await admin.get("/api/admin/activity?limit=3")).json());
    expect(activity.map(({ what }) => what)).toEqual([
      "settings.changed",
      "settings.changed",
      "key.made",
    ]);
    expect(activity[0]).toMatchObject({
      who: "boss",
      before: { name: "By key" },
      after: { name: null },
    });
  });

  test("has a logo: checked, made anew, and kept for ever under its address", async () => {
    const dot =
      "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    const put = (body: Uint8Array<ArrayBuffer>, type = "image/png") =>
      admin.client.ask("PUT", `${path}/logo`, {
        headers: { ...admin.headers, "Content-Type": type },
        body,
      });
    const png = Uint8Array.fromBase64(dot);
    expect(told(await put(png, "image/jpeg"))).toBe("400 invalid_request");
    expect(told(await put(png.slice(0, 20)))).toBe("400 invalid_request");
    const { logo_url: logo } = read(await put(png), settings);
    expect(logo).toMatch(/^\/api\/logo\?v=[0-9a-f]{64}$/);
    await inTurn(servers, async (server) => {
      await until("the page's logo", async () => (await pageOf(server)).logo === logo || undefined);
      const shown = await server.client.get(logo ?? "");
      expect(shown.status).toBe(200);
      expect(shown.headers.get("Content-Type")).toBe("image/webp");
      expect(shown.headers.get("Cache-Control")).toContain("immutable");
    });
    // What products have is another matter, and the other way round.
    const product = await admin.post("/api/admin/products", { name: "Lamp", price_cents: 1 });
    const { id } = read(product, z.object({ id: z.int() }), 201);
    expect(told(await admin.ask("DELETE", `/api/admin/products/${id}/image`))).toBe("204");
    expect((await nobody.get(logo ?? "")).status).toBe(200);
    expect(told(await admin.ask("DELETE", `${path}/logo`))).toBe("204");
    expect(read(await admin.get(path), settings)).toMatchObject({ logo_url: null, set: [] });
    expect((await nobody.get("/api/logo")).status).toBe(404);
    expect((await pageOf(servers[0] as TestServer)).logo).toBe("/favicon.svg");
  });
});

/** After WCAG 2.2: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio */
function contrast(...colours: [string, string]): number {
  const [dark = 0, light = 0] = colours
    .map((colour) => {
      const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
        const c = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
        return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    })
    .toSorted((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

test("an accent can be read on every ground of both themes, whatever was asked for", () => {
  const colours = ["#000000", "#ffffff", "#ffee00", "#0000ff", "#808080", "#b5321a", "#00ff00"];
  for (const colour of colours) {
    const [light, dark] = [accentOf(colour, "light"), accentOf(colour, "dark")];
    for (const ground of ["#f5eedf", "#fffdf6", "#ebe1cc"]) {
      expect(contrast(light.colour, ground)).toBeGreaterThanOrEqual(4.5);
    }
    for (const ground of ["#131029", "#1e1a3c", "#0e0b20"]) {
      expect(contrast(dark.colour, ground)).toBeGreaterThanOrEqual(4.5);
    }
    expect(contrast(light.colour, light.on)).toBeGreaterThanOrEqual(4.5);
    expect(contrast(dark.colour, dark.on)).toBeGreaterThanOrEqual(4.5);
  }
  // What can be read stays as it is.
  expect(accentOf("#7a1f10", "light").colour).toBe("#7a1f10");
});

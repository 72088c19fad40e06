/**
 * Random requests, as bytes: methods, paths, queries, headers, bodies and framing, of the routes that
 * there are and of none. Drawn from a seed, so that a run can be had again.
 */
import type { Route } from "../../src/http/server.ts";
import type { Random } from "../support/random.ts";

const texts = [
  "",
  "a",
  "0",
  "1",
  "-1",
  "1e9",
  "2147483648",
  "9".repeat(40),
  "any",
  "null",
  "%",
  "%00",
  "%zz",
  "%ff",
  "%e2%80%ae",
  "..",
  "%2e%2e",
  "..\\..\\metrics",
  "<script>",
  "'; drop table users; --",
  "\u00e9",
  "x".repeat(300),
  "00000000-0000-4000-8000-000000000000",
  "__proto__",
];
const bodies = [
  "",
  "{}",
  "[]",
  "null",
  '"text"',
  "{",
  '{"a":1}',
  '{"name":"F","amount":1}',
  '{"name":"\\u0000","amount":1e400}',
  '{"user_id":"u","coupon_name":"F"}',
  '{"username":"fuzz","password":"a good password"}',
  '{"username":{"$ne":null},"password":[]}',
  '{"code":"00000000-0000-4000-8000-000000000000"}',
  '{"flash_sale_id":1,"product_id":1,"quantity":1}',
  '{"__proto__":{"role":"admin"},"constructor":{}}',
  `{"name":"${"x".repeat(500)}","amount":1}`,
  `${"[".repeat(2_000)}${"]".repeat(2_000)}`,
  "\u00ff\u00fe",
];
const headers = [
  "Content-Type: application/json",
  "Content-Type: text/plain",
  "Content-Type: application/json; charset=utf-16",
  "Authorization: Bearer x",
  `Authorization: Bearer sk_${"a".repeat(43)}`,
  "Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIiwiZXhwIjo5OTk5OTk5OTk5fQ.",
  "Authorization: Basic YTpi",
  "Cookie: stampede_token=x; stampede_device=y",
  "Cookie: ;;;=;",
  "Idempotency-Key: k",
  `Idempotency-Key: ${"k".repeat(200)}`,
  "X-Request-Id: id",
  "X-Request-Id: \u00e9",
  "X-Stampede-Forwarded: 1",
  "X-Stampede-Forwarded: e30.AAAA",
  "X-Forwarded-For: not an address, 1.2.3.4,,",
  "X-Forwarded-Proto: https",
  "X-Forwarded-Host: [",
  "Sec-Fetch-Site: same-origin",
  "Sec-Fetch-Site: cross-site",
  "Origin: null",
  "Origin: http://[",
  "Last-Event-ID: 0-0",
  "If-None-Match: *",
  "Accept-Encoding: gzip;q=0, *",
  "Accept: text/html",
  "Range: bytes=0-",
  "Expect: 100-continue",
  "Upgrade: websocket",
];
const hosts = ["localhost", "[", "a:b", "", "[::1]:99999", "evil.example"];
const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"];
const strays = [
  "/",
  "/nothing",
  "/api/",
  "//evil.example/x",
  "/.env",
  "/api/admin/",
  "/%2e%2e/x",
  "*",
];

/** One request, to the last byte; and whether it is one that never becomes whole. */
export function drawRequest(
  dice: Random,
  routes: readonly Route[],
): { readonly bytes: Uint8Array; readonly isCut: boolean } {
  const route = dice.chance(0.9) ? dice.pick(routes) : undefined;
  const method =
    route !== undefined && dice.chance(0.8)
      ? (dice.pick(Object.keys(route.methods)) ?? "GET")
      : dice.pick(methods);
  const path = route?.path.replaceAll(/:\w+/g, () => pathText(dice)) ?? dice.pick(strays);
  const lines = [
    `${method} ${path}${drawQuery(dice, route, method ?? "GET")} HTTP/${version(dice)}`,
  ];
  if (dice.chance(0.95)) lines.push(`Host: ${dice.chance(0.8) ? "localhost" : dice.pick(hosts)}`);
  for (let i = dice.between(0, 4); i > 0; i -= 1) lines.push(dice.pick(headers) ?? "");
  lines.push("Connection: close");
  const { framing, body, isCut } = drawBody(dice);
  const text = [...lines, ...framing, "", body].join("\r\n");
  return { bytes: Buffer.from(text, "latin1"), isCut };
}

const version = (dice: Random): string => (dice.chance(0.95) ? "1.1" : "1.0");

const pathText = (dice: Random): string =>
  (dice.pick(texts) ?? "").replaceAll(/[\s?#]/g, "") || "1";

function drawQuery(dice: Random, route: Route | undefined, method: string): string {
  const known = Object.keys(route?.methods[method]?.query?.shape ?? {});
  const names = [...known.filter(() => dice.chance(0.7)), ...(dice.chance(0.2) ? ["x", ""] : [])];
  if (names.length === 0) return "";
  const value = (): string => (dice.pick(texts) ?? "").replaceAll(/[\s#]/g, "+");
  return `?${names.map((name) => `${name}=${value()}`).join("&")}`;
}

function drawBody(dice: Random): { framing: string[]; body: string; isCut: boolean } {
  const body = dice.pick(bodies) ?? "";
  switch (dice.between(0, 6)) {
    case 0:
      return { framing: [], body: "", isCut: false };
    case 1:
      return {
        framing: ["Transfer-Encoding: chunked"],
        body: `${body.length.toString(16)}\r\n${body}\r\n${body === "" ? "" : "0\r\n\r\n"}`,
        isCut: body === "",
      };
    case 2: {
      const chunk = `4000\r\n${"a".repeat(0x4000)}\r\n`;
      return { framing: ["Transfer-Encoding: chunked"], body: chunk.repeat(8), isCut: false };
    }
    case 3:
      return { framing: ["Transfer-Encoding: chunked"], body: "zz\r\n", isCut: false };
    case 4:
      return { framing: [`Content-Length: ${body.length + 10}`], body, isCut: true };
    default:
      return { framing: [`Content-Length: ${body.length}`], body, isCut: false };
  }
}

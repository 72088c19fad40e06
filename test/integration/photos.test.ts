/** The pictures that are given of products: what is taken, what is made of it, how it is sent. */
import { beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { Clock } from "../support/shop.ts";
import { usePostgres } from "../support/postgres.ts";
import {
  newKey,
  newProduct,
  openStorefront,
  type Person,
  read,
  told,
} from "../support/storefront.ts";

const postgres = usePostgres();
const mebibyte = 1024 ** 2;

type Bytes = Uint8Array<ArrayBuffer>;

let front: Awaited<ReturnType<typeof openStorefront>>;
let admin: Person;
let product: number;
let pictures: {
  readonly png: Bytes;
  readonly jpeg: Bytes;
  readonly webp: Bytes;
  readonly avif: Bytes;
};

/** Of `square.avif`: its left is red, its right green, and its lower half is nothing. */
const side = 96;

beforeAll(async () => {
  front = await openStorefront(await postgres.newRecords(), new Clock(Date.now()));
  admin = await front.person("boss", "admin");
  product = await newProduct(admin, "Lamp");
  const avif = await Bun.file(new URL("../support/square.avif", import.meta.url)).bytes();
  const path = `/api/admin/products/${product}/image`;
  // What it makes of an AVIF is the first picture of another kind.
  read(await send(path, avif, "image/avif"), z.object({}));
  const webp = await bytesOf(`/api/products/${product}/image`);
  const image = (): Bun.Image => new Bun.Image(webp);
  const png = new Uint8Array(await image().png().bytes());
  pictures = { png, jpeg: new Uint8Array(await image().jpeg().bytes()), webp, avif };
});

async function send(
  path: string,
  body: Bytes | ReadableStream,
  type: string,
  headers = admin.headers,
) {
  const response = await fetch(front.url + path, {
    method: "PUT",
    headers: { ...headers, "Content-Type": type },
    body,
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: (): unknown => JSON.parse(text),
  };
}

const give = (body: Bytes, type: string, headers = admin.headers) =>
  send(`/api/admin/products/${product}/image`, body, type, headers);

const bytesOf = async (path: string): Promise<Bytes> =>
  new Uint8Array(await (await fetch(front.url + path)).bytes());

const imageUrl = async (id = product): Promise<string> =>
  read(await front.client.get(`/api/products/${id}`), z.object({ image_url: z.string() }))
    .image_url;

/** A part of the head of a JPEG, which is no picture. */
function segment(marker: number, text: string): Buffer {
  const head = Buffer.from([0xff, marker, 0, 0]);
  head.writeUInt16BE(text.length + 2, 2);
  return Buffer.concat([head, Buffer.from(text, "latin1")]);
}

async function refusal(body: Bytes, type = "image/png"): Promise<string> {
  const answer = await give(body, type);
  const { code, detail } = z.object({ code: z.string(), detail: z.string() }).parse(answer.json());
  return `${answer.status} ${code}: ${detail}`;
}

const text = (content: string): Bytes => new TextEncoder().encode(content);

describe("a picture", () => {
  test.each(["png", "jpeg", "webp", "avif"] as const)(
    "of type %s is taken, and sent as WebP",
    async (name) => {
      const answer = await give(pictures[name], `image/${name}`);
      const { image_url } = read(answer, z.object({ image_url: z.string() }));
      expect(image_url).toMatch(new RegExp(`^/api/products/${product}/image\\?v=[0-9a-f]{64}$`));
      expect(await imageUrl()).toBe(image_url);
      const shown = await fetch(front.url + image_url);
      expect(shown.headers.get("Content-Type")).toBe("image/webp");
      expect(shown.headers.get("X-Content-Type-Options")).toBe("nosniff");
      const made = new Uint8Array(await shown.bytes());
      expect(new Bun.CryptoHasher("sha256").update(made).digest("hex")).toBe(image_url.slice(-64));
      expect(await new Bun.Image(made).metadata()).toEqual({
        width: side,
        height: side,
        format: "webp",
      });
    },
  );

  test("shows what was given, transparency too", async () => {
    read(await give(pictures.avif, "image/avif"), z.object({}));
    const made = await bytesOf(await imageUrl());
    const image = new Bun.Image(made).resize(2, 2, { filter: "nearest" });
    const small = new Uint8Array(await image.png().bytes());
    const [topLeft, topRight, bottomLeft] = pixelsOf(small);
    expect(topLeft?.[0]).toBeGreaterThan(200);
    expect(topLeft?.[1]).toBeLessThan(60);
    expect(topRight?.[1]).toBeGreaterThan(200);
    expect(topLeft?.[3]).toBe(255);
    expect(bottomLeft?.[3]).toBeLessThan(10);
  });

  test("is made smaller, in its proportions", async () => {
    const large = new Uint8Array(
      await new Bun.Image(pictures.png).resize(2_400, 1_600).png().bytes(),
    );
    read(await give(large, "image/png"), z.object({}));
    const { width, height } = await new Bun.Image(await bytesOf(await imageUrl())).metadata();
    expect([width, height]).toEqual([1_200, 800]);
  });

  test("keeps nothing else that was in the file", async () => {
    const secret = "51.5033N 0.1276W";
    const file = Buffer.concat([
      pictures.jpeg.subarray(0, 2),
      segment(0xe1, `Exif\0\0${secret}`),
      segment(0xe1, `http://ns.adobe.com/xap/1.0/\0${secret}`),
      segment(0xfe, secret),
      pictures.jpeg.subarray(2),
      Buffer.from(secret),
    ]);
    expect(file.includes(secret)).toBe(true);
    read(await give(new Uint8Array(file), "image/jpeg"), z.object({}));
    const made = Buffer.from(await bytesOf(await imageUrl()));
    expect(made.includes(secret)).toBe(false);
    for (const chunk of ["EXIF", "XMP ", "ICCP"]) expect(made.includes(chunk)).toBe(false);
  });

  test("is kept by who has it, by its content", async () => {
    read(await give(pictures.png, "image/png"), z.object({}));
    const url = await imageUrl();
    const lasting = await fetch(front.url + url);
    expect(lasting.headers.get("Cache-Control")).toBe("public, max-age=31536000, immutable");
    const tag = lasting.headers.get("ETag") ?? "";
    const plain = url.replace(/\?.*/, "");
    const passing = await fetch(front.url + plain);
    expect(passing.headers.get("Cache-Control")).toBe("public, max-age=60");
    const again = await fetch(front.url + plain, { headers: { "If-None-Match": tag } });
    expect(again.status).toBe(304);
    read(await give(pictures.jpeg, "image/jpeg"), z.object({}));
    const other = await fetch(front.url + plain, { headers: { "If-None-Match": tag } });
    expect(other.status).toBe(200);
    expect((await fetch(front.url + url)).headers.get("Cache-Control")).toBe("public, max-age=60");
  });

  test("that two products have stays as long as one of them has it", async () => {
    const other = await newProduct(admin, "Other lamp");
    read(await give(pictures.png, "image/png"), z.object({}));
    read(await send(`/api/admin/products/${other}/image`, pictures.png, "image/png"), z.object({}));
    const made = await bytesOf(await imageUrl());
    expect(told(await admin.ask("DELETE", `/api/admin/products/${product}/image`))).toBe("204");
    expect(await bytesOf(await imageUrl(other))).toEqual(made);
    expect(told(await admin.ask("DELETE", `/api/admin/products/${other}/image`))).toBe("204");
    expect((await front.sql`select 1 from pictures`).length).toBe(0);
  });

  test("that is taken away leaves the one that is drawn", async () => {
    expect(told(await admin.ask("DELETE", `/api/admin/products/${product}/image`))).toBe("204");
    const url = await imageUrl();
    expect(url).toBe(`/api/products/${product}/image`);
    const drawn = await front.client.get(url);
    expect(drawn.headers.get("Content-Type")).toBe("image/svg+xml");
    // At this address there is another one as soon as somebody gives it; what is drawn has its own.
    expect(drawn.headers.get("Cache-Control")).toBe("public, max-age=60");
    const always = await front.client.get(`${url}.svg`);
    expect(always.headers.get("Cache-Control")).toBe("public, max-age=86400");
  });
});

describe("what is refused", () => {
  test("what is no picture, or another than it says", async () => {
    expect(await refusal(text("<svg onload='alert(1)'/>"))).toBe(
      "400 invalid_request: body is not image/png",
    );
    expect(await refusal(pictures.jpeg)).toBe("400 invalid_request: body is not image/png");
    expect(await refusal(new Uint8Array(0))).toBe("400 invalid_request: body is not image/png");
    expect(await refusal(text("GIF89a"), "image/gif")).toStartWith("415 unsupported_media_type");
    expect(await refusal(text("<svg/>"), "image/svg+xml")).toStartWith(
      "415 unsupported_media_type",
    );
  });

  test.each(["png", "jpeg", "webp", "avif"] as const)(
    "a %s that is cut off, or broken",
    async (name) => {
      const whole = pictures[name];
      const half = whole.slice(0, whole.length / 2);
      expect(await refusal(half, `image/${name}`)).toStartWith("400 invalid_request: body ");
      const head = whole.slice(0, 40);
      expect(await refusal(head, `image/${name}`)).toStartWith("400 invalid_request: body ");
    },
  );

  test("one that would be too many pixels", async () => {
    const bomb = Buffer.from(pictures.png);
    bomb.writeUInt32BE(30_000, 16);
    bomb.writeUInt32BE(30_000, 20);
    bomb.writeUInt32BE(Bun.hash.crc32(bomb.subarray(12, 29)), 29);
    expect(await refusal(new Uint8Array(bomb))).toBe(
      "400 invalid_request: body has more than 50,000,000 pixels",
    );
    const avif = Buffer.from(pictures.avif);
    const at = avif.indexOf("ispe");
    avif.writeUInt32BE(30_000, at + 8);
    avif.writeUInt32BE(30_000, at + 12);
    expect(await refusal(new Uint8Array(avif), "image/avif")).toBe(
      "400 invalid_request: body has more than 50,000,000 pixels",
    );
  });

  test("more than 5 MiB, however it comes", async () => {
    const large = new Uint8Array(5 * mebibyte + 1);
    expect(await refusal(large)).toBe(
      "413 payload_too_large: This body may have 5,242,880 bytes at most.",
    );
    const chunks = new ReadableStream<Uint8Array>({
      start: (stream) => {
        for (let sent = 0; sent <= 5; sent++) stream.enqueue(new Uint8Array(mebibyte));
        stream.close();
      },
    });
    const answer = await send(`/api/admin/products/${product}/image`, chunks, "image/png");
    expect(answer.status).toBe(413);
    const just = new Uint8Array(5 * mebibyte);
    expect(await refusal(just)).toBe("400 invalid_request: body is not image/png");
  });

  test("who may not, and what is not there", async () => {
    const ann = await front.person("ann");
    expect(told(await give(pictures.png, "image/png", ann.headers))).toBe("403 forbidden");
    expect(told(await give(pictures.png, "image/png", {}))).toBe("401 unauthenticated");
    expect(told(await give(pictures.png, "image/png", await newKey(admin, "read")))).toBe(
      "403 forbidden",
    );
    expect(told(await give(pictures.png, "image/png", await newKey(admin, "manage")))).toBe("200");
    expect(told(await send("/api/admin/products/99/image", pictures.png, "image/png"))).toBe(
      "404 product_not_found",
    );
    const gone = await newProduct(admin, "Gone");
    expect(told(await admin.ask("DELETE", `/api/admin/products/${gone}`))).toBe("204");
    expect(told(await send(`/api/admin/products/${gone}/image`, pictures.png, "image/png"))).toBe(
      "404 product_not_found",
    );
  });
});

/** The pixels of a PNG of four, RGBA each. */
function pixelsOf(png: Bytes): Uint8Array[] {
  const file = Buffer.from(png);
  const parts: Buffer[] = [];
  for (let at = 8; at < file.length; at += 12 + file.readUInt32BE(at)) {
    const isData = file.toString("latin1", at + 4, at + 8) === "IDAT";
    if (isData) parts.push(file.subarray(at + 8, at + 8 + file.readUInt32BE(at)));
  }
  const raw = Bun.inflateSync(Buffer.concat(parts).subarray(2));
  const [first = 0, second = 0] = [raw[0], raw[9]];
  const line = (at: number, before: Uint8Array, filter: number): Uint8Array => {
    const out = new Uint8Array(8);
    for (let i = 0; i < 8; i++) {
      const left = i < 4 ? 0 : (out[i - 4] ?? 0);
      const up = before[i] ?? 0;
      const corner = i < 4 ? 0 : (before[i - 4] ?? 0);
      const guess = left + up - corner;
      const nearest =
        [left, up, corner].toSorted((a, b) => Math.abs(guess - a) - Math.abs(guess - b))[0] ?? 0;
      const added = [0, left, up, (left + up) >> 1, nearest][filter] ?? 0;
      out[i] = (raw[at + i] ?? 0) + added;
    }
    return out;
  };
  const top = line(1, new Uint8Array(8), first);
  const bottom = line(10, top, second);
  return [top.subarray(0, 4), top.subarray(4), bottom.subarray(0, 4), bottom.subarray(4)];
}

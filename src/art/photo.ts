/**
 * Pictures that people give of a product, decoded and made anew: of bounded size, of one format, and
 * without anything but what they show. The bytes come from outside, and decoders have had faults; so
 * this runs in a process of its own (`photo-process.ts`), which has nothing to give away.
 */
import decodeAvif, { init } from "@jsquash/avif/decode.js";
import avifDecoder from "@jsquash/avif/codec/dec/avif_dec.wasm" with { type: "file" };
import { PhotoError, photoTypeOf } from "./photo-process.ts";

/** Its longer side, as it is shown; one that is smaller stays as it is. */
const sidePixelsMax = 1_200;
/** Before that: what a good camera makes. */
export const photoPixelsMax = 50_000_000;
const webpQuality = 82;

/**
 * A picture as WebP, at most `sidePixelsMax` wide and high.
 * @throws PhotoError
 */
export async function madeAnew(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const type = photoTypeOf(bytes);
  if (type === null) throw new PhotoError("is no PNG, JPEG, WebP or AVIF");
  if (type === "image/jpeg" && !isWholeJpeg(bytes)) throw new PhotoError("is cut off");
  try {
    const readable = type === "image/avif" ? await bitmapOfAvif(bytes) : bytes;
    const made = await new Bun.Image(readable, { maxPixels: photoPixelsMax })
      .resize(sidePixelsMax, sidePixelsMax, { fit: "inside", withoutEnlargement: true })
      .webp({ quality: webpQuality })
      .bytes();
    return withoutMetadata(made);
  } catch (error) {
    if (error instanceof PhotoError) throw error;
    const code = error instanceof Error && "code" in error ? error.code : null;
    if (code === "ERR_IMAGE_TOO_MANY_PIXELS") throw tooManyPixels();
    throw new PhotoError("cannot be read; it may be broken or cut off");
  }
}

const tooManyPixels = (): PhotoError =>
  new PhotoError(`has more than ${photoPixelsMax.toLocaleString("en")} pixels`);

/**
 * Whether the scan of a JPEG has an end. Its decoder fills up what is missing with grey; and a
 * preview in its head has an end of its own, so the head is passed over by the lengths of its parts.
 */
function isWholeJpeg(bytes: Uint8Array): boolean {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 2;
  while (at + 4 <= file.length && file[at] === 0xff) {
    const marker = file[at + 1];
    if (marker === 0xda) return file.indexOf("\xff\xd9", at, "latin1") >= 0;
    at += marker === 0xff ? 1 : 2 + file.readUInt16BE(at + 2);
  }
  return false;
}

/** An AVIF as an uncompressed bitmap, which Bun reads on every system. */
async function bitmapOfAvif(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  if (avifPixels(bytes) > photoPixelsMax) throw tooManyPixels();
  await init(await WebAssembly.compile(await Bun.file(avifDecoder).bytes()));
  const image = await decodeAvif(bytes.buffer);
  if (image === null) throw new Error("no image");
  const { data, width, height } = image;
  return bitmap(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), width, height);
}

/** Of its largest image, as its boxes (`ispe`) say; its decoder compares them. */
function avifPixels(bytes: Uint8Array): number {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let pixels = 0;
  for (let at = file.indexOf("ispe"); at >= 0 && at + 16 <= file.length;) {
    pixels = Math.max(pixels, file.readUInt32BE(at + 8) * file.readUInt32BE(at + 12));
    at = file.indexOf("ispe", at + 4);
  }
  return pixels;
}

const bitmapHeadBytes = 14 + 108;

/** RGBA as a BMP with a header of version 4, the first that has transparency. */
function bitmap(rgba: Uint8Array, width: number, height: number): Uint8Array<ArrayBuffer> {
  const file = Buffer.from(new ArrayBuffer(bitmapHeadBytes + rgba.length));
  file.write("BM", 0, "latin1");
  file.writeUInt32LE(file.length, 2);
  file.writeUInt32LE(bitmapHeadBytes, 10);
  file.writeUInt32LE(108, 14);
  file.writeInt32LE(width, 18);
  // Negative: the first line is the upper one.
  file.writeInt32LE(-height, 22);
  file.writeUInt16LE(1, 26);
  file.writeUInt16LE(32, 28);
  const byMasks = 3;
  file.writeUInt32LE(byMasks, 30);
  file.writeUInt32LE(rgba.length, 34);
  for (const [index, mask] of [0xff, 0xff00, 0xff0000, 0xff000000].entries()) {
    file.writeUInt32LE(mask, 54 + 4 * index);
  }
  file.write("BGRs", 70, "latin1");
  file.set(rgba, bitmapHeadBytes);
  return file;
}

/** The chunks of a WebP file that are the picture; a profile of colours would be kept otherwise. */
const webpChunks: ReadonlySet<string> = new Set(["VP8X", "ALPH", "VP8 ", "VP8L"]);
const webpAlpha = 0x10;

function withoutMetadata(webp: Uint8Array): Uint8Array {
  const file = Buffer.from(webp.buffer, webp.byteOffset, webp.length);
  const kept: Buffer[] = [];
  for (let at = 12; at + 8 <= file.length;) {
    const length = file.readUInt32LE(at + 4);
    const end = at + 8 + length + (length % 2);
    const name = file.toString("latin1", at, at + 4);
    const chunk = Buffer.from(file.subarray(at, end));
    if (name === "VP8X") chunk[8] = (chunk[8] ?? 0) & webpAlpha;
    if (webpChunks.has(name)) kept.push(chunk);
    at = end;
  }
  const body = Buffer.concat(kept);
  const head = Buffer.from("RIFF\0\0\0\0WEBP", "latin1");
  head.writeUInt32LE(body.length + 4, 4);
  return Buffer.concat([head, body]);
}

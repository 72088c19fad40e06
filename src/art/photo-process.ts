/**
 * Has a picture that somebody gave made anew by a process of its own: what breaks a decoder, or keeps
 * it busy, ends there. It has no environment, so it knows no secret, and so long and no longer.
 */

/** What is taken, by the word of `Content-Type`. */
export const photoTypes = ["image/png", "image/jpeg", "image/webp", "image/avif"] as const;
type PhotoType = (typeof photoTypes)[number];

/** What is wrong with a picture; the message begins with a verb. */
export class PhotoError extends Error {}

const photoMaxMs = 10_000;
/** Of WebP, for pictures of the size that is made; more is a fault. */
const madeBytesMax = 4 * 1024 ** 2;
/** The exit code that says that the picture is what is wrong; standard error says why. */
const refusedCode = 3;

/**
 * @param command what starts `developPhoto` in a process
 * @throws PhotoError when there is something wrong with the picture
 */
export async function madeAnewApart(
  command: readonly string[],
  photo: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const process = Bun.spawn([...command], {
    stdin: photo,
    stdout: "pipe",
    stderr: "pipe",
    env: {},
    timeout: photoMaxMs,
    killSignal: "SIGKILL",
    maxBuffer: madeBytesMax,
  });
  const { stdout, stderr, exited } = process;
  const answers = [new Response(stdout).bytes(), new Response(stderr).text(), exited] as const;
  const [made, said, code] = await Promise.all(answers);
  if (code === 0 && made.length > 0) return made;
  if (code === refusedCode) throw new PhotoError(said);
  throw new PhotoError("cannot be read: it takes too long, or breaks what reads it");
}

/** What that process does: reads a picture from its input, and writes another. @returns its exit code */
export async function developPhoto(): Promise<number> {
  // Not loaded by those who sell.
  const { madeAnew } = await import("./photo.ts");
  try {
    await Bun.write(Bun.stdout, await madeAnew(await Bun.stdin.bytes()));
    return 0;
  } catch (error) {
    if (!(error instanceof PhotoError)) throw error;
    await Bun.write(Bun.stderr, error.message);
    return refusedCode;
  }
}

/** What bytes are, whatever somebody says of them; null: nothing that is taken. */
export function photoTypeOf(bytes: Uint8Array): PhotoType | null {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 64));
  const has = (at: number, text: string): boolean =>
    head.toString("latin1", at, at + text.length) === text;
  if (has(0, "\x89PNG\r\n\x1a\n")) return "image/png";
  if (has(0, "\xff\xd8\xff")) return "image/jpeg";
  if (has(0, "RIFF") && has(8, "WEBP")) return "image/webp";
  if (has(4, "ftyp") && /^.{8}(?:.{4})*avi[fs]/s.test(head.toString("latin1"))) return "image/avif";
  return null;
}

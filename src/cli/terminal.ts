/** Asks for a password: on a terminal without showing it, else from standard input. */
import type { ReadStream } from "node:tty";

/** The person pressed Ctrl-C or Ctrl-D. */
export class CancelledError extends Error {}

/** More than the longest password has, in whatever characters. */
const inputCharactersMax = 4_096;

/**
 * The password typed twice on a terminal, or the whole of standard input without the end of its
 * last line; null when the two are not the same.
 * @throws CancelledError
 */
export async function readPassword(
  name: string,
  input: ReadStream = process.stdin,
  show: (text: string) => void = (text) => process.stderr.write(text),
): Promise<string | null> {
  if (!input.isTTY) return (await readAll(input)).replace(/\r?\n$/, "");
  const prompts = [`Password for ${name}: `, "The same again: "];
  const [typed, again] = await readHidden(input, prompts, show);
  return typed === undefined || typed !== again ? null : typed;
}

async function readAll(input: ReadStream): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of input) {
    text += decoder.decode(Buffer.from(part), { stream: true });
    if (text.length > inputCharactersMax) break;
  }
  return text + decoder.decode();
}

/** A line for each prompt, from a terminal that shows nothing of them. */
async function readHidden(
  input: ReadStream,
  prompts: readonly string[],
  show: (text: string) => void,
): Promise<string[]> {
  const lines: string[] = [];
  const read = Promise.withResolvers<string[]>();
  const decoder = new TextDecoder();
  let line: string[] = [];
  const type = (character: string): void => {
    if (character === "\x03" || character === "\x04") read.reject(new CancelledError());
    else if (character === "\x7f" || character === "\b") line.pop();
    else if (character === "\x15") line = [];
    else if (character === "\r" || character === "\n") {
      lines.push(line.join(""));
      line = [];
      show("\n");
      const next = prompts[lines.length];
      if (next === undefined) read.resolve(lines);
      else show(next);
    } else if (line.length < inputCharactersMax) line.push(character);
  };
  const take = (bytes: Uint8Array): void => {
    for (const character of decoder.decode(bytes, { stream: true })) type(character);
  };
  // Raw before the first prompt: whoever sees it may type, and nothing of it is shown.
  input.setRawMode(true);
  input.on("data", take);
  show(prompts[0] ?? "");
  try {
    return (await read.promise).slice(0, prompts.length);
  } finally {
    input.off("data", take);
    input.pause();
    input.setRawMode(false);
  }
}

/** What the two ends of a line say, as frames. */
import { FrameError, type ByteReader, type ByteWriter } from "./bytes.ts";
import { readCommand, writeCommand } from "./commands.ts";
import {
  callFailures,
  commandsPerFrameMax,
  undecidedWords,
  type Asked,
  type Reply,
  type Undecided,
} from "./line.ts";
import { inWordsOf, readOutcome, writeOutcome, type LinkedOutcome } from "./outcomes.ts";
import { commandKinds, commandNumbers, type LinkedCommand } from "./words.ts";

const commandBytesMin = 5;

export function writeAsked(to: ByteWriter, asked: Asked): void {
  const { isAgain, sinceSeq, patienceMs, numbers, commands } = asked;
  to.boolean(isAgain);
  to.number(sinceSeq);
  to.number(patienceMs);
  to.u32(commands.length);
  commands.forEach((command, index) => {
    to.u32(numbers[index] ?? 0);
    writeCommand(to, command);
  });
}

/** @throws FrameError */
export function readAsked(from: ByteReader): Asked {
  const isAgain = from.boolean();
  const sinceSeq = from.whole(0);
  const patienceMs = from.number();
  const count = from.count(commandsPerFrameMax, commandBytesMin);
  const numbers: number[] = [];
  const commands: LinkedCommand[] = [];
  for (let i = 0; i < count; i += 1) {
    numbers.push(from.u32());
    commands.push(readCommand(from));
  }
  from.end();
  return { isAgain, sinceSeq, patienceMs, numbers, commands };
}

/** What stands in place of a command's kind, where it was not decided. */
const undecided = 0xff;

/** @param version what is spoken with whoever is answered */
export function writeAnswers(
  to: ByteWriter,
  numbers: readonly number[],
  commands: readonly LinkedCommand[],
  outcomes: readonly (LinkedOutcome | null)[],
  version: number,
): void {
  commands.forEach(({ kind }, index) => {
    const outcome = outcomes[index];
    if (outcome == null) return;
    to.u32(numbers[index] ?? 0);
    to.u8(commandNumbers[kind]);
    writeOutcome(to, kind, inWordsOf(version, outcome));
  });
}

export function writeRefusals(
  to: ByteWriter,
  numbers: readonly number[],
  because: Undecided["word"],
): void {
  for (const number of numbers) {
    to.u32(number);
    to.u8(undecided);
    to.u8(undecidedWords.indexOf(because));
  }
}

/** Reads answers one after another. @throws FrameError */
export function readAnswers(
  from: ByteReader,
  onAnswer: (number: number, answer: LinkedOutcome | Undecided) => void,
): void {
  while (from.left > 0) {
    const number = from.u32();
    const kind = from.u8();
    if (kind === undecided) {
      onAnswer(number, { word: from.oneOf(undecidedWords) });
      continue;
    }
    const known = commandKinds[kind];
    if (known === undefined) throw new FrameError(`there is no kind ${kind} of command`);
    onAnswer(number, readOutcome(from, known));
  }
}

/** Bytes of the body of a call or of its reply, as JSON. */
export const callBytesMax = 1024 * 1024;

const text = new TextEncoder();

function writeJson(to: ByteWriter, body: unknown): void {
  const bytes = text.encode(JSON.stringify(body ?? null));
  if (bytes.length > callBytesMax) throw new FrameError("a call is too long for the link");
  to.bytes(bytes);
}

function readJson(from: ByteReader): unknown {
  if (from.left > callBytesMax) throw new FrameError("a call is too long for the link");
  try {
    return JSON.parse(Buffer.from(from.rest()).toString());
  } catch {
    throw new FrameError("a call is not JSON");
  }
}

export function writeCall(to: ByteWriter, number: number, body: unknown): void {
  to.u32(number);
  writeJson(to, body);
}

export const readCall = (from: ByteReader): { number: number; body: unknown } => ({
  number: from.u32(),
  body: readJson(from),
});

export function writeReply(to: ByteWriter, number: number, reply: Reply): void {
  to.u32(number);
  to.boolean(reply.ok);
  if (reply.ok) writeJson(to, reply.body);
  else to.u8(callFailures.indexOf(reply.word));
}

export function readReply(from: ByteReader): { number: number; reply: Reply } {
  const number = from.u32();
  return {
    number,
    reply: from.boolean()
      ? { ok: true, body: readJson(from) }
      : { ok: false, word: from.oneOf(callFailures) },
  };
}

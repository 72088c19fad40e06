/**
 * Idempotency keys by what somebody means to do: the same intention has the same key, however often
 * its button is pressed and through reloads, until the server has settled it.
 */
import { randomWord, tabStorage } from "../api.ts";
import { Problem } from "../problems.ts";

const keptMax = 50;
const place = "intentions";

function read(): Map<string, string> {
  try {
    const stored: unknown = JSON.parse(tabStorage.get(place) ?? "[]");
    return new Map(Array.isArray(stored) ? stored : []);
  } catch {
    return new Map();
  }
}
const keys = read();
const write = () => tabStorage.set(place, JSON.stringify([...keys].slice(-keptMax)));

/** Does it under its key. The key is kept where no answer says what came of it. */
export async function intend<T>(what: string, does: (key: string) => Promise<T>): Promise<T> {
  const key = keys.get(what) ?? randomWord();
  keys.set(what, key);
  write();
  const settle = () => {
    keys.delete(what);
    write();
  };
  try {
    const done = await does(key);
    settle();
    return done;
  } catch (error) {
    if (!(error instanceof Problem && error.isOpen)) settle();
    throw error;
  }
}

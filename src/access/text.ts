/**
 * What names are made of: user ids, user names and names of coupons. Two that look the same are the
 * same: they are trimmed and composed (NFC), and characters that nobody can see are refused.
 */

export const textCharactersMax = 255;

/**
 * Control characters, zero width space, word joiner, byte order mark, and what turns the direction
 * of writing. Joiners (U+200C, U+200D) are letters to some, and stay.
 */
const unseen = /[\p{Cc}\u200B\u2060\uFEFF\u202A-\u202E\u2066-\u2069]/u;

/** Nearly every name is one already, and told by one look. */
const plain = /^[\x21-\x7e]{1,255}$/;

/** A name as it is stored; or what is wrong with it. */
export function nameOf(given: string): { readonly name: string } | { readonly complaint: string } {
  if (plain.test(given)) return { name: given };
  if (!given.isWellFormed()) return { complaint: "is not well-formed Unicode" };
  if (given.trim() === "") return { complaint: "is blank" };
  // Before it is trimmed: some of these would be taken for blanks.
  if (unseen.test(given)) return { complaint: "contains a control or invisible character" };
  const trimmed = given.trim();
  // Before it is composed: that takes time in proportion to its length.
  if (trimmed.length > 4 * textCharactersMax) return tooLong;
  const name = trimmed.normalize("NFC");
  // A character takes one or two units of length; only between the two must they be counted.
  if (name.length > textCharactersMax) {
    if (name.length > 2 * textCharactersMax || [...name].length > textCharactersMax) return tooLong;
  }
  return { name };
}

const tooLong = { complaint: `has more than ${textCharactersMax} characters` };

/** A user id as it is stored; null for what is none. */
export function userIdOf(given: string): string | null {
  const read = nameOf(given);
  return "name" in read ? read.name : null;
}

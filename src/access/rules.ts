/** What a name and a password may be. A rule returns the complaint, which repeats neither. */

/**
 * Letters of ASCII alone: others hold pairs that look the same to people, and upper and lower
 * cases that PostgreSQL and JavaScript do not agree on.
 */
const username = /^[A-Za-z0-9._-]{3,64}$/;
const passwordCharactersMin = 8;
const passwordCharactersMax = 256;

export const complaintOfUsername = (name: string): string | null =>
  username.test(name)
    ? null
    : "has to be 3 to 64 characters, each of them A-Z, a-z, 0-9, dot, underscore or hyphen";

/**
 * What is the same for two names of one account: names are one when they differ in the case of
 * the letters A to Z alone, for nobody could tell two such people apart. Other letters are as
 * they are: Ä and ä, İ and i, ẞ and ß are two, in every locale. No rule lets such a name be
 * made, but one may be typed at a login, or stored by hand. PostgreSQL says the same by
 * `lower(username collate "C")`.
 */
export const sameName = (name: string): string =>
  name.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());

export function complaintOfPassword(password: string): string | null {
  const characters = [...password].length;
  if (characters < passwordCharactersMin) {
    return `has fewer than ${passwordCharactersMin} characters`;
  }
  if (characters > passwordCharactersMax) {
    return `has more than ${passwordCharactersMax} characters`;
  }
  return password.isWellFormed() ? null : "holds a character that is none";
}

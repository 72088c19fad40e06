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

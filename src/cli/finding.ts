/**
 * What `stampede doctor` finds: `ok`; a `note` of what somebody should know, and may have meant so; or
 * `WRONG`, which is to be mended.
 */
type Verdict = "ok" | "note" | "WRONG";

/** What was found, and what is to be done about it. */
export type Finding = {
  readonly verdict: Verdict;
  readonly what: string;
  readonly found: string;
  readonly todo?: string;
};

export const fine = (what: string, found: string): Finding => ({ verdict: "ok", what, found });
export const note = (what: string, found: string, todo: string): Finding => ({
  verdict: "note",
  what,
  found,
  todo,
});
export const wrong = (what: string, found: string, todo: string): Finding => ({
  verdict: "WRONG",
  what,
  found,
  todo,
});

/** What a program and its fronts say to each other, over a pipe that only the two of them have. */
import type { Database } from "../postgres/client.ts";

/** So often a front says that it is there. */
export const sayEveryMs = 1_000;

/** What a front is not told by the environment. */
export type FrontStart = {
  /** What it is called in the log, in `/ready` and in `/metrics`. */
  readonly name: string;
  /** On which it listens, with the others. */
  readonly port: number;
  readonly database: Pick<Database, "connection" | "reading" | "description">;
};

export type ToFront =
  | ({ readonly kind: "start" } & FrontStart)
  /** It is to tell its own figures. */
  | { readonly kind: "figures"; readonly number: number }
  /** The figures that it has asked for, of every process. */
  | { readonly kind: "all figures"; readonly number: number; readonly texts: readonly string[] }
  | { readonly kind: "stop" };

export type FromFront =
  | { readonly kind: "here" }
  /** It takes requests. */
  | { readonly kind: "listening" }
  | { readonly kind: "figures"; readonly number: number; readonly text: string }
  /** Somebody asks it for the figures of every process. */
  | { readonly kind: "all figures"; readonly number: number };

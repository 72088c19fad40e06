/**
 * The process that leads, as a front has it: what it says, and that it is there. When it ends,
 * however that comes, the kernel ends the front as well, which may be busy or stand still; and the
 * pipe between the two closes.
 */
import { libcCapabilities } from "../postgres/libc.ts";
import { sayEveryMs, type FromFront, type FrontStart, type ToFront } from "./messages.ts";

// The numbers of <sys/prctl.h> and <signal.h>.
const endWithParent = 1;
const kill = 9;

export class Parent {
  readonly #started = Promise.withResolvers<FrontStart>();
  readonly #stops = Promise.withResolvers<"the parent">();
  readonly #gone = Promise.withResolvers<void>();
  readonly #asked = new Map<number, (texts: readonly string[]) => void>();
  #askedCount = 0;
  #own: () => Promise<string> = () => Promise.resolve("");

  private constructor() {
    libcCapabilities().prctl(endWithParent, kill, 0, 0, 0);
    process.on("message", (message: ToFront) => void this.#heard(message));
    process.on("disconnect", () => this.#gone.resolve());
  }

  /** Null for a process that was not started as a front. */
  static connect(): Parent | null {
    return process.send === undefined ? null : new Parent();
  }

  /** Resolves with what the environment does not tell. */
  get started(): Promise<FrontStart> {
    return this.#started.promise;
  }

  /** Resolves when it says that this process is to end. */
  get stops(): Promise<"the parent"> {
    return this.#stops.promise;
  }

  /** Resolves when it is there no more. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  /** @param own tells this process's figures, for those who ask another for all */
  isListening(own: () => Promise<string>): void {
    this.#own = own;
    this.#send({ kind: "listening" });
    setInterval(() => this.#send({ kind: "here" }), sayEveryMs);
  }

  /** The figures of all other processes of the program on this machine. */
  othersFigures(): Promise<readonly string[]> {
    this.#askedCount += 1;
    const number = this.#askedCount;
    const { promise, resolve } = Promise.withResolvers<readonly string[]>();
    this.#asked.set(number, resolve);
    this.#send({ kind: "all figures", number });
    return promise;
  }

  #send(message: FromFront): void {
    process.send?.(message);
  }

  async #heard(message: ToFront): Promise<void> {
    switch (message.kind) {
      case "start":
        return this.#started.resolve(message);
      case "stop":
        return this.#stops.resolve("the parent");
      case "figures": {
        const { number } = message;
        this.#send({ kind: "figures", number, text: await this.#own() });
        return;
      }
      case "all figures": {
        this.#asked.get(message.number)?.(message.texts);
        this.#asked.delete(message.number);
        return;
      }
      default:
        return message satisfies never;
    }
  }
}

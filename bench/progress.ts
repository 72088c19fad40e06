/**
 * Shows on standard error how far a run is: a bar on a terminal, otherwise a line a step.
 * The share of a step is estimated from the seconds it is expected to take.
 */

const redrawMs = 100;
const barCells = 24;
const ceiling = 0.99;

export class Progress {
  readonly #wholeSeconds: number;
  readonly #terminal = process.stderr.isTTY;
  #doneSeconds = 0;
  #step: { readonly label: string; readonly seconds: number; readonly from: number } | null = null;
  #timer: Timer | undefined;

  /** @param wholeSeconds what all steps together are expected to take */
  constructor(wholeSeconds: number) {
    this.#wholeSeconds = wholeSeconds;
  }

  async step<T>(label: string, seconds: number, work: () => Promise<T>): Promise<T> {
    this.#step = { label, seconds, from: performance.now() };
    if (this.#terminal) {
      this.#timer ??= setInterval(() => this.#draw(), redrawMs);
      this.#draw();
    } else {
      process.stderr.write(`${this.#percent()}  ${label}\n`);
    }
    try {
      return await work();
    } finally {
      this.#doneSeconds += seconds;
      this.#step = null;
    }
  }

  /** Takes the bar away, so that something else can be printed. */
  pause(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (this.#terminal) process.stderr.write("\r\x1b[K");
  }

  #draw(): void {
    const full = Math.round(this.#share() * barCells);
    const bar = "█".repeat(full) + "░".repeat(barCells - full);
    const text = `${bar} ${this.#percent()}  ${this.#step?.label ?? ""}`;
    const width = Math.max(1, (process.stderr.columns || 80) - 1);
    process.stderr.write(`\r\x1b[K${text.slice(0, width)}`);
  }

  #share(): number {
    const step = this.#step;
    const inStep =
      step === null ? 0 : Math.min(step.seconds, (performance.now() - step.from) / 1000);
    return Math.min(ceiling, (this.#doneSeconds + inStep) / this.#wholeSeconds);
  }

  #percent(): string {
    return `${Math.floor(this.#share() * 100)}%`.padStart(4);
  }
}

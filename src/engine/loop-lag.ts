/** How late the one thread is: what it is to do at a moment it does when it has done what it is at. */
const tickMs = 100;

export class LoopLag {
  #timer: Timer | null = null;
  #dueAt = 0;
  #longestMs = 0;

  start(): void {
    this.#dueAt = performance.now() + tickMs;
    this.#timer = setInterval(() => {
      const now = performance.now();
      this.#longestMs = Math.max(this.#longestMs, now - this.#dueAt);
      this.#dueAt = now + tickMs;
    }, tickMs);
    this.#timer.unref();
  }

  /** The longest since it was last asked, ms. */
  take(): number {
    const longest = this.#longestMs;
    this.#longestMs = 0;
    return longest;
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }
}

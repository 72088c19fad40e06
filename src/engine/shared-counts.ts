/**
 * The way on which processes tell each other of what their clients use up: those that stand by tell
 * the leader, and the leader tells the others what it is told, and what it has to tell itself. What
 * is told while nobody is there to hear it, or is under way when a line is cut, is not told again.
 */
import type { Counts } from "../link/counts.ts";
import type { FollowerLine, LeaderLine } from "../link/line.ts";

export class SharedCounts {
  #leader: Pick<LeaderLine, "counts"> | null = null;
  readonly #followers = new Set<Pick<FollowerLine, "counts">>();
  #hear: (counts: Counts) => void = () => {};
  #onShared: (isShared: boolean) => void = () => {};

  /** Whether anybody would hear what is told. */
  get isShared(): boolean {
    return this.#leader !== null || this.#followers.size > 0;
  }

  /**
   * Who is told of what others say, and at once when somebody begins or ceases to hear; neither may
   * throw.
   */
  listen(hear: (counts: Counts) => void, onShared: (isShared: boolean) => void): void {
    this.#hear = hear;
    this.#onShared = onShared;
    onShared(this.isShared);
  }

  tell(counts: Counts): void {
    this.#leader?.counts(counts);
    for (const follower of this.#followers) follower.counts(counts);
  }

  /** What the leader tells. */
  readonly heard = (counts: Counts): void => this.#hear(counts);

  /** What a process tells that follows this one. */
  heardFrom(teller: Pick<FollowerLine, "counts">, counts: Counts): void {
    this.#hear(counts);
    for (const follower of this.#followers) if (follower !== teller) follower.counts(counts);
  }

  follow(leader: Pick<LeaderLine, "counts">): void {
    this.#leader = leader;
    this.#onShared(this.isShared);
  }

  leave(): void {
    this.#leader = null;
    this.#onShared(this.isShared);
  }

  /** Returns what is to be done when the process follows no more. */
  followedBy(follower: Pick<FollowerLine, "counts">): () => void {
    this.#followers.add(follower);
    this.#onShared(this.isShared);
    return () => {
      this.#followers.delete(follower);
      this.#onShared(this.isShared);
    };
  }
}

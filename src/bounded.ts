/** What is kept in memory and has a bound: a map that forgets, rather than grow past it. */

/** A map of at most `max` entries. What was set longest ago is forgotten first. */
export class BoundedMap<K, V> extends Map<K, V> {
  readonly #max: number;
  /**
   * Goes through the keys in the order of their setting, and drops what it comes to: so what is left
   * is after it. Begun anew it would step over everything that was ever dropped, a thousand times as
   * much as setting takes.
   */
  #oldest: MapIterator<K> | null = null;

  constructor(max: number) {
    super();
    this.#max = max;
  }

  /** Also of a key that is there: from now on it is the last to be forgotten. */
  override set(key: K, value: V): this {
    this.delete(key);
    super.set(key, value);
    if (this.size > this.#max) {
      this.#oldest ??= this.keys();
      const { value: oldest, done } = this.#oldest.next();
      if (done !== true) this.delete(oldest);
    }
    return this;
  }
}

/** What is kept in memory and has a bound: a map that forgets, rather than grow past it. */

/** A map of at most `max` entries. What was set longest ago is forgotten first. */
export class BoundedMap<K, V> extends Map<K, V> {
  readonly #max: number;

  constructor(max: number) {
    super();
    this.#max = max;
  }

  /** Also of a key that is there: from now on it is the last to be forgotten. */
  override set(key: K, value: V): this {
    this.delete(key);
    super.set(key, value);
    if (this.size > this.#max) {
      for (const oldest of this.keys()) {
        this.delete(oldest);
        break;
      }
    }
    return this;
  }
}

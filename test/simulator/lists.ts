/** Sums, and lists by key. */
export const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

export function pushTo<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const there = map.get(key);
  if (there === undefined) map.set(key, [value]);
  else there.push(value);
}

/**
 * The name with the first number, from 2, that makes it a free one: `flights-2`.
 *
 * @param isFree asked at most a thousand times
 */
export async function freeName(name: string, isFree: (name: string) => Promise<boolean>): Promise<string> {
  for (let number = 2; number < 1000; number++) {
    const candidate = `${name}-${number}`;
    if (await isFree(candidate)) return candidate;
  }
  return `${name}-${crypto.randomUUID()}`;
}

import { createFileStore } from "../../../../shared/blobs/index.ts";

// Writes blobs without end and tells the parent of each that was acknowledged, until the parent kills it.
const store = await createFileStore({ directory: process.argv[2] ?? "", signingKey: "k".repeat(32) });
const writer = async (name: string) => {
  for (let index = 0; ; index++) {
    const key = `load/${name}/${index % 7}/${index}`;
    await store.put(key, new Blob([`${key}\n`.repeat(2000)]).stream());
    process.send?.(key);
  }
};
await Promise.all(["a", "b", "c", "d"].map(writer));

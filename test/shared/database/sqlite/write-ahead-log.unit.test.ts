import { describe, expect, it } from "vitest";
import { createWriteAheadLog } from "../../../../shared/database/sqlite/write-ahead-log.ts";

/** A disk that finishes when it is told to. */
function slowFile() {
  const running: { resolve: () => void; reject: (error: Error) => void }[] = [];
  let syncs = 0;
  return {
    get syncs() {
      return syncs;
    },
    sync: () => {
      syncs++;
      return new Promise<void>((resolve, reject) => running.push({ resolve, reject }));
    },
    finish: () => running.shift()?.resolve(),
    fail: (error: Error) => running.shift()?.reject(error),
    close: async () => undefined,
  };
}

const quiet = () => new Promise((resolve) => setImmediate(resolve));

describe("a write-ahead log", () => {
  it("syncs at once when the disk is free", () => {
    const file = slowFile();
    void createWriteAheadLog(file).persist();
    expect(file.syncs).toBe(1);
  });

  it("lets all who come while the disk is busy share its next turn", async () => {
    const file = slowFile();
    const log = createWriteAheadLog(file);
    const settled: string[] = [];
    const persist = (name: string) => log.persist().then(() => settled.push(name));
    const all = [persist("first"), persist("second"), persist("third")];
    await quiet();
    expect(file.syncs).toBe(1);
    file.finish();
    await quiet();
    expect(settled).toEqual(["first"]);
    expect(file.syncs).toBe(2);
    file.finish();
    await Promise.all(all);
    expect(settled).toEqual(["first", "second", "third"]);
    expect(file.syncs).toBe(2);
  });

  it("gives those who come during the next turn a turn after it", async () => {
    const file = slowFile();
    const log = createWriteAheadLog(file);
    const first = log.persist();
    const second = log.persist();
    file.finish();
    await first;
    await quiet();
    const third = log.persist();
    file.finish();
    await second;
    await quiet();
    expect(file.syncs).toBe(3);
    file.finish();
    await third;
  });

  it("never again calls anything durable once the disk has failed", async () => {
    const file = slowFile();
    const log = createWriteAheadLog(file);
    const first = log.persist();
    const second = log.persist();
    file.fail(new Error("EIO"));
    await expect(first).rejects.toThrow("cannot be synced");
    await expect(second).rejects.toThrow("cannot be synced");
    await expect(log.persist()).rejects.toThrow("cannot be synced");
    expect(file.syncs).toBe(1);
  });

  it("tells once, before whoever waits, that the disk has failed, and says it for ever", async () => {
    const file = slowFile();
    const told: string[] = [];
    const log = createWriteAheadLog(file, () => told.push("lost"));
    const waiting = [log.persist(), log.persist()].map((persisting) =>
      persisting.catch(() => told.push("refused")),
    );
    file.fail(new Error("EIO"));
    await Promise.all(waiting);
    expect(told).toEqual(["lost", "refused", "refused"]);
    expect(log.failure?.message).toContain("must start again");
    await expect(log.persist()).rejects.toThrow("must start again");
  });

  it("closes its file when the last turn is over", async () => {
    const file = slowFile();
    let isClosed = false;
    const log = createWriteAheadLog({
      ...file,
      close: async () => {
        isClosed = true;
      },
    });
    const last = log.persist();
    const closing = log.close();
    await quiet();
    expect(isClosed).toBe(false);
    file.finish();
    await Promise.all([last, closing]);
    expect(isClosed).toBe(true);
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { callStorage, isStatus } from "../../../shared/azure-storage/calls.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** What the SDK does with a server that says nothing: it waits until it is told to stop. */
const silence = (abortSignal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    abortSignal.addEventListener("abort", () => reject(new Error("The operation was aborted.")));
  });
const failure = (statusCode: number | undefined, code: string) =>
  Object.assign(new Error("from Azure"), { statusCode, code });
const call = (work: (abortSignal: AbortSignal) => Promise<unknown>, signal?: AbortSignal) =>
  callStorage("Azure Blob Storage", { timeoutMs: 30_000, signal }, work);

describe("a call to Azure Storage", () => {
  it("gives back what the service answers", async () => {
    await expect(call(async () => "answer")).resolves.toBe("answer");
  });

  it("ends when the service stays silent, and says so", async () => {
    const calling = call(silence);
    const outcome = expect(calling).rejects.toMatchObject({
      kind: "unavailable",
      message: "Azure Blob Storage did not answer within 30 s.",
    });
    await vi.advanceTimersByTimeAsync(30_000);
    await outcome;
  });

  it("does not end what goes on after its answer, such as a download", async () => {
    let seen: AbortSignal | undefined;
    await call(async (abortSignal) => {
      seen = abortSignal;
    });
    await vi.advanceTimersByTimeAsync(300_000);
    expect(seen?.aborted).toBe(false);
  });

  it("ends with the caller's reason when the caller leaves", async () => {
    const caller = new AbortController();
    const outcome = expect(call(silence, caller.signal)).rejects.toThrow("the caller left");
    caller.abort(new Error("the caller left"));
    await outcome;
  });

  it("does not begin for a caller who has left", async () => {
    const work = vi.fn(async () => {});
    await expect(call(work, AbortSignal.abort(new Error("gone")))).rejects.toThrow("gone");
    expect(work).not.toHaveBeenCalled();
  });

  it.each([
    [403, "AuthorizationPermissionMismatch", "Storage Blob Data Contributor"],
    [503, "ServerBusy", "503 ServerBusy"],
    [undefined, "ECONNREFUSED", "ECONNREFUSED"],
  ])("tells %s %s as unavailable, with what helps", async (status, code, said) => {
    await expect(
      call(async () => {
        throw failure(status, code);
      }),
    ).rejects.toMatchObject({ kind: "unavailable", message: expect.stringContaining(said) });
  });

  it.each([400, 404, 409, 412, 416])("leaves %d to whoever asked", async (status) => {
    const passed = await call(async () => {
      throw failure(status, "Some");
    }).catch((error: unknown) => error);
    expect(isStatus(passed, status)).toBe(true);
  });
});

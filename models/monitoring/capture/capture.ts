import { createHmac, randomUUID } from "node:crypto";
import type { Logger } from "pino";
import type { BlobStore } from "../../../shared/blobs/index.ts";
import { hashText } from "../../../shared/statistics/index.ts";
import type { Prediction } from "../../serving/index.ts";
import {
  type CapturedLine,
  directly,
  hourOf,
  hourPath,
  type Partition,
  partitionPrefix,
} from "./captured.ts";
import { captureTensors, type FieldRules, rowsOf } from "./captured-tensors.ts";

/** What is kept of a deployment's predictions. */
export interface CaptureRules {
  /** From 0 to 1; errors are always kept. */
  readonly sampleRate: number;
  readonly drop: readonly string[];
  readonly hash: readonly string[];
}

/** Each prediction that was seen ends as exactly one of the others; buffered ones are on their way. */
export interface CaptureCounts {
  readonly seen: number;
  readonly skipped: number;
  readonly captured: number;
  readonly buffered: number;
  readonly dropped: number;
  readonly failed: number;
}

export interface CaptureOptions {
  readonly blobs: Pick<BlobStore, "put">;
  readonly logger: Logger;
  /** The rules of a deployment's or a model's predictions; null: keep none. Called for each prediction. */
  readonly rulesOf: (prediction: Prediction) => CaptureRules | null;
  /** Keys the hashes of fields. */
  readonly hashKey: string;
  /** Written beside each prediction: the code that made it. */
  readonly codeVersion: string;
  /** Drawn at random when not given; two instances never share one. */
  readonly instance?: string;
  /** Runs work a little later, in the background. */
  readonly later?: (work: () => void, delayMs: number) => void;
}

export interface Capture {
  /** Takes a prediction into the buffer. Never throws and never waits. */
  take(prediction: Prediction): void;
  /** Writes the buffer out; never rejects. */
  flush(): Promise<void>;
  /** Since this instance started, of one deployment (`_direct` for those that asked a model). */
  counts(deployment: string): CaptureCounts;
}

const flushAfterMs = 1000;
const flushFromBytes = 512 * 1024;
/** In the buffer and on their way to the store; what does not fit is dropped and counted. */
const maxBytes = 16 * 1024 * 1024;
const maxLineBytes = 256 * 1024;
const maxAttempts = 5;

/** Lines of one partition and hour, which become one blob. */
interface Batch {
  readonly partition: Partition;
  readonly hourMs: number;
  readonly lines: string[];
  bytes: number;
}

interface Sealed extends Batch {
  readonly key: string;
  attempts: number;
}

/**
 * Writes predictions down by sampling. A request is in the sample by the hash of its id, so that every instance and
 * every retry decides alike. Lines wait in memory for a second or half a megabyte and then become one blob per model
 * version and hour; a crash loses what waits. A store that fails is tried again while memory allows.
 */
export function createCapture(options: CaptureOptions): Capture {
  const { blobs, logger, rulesOf, hashKey } = options;
  const instance = options.instance ?? randomUUID().slice(0, 8);
  const later = options.later ?? ((work, delayMs) => void setTimeout(work, delayMs).unref());
  const digest = (value: string) => createHmac("sha256", hashKey).update(value).digest("hex").slice(0, 16);
  const batches = new Map<string, Batch>();
  const counts = new Map<string, Record<keyof CaptureCounts, number>>();
  let waiting: Sealed[] = [];
  /** In memory at all, and of these not yet on their way. */
  let bytes = 0;
  let unsealed = 0;
  let sequence = 0;
  let flushing: Promise<void> | undefined;
  let scheduledMs = Number.POSITIVE_INFINITY;

  const countsOf = (deployment: string) => {
    const known = counts.get(deployment);
    if (known !== undefined) return known;
    const fresh = { seen: 0, skipped: 0, captured: 0, buffered: 0, dropped: 0, failed: 0 };
    counts.set(deployment, fresh);
    return fresh;
  };

  const schedule = (delayMs: number): void => {
    if (delayMs >= scheduledMs) return;
    scheduledMs = delayMs;
    later(() => {
      scheduledMs = Number.POSITIVE_INFINITY;
      void flush();
    }, delayMs);
  };

  const batchFor = (prediction: Prediction): Batch => {
    const hour = hourOf(prediction.atMs);
    const { deployment, modelName, modelVersion, shadow } = prediction;
    const key = `${deployment}/${modelName}/${modelVersion}/${shadow}/${hour}`;
    let batch = batches.get(key);
    if (batch === undefined) {
      batch = { partition: partitionOf(prediction), hourMs: hour, lines: [], bytes: 0 };
      batches.set(key, batch);
    }
    return batch;
  };

  const keep = (prediction: Prediction, rules: CaptureRules): boolean => {
    const line = lineOf(prediction, rules, digest, options.codeVersion);
    const size = Buffer.byteLength(line);
    if (size > maxLineBytes || bytes + size > maxBytes) return false;
    const batch = batchFor(prediction);
    batch.lines.push(line);
    batch.bytes += size;
    bytes += size;
    unsealed += size;
    return true;
  };

  const seal = (): void => {
    for (const batch of batches.values()) {
      const prefix = partitionPrefix(batch.partition) + hourPath(batch.hourMs);
      const name = `${instance}-${String(sequence++).padStart(6, "0")}.jsonl`;
      waiting.push({ ...batch, key: prefix + name, attempts: 0 });
    }
    batches.clear();
    unsealed = 0;
  };

  const write = async (batch: Sealed): Promise<void> => {
    const own = countsOf(batch.partition.deployment);
    const done = (outcome: "captured" | "failed") => {
      own[outcome] += batch.lines.length;
      own.buffered -= batch.lines.length;
      bytes -= batch.bytes;
    };
    try {
      batch.attempts++;
      // A second try under the same key replaces what the first may have left.
      await blobs.put(batch.key, Buffer.from(`${batch.lines.join("\n")}\n`), {
        contentType: "application/jsonl",
      });
      done("captured");
    } catch (error) {
      if (batch.attempts < maxAttempts) {
        waiting.push(batch);
        logger.warn(
          { key: batch.key, err: error },
          "captured predictions could not be written; trying again",
        );
      } else {
        done("failed");
        logger.error(
          { key: batch.key, lines: batch.lines.length, err: error },
          "captured predictions were given up",
        );
      }
    }
  };

  const drain = async (): Promise<void> => {
    seal();
    const taken = waiting;
    waiting = [];
    await Promise.all(taken.map(write));
    if (waiting.length > 0) schedule(flushAfterMs * 5);
  };

  /** One at a time; what arrives during a flush is written by the next one, which this call waits for too. */
  const flush = async (): Promise<void> => {
    while (flushing !== undefined) await flushing;
    flushing = drain();
    try {
      await flushing;
    } finally {
      flushing = undefined;
    }
  };

  return {
    take(prediction) {
      const own = countsOf(prediction.deployment ?? directly);
      own.seen++;
      try {
        const rules = rulesOf(prediction);
        if (rules === null || !inSample(prediction, rules.sampleRate)) {
          own.skipped++;
          return;
        }
        if (!keep(prediction, rules)) {
          own.dropped++;
          return;
        }
        own.buffered++;
        schedule(unsealed >= flushFromBytes ? 0 : flushAfterMs);
      } catch (error) {
        own.dropped++;
        logger.warn({ requestId: prediction.requestId, err: error }, "a prediction could not be captured");
      }
    },
    flush,
    counts: (deployment) => ({ ...countsOf(deployment) }),
  };
}

/** Any fixed number, other than the one that draws rows for samples: the two must not depend on each other. */
const sampleSeed = 0x5eed;

function inSample(prediction: Prediction, rate: number): boolean {
  return prediction.status === "error" || hashText(prediction.requestId, sampleSeed) < rate * 2 ** 32;
}

function partitionOf(prediction: Prediction): Partition {
  return {
    deployment: prediction.deployment ?? directly,
    model: prediction.modelName,
    version: prediction.modelVersion,
    shadow: prediction.shadow,
  };
}

function lineOf(
  prediction: Prediction,
  rules: CaptureRules,
  digest: FieldRules["digest"],
  code: string,
): string {
  const fields = { drop: rules.drop, hash: rules.hash, digest };
  const line: CapturedLine = {
    v: 1,
    id: prediction.requestId,
    atMs: prediction.atMs,
    revision: prediction.revision,
    variant: prediction.variant,
    status: prediction.status,
    ...(prediction.errorKind === undefined ? {} : { errorKind: prediction.errorKind }),
    durationMs: Math.round(prediction.durationMs * 1000) / 1000,
    code,
    rate: rules.sampleRate,
    rows: rowCount(prediction),
    inputs: captureTensors(prediction.inputs, fields),
    outputs: captureTensors(prediction.outputs, fields),
  };
  return JSON.stringify(line);
}

function rowCount({ inputs, outputs }: Prediction): number {
  let rows = 0;
  for (const tensors of [inputs, outputs]) {
    for (const name in tensors) rows = Math.max(rows, rowsOf(tensors[name]?.shape ?? []));
  }
  return rows;
}

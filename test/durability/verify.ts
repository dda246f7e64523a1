import { createHash } from "node:crypto";
import type { Ledger } from "./ledger.ts";

/** Reads back everything that was acknowledged. @returns one sentence for each thing that is not as it was answered. */
export async function findLosses(url: string, ledger: Ledger): Promise<string[]> {
  const lost: string[] = [];
  const checks = [
    ...[...ledger.runs].map(([id, run]) => async () => {
      const answer = await read(`${url}/api/2.0/mlflow/runs/get?run_id=${id}`);
      if (answer === undefined) return lost.push(`run ${id}`);
      const { data } = (answer as { run: { data: RunData } }).run;
      for (const [key, value] of run.params)
        if (valueIn(data.params, key) !== value) lost.push(`run ${id} param ${key}`);
      for (const [key, value] of run.tags)
        if (valueIn(data.tags, key) !== value) lost.push(`run ${id} tag ${key}`);
      for (const [key, values] of run.metrics) {
        const history = await read(
          `${url}/api/2.0/mlflow/metrics/get-history?run_id=${id}&metric_key=${key}`,
        );
        const kept = new Map(
          ((history as History)?.metrics ?? []).map(({ step, value }) => [Number(step), value]),
        );
        for (const [step, value] of values.entries()) {
          if (kept.get(step) !== value) lost.push(`run ${id} metric ${key} step ${step}`);
        }
      }
      return 0;
    }),
    ...[...ledger.artifacts].map(([path, sha256]) => async () => {
      const response = await fetch(`${url}${path}`);
      const bytes = Buffer.from(await response.arrayBuffer());
      if (!response.ok || hash(bytes) !== sha256) lost.push(`artifact ${path}`);
    }),
    ...[...ledger.datasets].map((dataset) => async () => {
      const [name, version] = dataset.split("/");
      const response = await fetch(`${url}/api/v1/datasets/${name}/versions/${version}/content`);
      const bytes = Buffer.from(await response.arrayBuffer());
      if (!response.ok || hash(bytes) !== version) lost.push(`data set ${dataset}`);
    }),
    ...[...ledger.models].map(([name, model]) => async () => {
      const answer = await read(`${url}/api/2.0/mlflow/registered-models/get?name=${name}`);
      if (answer === undefined) return lost.push(`model ${name}`);
      for (const version of model.versions) {
        const found = await read(`${url}/api/2.0/mlflow/model-versions/get?name=${name}&version=${version}`);
        if (found === undefined) lost.push(`model ${name} version ${version}`);
      }
      if (model.champion === undefined) return 0;
      const alias = await read(`${url}/api/2.0/mlflow/registered-models/alias?name=${name}&alias=champion`);
      const at = (alias as { model_version?: { version: string } } | undefined)?.model_version?.version;
      if (at !== model.champion) lost.push(`model ${name} alias champion at ${model.champion}, is at ${at}`);
      return 0;
    }),
    ...[...ledger.deployments].map(([name, revisions]) => async () => {
      const answer = await read(`${url}/api/v1/deployments/${name}/revisions?limit=100`);
      const kept = new Set(
        (answer as { items: { revision: number }[] } | undefined)?.items.map(({ revision }) => revision),
      );
      for (const revision of revisions)
        if (!kept.has(revision)) lost.push(`deployment ${name} revision ${revision}`);
    }),
  ];
  const readers = Array.from({ length: 8 }, async () => {
    for (let check = checks.pop(); check !== undefined; check = checks.pop()) await check();
  });
  await Promise.all(readers);
  return lost;
}

/**
 * Waits until no job waits or runs. One that was killed each time it was tried has failed with that reason, and is
 * asked to try again.
 *
 * @returns one sentence for each that does not succeed
 */
export async function findUnfinishedJobs(url: string, limitMs: number): Promise<string[]> {
  const untilMs = performance.now() + limitMs;
  for (;;) {
    const open = [...(await jobsIn(url, "queued")), ...(await jobsIn(url, "running"))];
    const failed = await jobsIn(url, "failed");
    const killed = failed.filter(({ error }) => error?.startsWith("The process that ran it went away"));
    if (open.length + killed.length === 0) {
      return failed.map(({ id, error }) => `job ${id} failed: ${error}`);
    }
    if (performance.now() > untilMs) return open.map(({ id, state }) => `job ${id} is still ${state}`);
    for (const { id } of killed) await fetch(`${url}/api/v1/jobs/${id}/retry`, { method: "POST" });
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

interface JobState {
  readonly id: string;
  readonly state: string;
  readonly error: string | null;
}

async function jobsIn(url: string, state: string): Promise<readonly JobState[]> {
  const answer = await read(`${url}/api/v1/jobs?state=${state}&limit=20`);
  return (answer as { items: JobState[] }).items;
}

interface RunData {
  readonly params?: readonly { key: string; value: string }[];
  readonly tags?: readonly { key: string; value: string }[];
}

interface History {
  readonly metrics?: readonly { step: number | string; value: number }[];
}

function valueIn(pairs: readonly { key: string; value: string }[] = [], key: string): string | undefined {
  return pairs.find((pair) => pair.key === key)?.value;
}

async function read(url: string): Promise<unknown> {
  const response = await fetch(url);
  const body = await response.json();
  return response.ok ? body : undefined;
}

function hash(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

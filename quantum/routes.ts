import { decodeCursor, json, page, type Route, route } from "../shared/http/index.ts";
import type { Actor } from "../shared/identity/index.ts";
import { type Job, JobSchema } from "../shared/jobs/index.ts";
import { expectationOfSubmission, pictureOf } from "./jobs/finish.ts";
import type { QuantumJobs } from "./jobs/quantum-jobs.ts";
import { quantumJob } from "./jobs/store.ts";
import { programOf } from "./programs/program.ts";
import { countGates } from "./qir/gates.ts";
import { parseQir } from "./qir/module.ts";
import { maxFrequent } from "./results/histogram.ts";
import {
  CancelBody,
  CheckBody,
  CheckSchema,
  CircuitBody,
  CircuitSchema,
  EstimateBody,
  HistogramQuery,
  HistogramSchema,
  MinimisationBody,
  QirBody,
  QirSchema,
  QuantumJobPage,
  QuantumJobParams,
  QuantumJobPosition,
  QuantumJobSchema,
  QuantumJobsQuery,
  SubmitBody,
  TargetsSchema,
} from "./schemas.ts";
import { circuitText } from "./simulator/circuit.ts";
import type { Simulator } from "./simulator/simulator.ts";
import type { QuantumWorkspace } from "./workspaces/workspace.ts";

export interface QuantumRoutesOptions {
  readonly quantumJobs: QuantumJobs;
  readonly simulator: Simulator;
  readonly workspaces: readonly QuantumWorkspace[];
  readonly submitEstimate: (body: EstimateBody, actor: Actor) => Promise<Job>;
  readonly submitMinimisation: (body: MinimisationBody, actor: Actor) => Promise<Job>;
}

const tag = "Quantum";
const protocol = "ketline" as const;
const maxBodyBytes = 4 * 1024 ** 2;
/** For looking at a program, within the 30 s of a request: the program is at fault then, not the server. */
const timeLimitMs = 20_000;

export function quantumRoutes(options: QuantumRoutesOptions): readonly Route[] {
  return [...programRoutes(options), ...jobRoutes(options)];
}

/** What is answered at once: looking at programs and targets. */
function programRoutes(options: QuantumRoutesOptions): readonly Route[] {
  const { simulator, workspaces, submitEstimate, submitMinimisation } = options;
  return [
    route({
      method: "GET",
      path: "/api/v1/quantum/targets",
      protocol,
      tag,
      role: "viewer",
      summary: "List the targets of the workspaces",
      responses: {
        200: {
          description: "Simulators of this server, and what Azure Quantum offers",
          schema: TargetsSchema,
        },
      },
      handle: async ({ signal }) => {
        const lists = await Promise.all(
          workspaces.map(async (workspace) => {
            try {
              const targets = await workspace.targets(signal);
              return {
                items: targets.map((target) => ({ ...target, workspace: workspace.name })),
                unreachable: [],
              };
            } catch (error) {
              signal.throwIfAborted();
              const message = error instanceof Error ? error.message : String(error);
              return { items: [], unreachable: [{ workspace: workspace.name, message }] };
            }
          }),
        );
        return json(
          TargetsSchema.parse({
            items: lists.flatMap(({ items }) => items),
            unreachable: lists.flatMap(({ unreachable }) => unreachable),
          }),
        );
      },
    }),
    route({
      method: "POST",
      path: "/api/v1/quantum/check",
      protocol,
      tag,
      role: "contributor",
      summary: "Check a program",
      description:
        "What the compiler says, each remark with its position, also about what the profile does not allow.",
      body: CheckBody,
      maxBodyBytes,
      responses: { 200: { description: "Also for wrong programs", schema: CheckSchema } },
      handle: async ({ body, signal }) => {
        const { diagnostics, tests } = await simulator.check(programOf(body), body.profile, {
          signal,
          timeLimitMs,
        });
        const ok = diagnostics.every(({ severity }) => severity !== "error");
        return json({ ok, profile: body.profile, diagnostics, tests });
      },
    }),
    route({
      method: "POST",
      path: "/api/v1/quantum/qir",
      protocol,
      tag,
      role: "contributor",
      summary: "Compile a program to QIR",
      body: QirBody,
      maxBodyBytes,
      responses: { 200: { description: "LLVM text and what it counts", schema: QirSchema } },
      handle: async ({ body, signal }) => {
        const qir = await simulator.qir(programOf(body), body.profile, { signal, timeLimitMs });
        return json({ profile: body.profile, qir, gates: countGates(parseQir(qir)) });
      },
    }),
    route({
      method: "POST",
      path: "/api/v1/quantum/circuits",
      protocol,
      tag,
      role: "contributor",
      summary: "Draw a program as a circuit",
      body: CircuitBody,
      maxBodyBytes,
      responses: { 200: { description: "The circuit as text and as data", schema: CircuitSchema } },
      handle: async ({ body, signal }) => {
        const circuit = await simulator.circuit(programOf(body), body.method, { signal, timeLimitMs });
        return json({ text: circuitText(circuit), circuit });
      },
    }),
    route({
      method: "POST",
      path: "/api/v1/quantum/estimates",
      protocol,
      tag,
      role: "contributor",
      summary: "Estimate the resources of a program",
      description: "For error-corrected hardware, by the resource estimator of the Quantum Development Kit.",
      body: EstimateBody,
      maxBodyBytes,
      responses: {
        202: {
          description: "The job; its result has one answer for each of the parameters",
          schema: JobSchema,
        },
      },
      handle: async ({ body, actor }) => {
        programOf(body);
        return json(await submitEstimate(body, actor), 202);
      },
    }),
    route({
      method: "POST",
      path: "/api/v1/quantum/minimisations",
      protocol,
      tag,
      role: "contributor",
      summary: "Minimise what a parameterised Q# program computes",
      description:
        "A hybrid loop on the simulator, such as a variational eigensolver; each iteration is one run.",
      body: MinimisationBody,
      maxBodyBytes,
      responses: {
        202: {
          description: "The job; its result has the parameters, the value and the way there",
          schema: JobSchema,
        },
      },
      handle: async ({ body, actor }) => {
        programOf({ language: "qsharp", source: body.source, files: body.files });
        return json(await submitMinimisation(body, actor), 202);
      },
    }),
  ];
}

function jobRoutes({ quantumJobs }: QuantumRoutesOptions): readonly Route[] {
  return [
    route({
      method: "POST",
      path: "/api/v1/quantum/jobs",
      protocol,
      tag,
      role: "contributor",
      summary: "Run a quantum program",
      description:
        "A job compiles the program, runs its unit tests on the simulator, estimates its resources and its price, lets the " +
        "gates of the policy judge, submits it to the target's workspace, follows it, and judges the histogram.",
      body: SubmitBody,
      maxBodyBytes,
      responses: { 202: { description: "The job; its result is the quantum job", schema: JobSchema } },
      handle: async ({ body, actor }) => json(await quantumJobs.submit(body, actor), 202),
    }),
    route({
      method: "GET",
      path: "/api/v1/quantum/jobs",
      protocol,
      tag,
      role: "viewer",
      summary: "List quantum jobs, newest first",
      query: QuantumJobsQuery,
      responses: { 200: { description: "One page of quantum jobs", schema: QuantumJobPage } },
      handle: async ({ query: { status, target, limit, cursor } }) => {
        const after = decodeCursor(QuantumJobPosition, cursor);
        const found = await quantumJobs.list({ status, target, after, limit: limit + 1 });
        return json(page(found, limit, quantumJob, ({ createdMs, id }) => ({ createdMs, id })));
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/quantum/jobs/:id",
      protocol,
      tag,
      role: "viewer",
      summary: "Follow a quantum job",
      params: QuantumJobParams,
      responses: { 200: { description: "The quantum job", schema: QuantumJobSchema } },
      handle: async ({ params }) => json(quantumJob(await quantumJobs.get(params.id))),
    }),
    route({
      method: "POST",
      path: "/api/v1/quantum/jobs/:id/cancel",
      protocol,
      tag,
      role: "contributor",
      summary: "Cancel a quantum job",
      description: "Also in its workspace. A job that runs is cancelled when its worker hears of it.",
      params: QuantumJobParams,
      body: CancelBody,
      responses: { 200: { description: "The quantum job", schema: QuantumJobSchema } },
      handle: async ({ params, body, actor }) =>
        json(quantumJob(await quantumJobs.cancel(params.id, actor, body?.reason))),
    }),
    route({
      method: "GET",
      path: "/api/v1/quantum/jobs/:id/histogram",
      protocol,
      tag,
      role: "viewer",
      summary: "Read the histogram of a quantum job",
      params: QuantumJobParams,
      query: HistogramQuery,
      responses: { 200: { description: "The outcomes, most frequent first", schema: HistogramSchema } },
      handle: async ({ params, query }) => {
        const { record, histogram } = await quantumJobs.histogram(params.id);
        const { top, otherOutcomes, otherShots } = maxFrequent(histogram, query.limit);
        const expected = expectationOfSubmission(record.submission);
        const outcomes = top.map(({ outcome, count }) => ({
          outcome,
          count,
          probability: count / histogram.shots,
          expected: expected === undefined ? null : (expected.get(outcome) ?? 0),
        }));
        return json({ shots: histogram.shots, outcomes, otherOutcomes, otherShots });
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/quantum/jobs/:id/histogram.svg",
      protocol,
      tag,
      role: "viewer",
      summary: "See the histogram of a quantum job",
      params: QuantumJobParams,
      responses: {
        200: { description: "A picture of the 32 most frequent outcomes", contentType: "image/svg+xml" },
      },
      handle: async ({ params }) => {
        const { record, histogram } = await quantumJobs.histogram(params.id);
        return new Response(pictureOf(record, histogram), {
          headers: {
            "content-type": "image/svg+xml",
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
          },
        });
      },
    }),
  ];
}

import type { Clock } from "../../../shared/clock.ts";
import {
  callersFaults,
  invalid,
  isKetlineError,
  notFound,
  unavailable,
  withHeaders,
} from "../../../shared/errors.ts";
import type { Logger } from "../../../shared/telemetry/index.ts";
import { type Catalogue, type Known, whenKnown } from "../deployments/catalogue.ts";
import { defaultTimeoutMs } from "../deployments/revisions.ts";
import { type RoutingHints, routeRequest } from "../deployments/routing.ts";
import type { ModelDescription } from "../repository/model.ts";
import type { ServableVersion } from "../repository/model-source.ts";
import type { Caller } from "../runtime/served-model.ts";
import type { Sessions } from "../runtime/sessions.ts";
import type { Deployment, Shadow, Variant } from "../schemas.ts";
import { checkInputs, selectOutputs } from "../tensors/signature.ts";
import type { Tensor, Tensors } from "../tensors/tensors.ts";
import type { Prediction } from "./prediction.ts";
import { type ServedBy, servedByHeaders } from "./served-by.ts";

/** A request for predictions, whatever protocol brought it. */
export interface InferRequest {
  /** A deployment or a registered model. */
  readonly name: string;
  /** A version of the registered model of that name. */
  readonly version: string | undefined;
  readonly requestId: string;
  readonly hints: RoutingHints;
  /** All outputs when not given. */
  readonly outputs: readonly string[] | undefined;
  /** Reads the tensors out of the body; what a table means depends on the model that gets it. */
  decode(model: ModelDescription): Tensors;
  readonly caller: Caller;
}

export interface InferResponse {
  readonly servedBy: ServedBy;
  readonly outputs: readonly { readonly name: string; readonly tensor: Tensor }[];
  readonly model: ModelDescription;
  readonly timings: Timings;
}

/** Milliseconds of the parts of a request; the order is that of the work. */
export interface Timings {
  routeMs: number;
  loadMs: number;
  decodeMs: number;
  /** For the model's turn, and on the way to and from its process. */
  waitMs: number;
  runMs: number;
}

/** What happened to one request at one model version, for statistics and for those who watch. */
export interface Observation {
  readonly prediction: Prediction;
  readonly timings: Timings;
  /** How many runs of the model it was: 0 when it shared the run of another request. */
  readonly executions: number;
  /** For a copy: what the variant that answered the caller gave for the same request. */
  readonly answered: { readonly servedBy: ServedBy; readonly outputs: Tensors } | null;
}

/** Predictions over typed tensors; knows nothing of HTTP. */
export interface DataPlane {
  /**
   * @throws invalid, naming in its headers who was to answer, for inputs that the model does not take; not_found for an unknown name; timeout; unavailable
   */
  infer(request: InferRequest): Promise<InferResponse>;
  /** The version that a name stands for: of a deployment, its heaviest variant. @throws not_found */
  resolve(name: string, version: string | undefined): Promise<ServableVersion>;
}

export interface DataPlaneOptions {
  readonly catalogue: Catalogue;
  readonly sessions: Sessions;
  readonly clock: Clock;
  readonly logger: Logger;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** Called after the answer left, once for it and once for each copy. */
  readonly observe: (observation: Observation) => void;
}

/** Copies that may wait or run at a time; more are left out, so that they never hold up the answers. */
const maxShadowsInFlight = 32;

export function createDataPlane(options: DataPlaneOptions): DataPlane {
  const { catalogue, sessions, clock, logger, random, observe } = options;
  let shadowsInFlight = 0;
  const afterwards = createAfterwards();

  const choose = (request: InferRequest): Known<Choice> => {
    const deployment = request.version === undefined ? catalogue.deployment(request.name) : undefined;
    if (deployment === undefined) {
      const choice = { deployment: null, variant: null, shadows: [], timeoutMs: defaultTimeoutMs };
      const version = modelVersion(catalogue, request.name, request.version);
      return whenKnown(version, (version) => ({ ...choice, version }));
    }
    const { variant, shadows } = routeRequest(deployment, request.hints, random);
    const choice = { deployment, variant, shadows, timeoutMs: deployment.timeoutMs };
    const version = targetOf(catalogue, deployment, variant);
    return whenKnown(version, (version) => ({ ...choice, version }));
  };

  const observeSafely = (observation: Observation) => {
    try {
      observe(observation);
    } catch (error) {
      logger.error({ err: error }, "an observer of predictions failed");
    }
  };

  const mirror = (
    request: InferRequest,
    choice: Choice & { readonly deployment: Deployment },
    shadow: Shadow,
    answered: NonNullable<Observation["answered"]>,
    inputs: Tensors,
  ) => {
    if (shadowsInFlight >= maxShadowsInFlight) return;
    shadowsInFlight++;
    const atMs = clock();
    const started = performance.now();
    const run = async () => {
      const version = await targetOf(catalogue, choice.deployment, shadow);
      const servedBy = servedByOf({ ...choice, version, variant: shadow });
      const timings = noTimings();
      const { requestId } = request;
      const about = { requestId, atMs, shadow: true, ...servedBy, inputs };
      let isRunning = false;
      try {
        const outputs = await sessions.withModel(version, choice.timeoutMs, async (model) => {
          timings.loadMs = performance.now() - started;
          checkInputs(model.description.signature, inputs);
          const names = model.description.signature.outputs.map(({ name }) => name);
          const { timeoutMs } = choice;
          isRunning = true;
          const result = await model.run(inputs, names, { timeoutMs, budgetMs: timeoutMs, whenIdle: true });
          timings.runMs = result.runMs;
          return result.outputs;
        });
        const durationMs = performance.now() - started;
        const prediction = { ...about, outputs, status: "ok", durationMs } as const;
        observeSafely({ prediction, timings, executions: 1, answered });
      } catch (error) {
        const durationMs = performance.now() - started;
        const prediction = {
          ...about,
          outputs: {},
          status: "error",
          errorKind: kindOf(error, isRunning),
          durationMs,
        } as const;
        observeSafely({ prediction, timings, executions: 0, answered });
      }
    };
    run()
      .catch((error: unknown) =>
        logger.warn({ err: error, shadow: shadow.name }, "a shadow could not be asked"),
      )
      .finally(() => {
        shadowsInFlight--;
      });
  };

  return {
    async infer(request) {
      const atMs = clock();
      const started = performance.now();
      const timings = noTimings();
      const refreshed = catalogue.refresh();
      if (refreshed !== undefined) await refreshed;
      const chosen = choose(request);
      const choice = chosen instanceof Promise ? await chosen : chosen;
      const servedBy = servedByOf(choice);
      const routed = performance.now();
      timings.routeMs = routed - started;
      let inputs: Tensors = {};
      let executions = 0;
      let isRunning = false;
      try {
        const response = await sessions.withModel(
          choice.version,
          choice.timeoutMs,
          async (model): Promise<InferResponse> => {
            const loaded = performance.now();
            timings.loadMs = loaded - routed;
            const { signature } = model.description;
            inputs = request.decode(model.description);
            checkInputs(signature, inputs);
            const wanted = selectOutputs(signature, request.outputs).map(({ name }) => name);
            const decoded = performance.now();
            timings.decodeMs = decoded - loaded;
            const { timeoutMs } = choice;
            const left = Math.max(1, timeoutMs - (decoded - started));
            const alone = choice.deployment?.batching === false;
            const run = { timeoutMs: left, budgetMs: timeoutMs, caller: request.caller, alone };
            isRunning = true;
            const result = await model.run(inputs, wanted, run);
            executions = result.executions;
            timings.runMs = result.runMs;
            timings.waitMs = performance.now() - decoded - result.runMs;
            const outputs = wanted.map((name) => ({ name, tensor: outputOf(result.outputs, name) }));
            return { servedBy, outputs, model: model.description, timings };
          },
        );
        const durationMs = performance.now() - started;
        const outputs = Object.fromEntries(response.outputs.map(({ name, tensor }) => [name, tensor]));
        afterwards(() => {
          const { requestId } = request;
          const about = { requestId, atMs, shadow: false, ...servedBy, inputs, outputs };
          const prediction = { ...about, status: "ok", durationMs } as const;
          observeSafely({ prediction, timings, executions, answered: null });
          const { deployment } = choice;
          if (deployment === null) return;
          for (const shadow of choice.shadows) {
            mirror(request, { ...choice, deployment }, shadow, { servedBy, outputs }, inputs);
          }
        });
        return response;
      } catch (error) {
        const { requestId } = request;
        const durationMs = performance.now() - started;
        const about = { requestId, atMs, shadow: false, ...servedBy, inputs, outputs: {}, durationMs };
        const errorKind = kindOf(error, isRunning);
        const prediction = { ...about, status: "error", errorKind } as const;
        afterwards(() => observeSafely({ prediction, timings, executions, answered: null }));
        throw isKetlineError(error) ? withHeaders(error, servedByHeaders(servedBy)) : error;
      }
    },

    async resolve(name, version) {
      await catalogue.refresh();
      const deployment = version === undefined ? catalogue.deployment(name) : undefined;
      if (deployment === undefined) return modelVersion(catalogue, name, version);
      const heaviest = deployment.variants.reduce((best, variant) =>
        variant.weight > best.weight ? variant : best,
      );
      return targetOf(catalogue, deployment, heaviest);
    },
  };
}

/** Runs things in the next turn of the event loop, all that came in one turn together: an immediate for each costs more. */
function createAfterwards(): (work: () => void) => void {
  let waiting: (() => void)[] = [];
  const runAll = () => {
    const due = waiting;
    waiting = [];
    for (const work of due) work();
  };
  return (work) => {
    if (waiting.push(work) === 1) setImmediate(runAll);
  };
}

interface Choice {
  readonly version: ServableVersion;
  readonly deployment: Deployment | null;
  readonly variant: Variant | Shadow | null;
  readonly shadows: readonly Shadow[];
  readonly timeoutMs: number;
}

function servedByOf({ version, deployment, variant }: Choice): ServedBy {
  return {
    modelName: version.name,
    modelVersion: String(version.version),
    deployment: deployment?.name ?? null,
    revision: deployment?.revision ?? null,
    variant: variant?.name ?? null,
  };
}

function modelVersion(
  catalogue: Catalogue,
  name: string,
  version: string | undefined,
): Known<ServableVersion> {
  if (version !== undefined) {
    if (!/^[1-9]\d{0,8}$/.test(version)) {
      throw invalid(`The version is "${version}"; a number such as 1 would be right.`);
    }
    if (/\p{Cc}/u.test(name)) throw notFound("There is no registered model of that name.");
    return catalogue.version(name, Number(version));
  }
  // No model has a control character in its name, and PostgreSQL refuses some of them.
  const found = /\p{Cc}/u.test(name) ? null : catalogue.champion(name);
  return whenKnown(found, (version) => {
    if (version !== null) return version;
    throw notFound(`There is no deployment "${name}" and no registered model of that name with a version.`);
  });
}

/** A deployment whose version is gone is not the caller's mistake. */
function targetOf(
  catalogue: Catalogue,
  deployment: Deployment,
  target: Variant | Shadow,
): Known<ServableVersion> {
  const found = catalogue.target(target);
  if (!(found instanceof Promise)) return found;
  return found.catch((error: unknown) => {
    if (!isKetlineError(error, "not_found")) throw error;
    throw unavailable(
      `Variant "${target.name}" of deployment "${deployment.name}" is gone: ${error.message}`,
    );
  });
}

function outputOf(outputs: Tensors, name: string): Tensor {
  const tensor = outputs[name];
  if (tensor === undefined) throw new Error(`The model gave no output "${name}".`);
  return tensor;
}

function noTimings(): Timings {
  return { routeMs: 0, loadMs: 0, decodeMs: 0, waitMs: 0, runMs: 0 };
}

/** @param isRunning whether the model had begun to run on inputs that its signature allows */
function kindOf(error: unknown, isRunning: boolean): NonNullable<Prediction["errorKind"]> {
  if (!isKetlineError(error)) return "internal";
  return isRunning && callersFaults.has(error.kind) ? "run_failed" : error.kind;
}

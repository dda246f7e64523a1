import { randomUUID } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import Module, { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

// A stand-in for `@azure/functions-core`, the module that the Functions worker gives to `@azure/functions`, as far as
// the library's own ProgrammingModel needs it (facts from its source, version 4.16.5). It is not on npm.

export interface Binding {
  readonly type: string;
  readonly direction: "in" | "out";
  readonly route?: string;
  readonly methods?: readonly string[];
  readonly authLevel?: string;
  readonly schedule?: string;
  readonly queueName?: string;
  readonly connection?: string;
}

export interface FunctionMetadata {
  readonly name: string;
  readonly bindings: Readonly<Record<string, Binding>>;
}

/** One value on its way between host and worker: the parts of the protocol's TypedData that are used here. */
export interface TypedData {
  readonly string?: string;
  readonly json?: string;
  readonly http?: HttpData;
}

export interface HttpData {
  readonly url?: string;
  readonly method?: string;
  readonly statusCode?: string;
  readonly nullableHeaders?: Readonly<Record<string, { readonly value: string }>>;
  readonly nullableQuery?: Readonly<Record<string, { readonly value: string }>>;
  readonly nullableParams?: Readonly<Record<string, { readonly value: string }>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cookies?: readonly { readonly name: string; readonly value: string }[];
  readonly body?: { readonly bytes?: Uint8Array; readonly string?: string };
}

export interface InvocationRequest {
  readonly inputData: readonly { readonly name: string; readonly data: TypedData }[];
  readonly triggerMetadata: Readonly<Record<string, TypedData>>;
  readonly traceContext?: { readonly traceParent: string; readonly traceState: string };
}

export interface InvocationResponse {
  readonly returnValue?: TypedData | null;
}

interface InvocationModel {
  getArguments(): Promise<{ context: unknown; inputs: unknown[] }>;
  invokeFunction(context: unknown, inputs: unknown[], callback: FunctionCallback): Promise<unknown>;
  getResponse(context: unknown, result: unknown): Promise<InvocationResponse>;
}

interface ProgrammingModel {
  getInvocationModel(context: unknown): InvocationModel;
  getCapabilities(capabilities: Record<string, string>): Promise<Record<string, string>>;
}

type FunctionCallback = (...inputs: unknown[]) => unknown;
type Hook = (context: unknown) => unknown;

export interface FunctionsCore {
  readonly functions: ReadonlyMap<string, FunctionMetadata>;
  /** What the worker reports to the host at its start: `HttpUri` when the app streams HTTP. */
  capabilities(): Promise<Readonly<Record<string, string>>>;
  invoke(name: string, request: InvocationRequest, invocationId?: string): Promise<InvocationResponse>;
  readonly log: readonly { readonly level: string; readonly category: string; readonly message: string }[];
}

/**
 * Loads a deployable package as the worker does: reads `main` of its package.json as a glob, gives the library its
 * core, and loads each entry file.
 *
 * @param stream overrules the app's own `app.setup({ enableHttpStream })`
 */
export async function loadPackage(directory: string, stream?: boolean): Promise<FunctionsCore> {
  const functions = new Map<string, FunctionMetadata>();
  const callbacks = new Map<string, FunctionCallback>();
  const hooks = new Map<string, Hook[]>();
  const log: { level: string; category: string; message: string }[] = [];
  let model: ProgrammingModel | undefined;

  class Disposable {
    readonly #onDispose: () => unknown;
    constructor(onDispose: () => unknown) {
      this.#onDispose = onDispose;
    }
    static from(...all: { dispose(): unknown }[]): Disposable {
      return new Disposable(() => all.map((one) => one.dispose()));
    }
    dispose(): unknown {
      return this.#onDispose();
    }
  }

  const record = (level: string, category: string, message: string): void => {
    log.push({ level, category, message });
  };
  const core = {
    version: "3.9.1",
    hostVersion: "4.1036.0",
    Disposable,
    registerFunction(metadata: FunctionMetadata, callback: FunctionCallback): Disposable {
      const key = metadata.name.toLowerCase();
      if (functions.has(key)) throw new Error(`A function named "${metadata.name}" is registered already.`);
      functions.set(key, metadata);
      callbacks.set(key, callback);
      return new Disposable(() => functions.delete(key));
    },
    setProgrammingModel(given: ProgrammingModel): void {
      model = given;
    },
    getProgrammingModel: () => model,
    registerHook(name: string, hook: Hook): Disposable {
      hooks.set(name, [...(hooks.get(name) ?? []), hook]);
      return new Disposable(() =>
        hooks.set(
          name,
          (hooks.get(name) ?? []).filter((other) => other !== hook),
        ),
      );
    },
    log: record,
  };
  giveToRequire("@azure/functions-core", core);

  const manifest: unknown = JSON.parse(readFileSync(path.join(directory, "package.json"), "utf8"));
  const main =
    typeof manifest === "object" && manifest !== null && "main" in manifest ? String(manifest.main) : "";
  const entries = globSync(main, { cwd: directory }).sort();
  if (entries.length === 0) throw new Error(`No file of ${directory} matches main "${main}".`);
  for (const entry of entries) await import(pathToFileURL(path.join(directory, entry)).href);
  if (stream !== undefined) {
    const library: unknown = createRequire(path.join(directory, "package.json"))("@azure/functions");
    (library as { app: { setup(options: { enableHttpStream: boolean }): void } }).app.setup({
      enableHttpStream: stream,
    });
  }
  for (const hook of hooks.get("appStart") ?? []) await hook({ hookData: {}, appHookData: {} });

  const programmingModel = (): ProgrammingModel => {
    if (model === undefined) throw new Error(`The package ${directory} registered no function.`);
    return model;
  };
  return {
    functions,
    log,
    capabilities: () => programmingModel().getCapabilities({}),
    async invoke(name, request, invocationId = randomUUID()) {
      const metadata = functions.get(name.toLowerCase());
      const callback = callbacks.get(name.toLowerCase());
      if (metadata === undefined || callback === undefined)
        throw new Error(`There is no function "${name}".`);
      const invocation = {
        invocationId,
        metadata,
        request: { invocationId, ...request },
        state: "",
        log: record,
      };
      const running = programmingModel().getInvocationModel(invocation);
      const { context, inputs } = await running.getArguments();
      const hookData = {};
      const hookContext = {
        hookData,
        appHookData: {},
        invocationContext: context,
        functionCallback: callback,
        inputs,
        result: undefined as unknown,
      };
      invocation.state = "preInvocationHooks";
      for (const hook of hooks.get("preInvocation") ?? []) await hook(hookContext);
      invocation.state = "invocation";
      hookContext.result = await running.invokeFunction(
        context,
        hookContext.inputs,
        hookContext.functionCallback,
      );
      invocation.state = "postInvocationHooks";
      for (const hook of hooks.get("postInvocation") ?? []) await hook(hookContext);
      return running.getResponse(context, hookContext.result);
    },
  };
}

/** As the worker does it: the library asks for its core by `require`, at its first use, and remembers the answer. */
function giveToRequire(name: string, value: unknown): void {
  const prototype = Module.prototype as unknown as { require(this: unknown, id: string): unknown };
  const original = prototype.require;
  prototype.require = function (id: string): unknown {
    return id === name ? value : original.call(this, id);
  };
}

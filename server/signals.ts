export interface StopOptions {
  readonly stop: () => Promise<void>;
  readonly exit: (code: number) => void;
  readonly say: (line: string) => void;
  /** SIGTERM and SIGINT arrive here; the process by default. */
  readonly signals?: { on(signal: string, listener: (signal: string) => void): unknown };
  readonly now?: () => number;
}

/**
 * One Ctrl-C arrives up to three times: from the terminal, from npm and from tools/node22.mjs, which each pass it on.
 * Only what comes later than this is a second one.
 */
const sameSignalMs = 1000;

/** The first SIGTERM or SIGINT stops the server in good order and exits with 0; a second one exits at once. */
export function stopOnSignals(options: StopOptions): void {
  const { stop, exit, say, signals = process, now = Date.now } = options;
  let firstMs: number | undefined;
  const onSignal = (signal: string): void => {
    if (firstMs !== undefined) {
      if (now() - firstMs > sameSignalMs) exit(signal === "SIGINT" ? 130 : 143);
      return;
    }
    firstMs = now();
    say("Stopping: finishing what runs. Once more to stop at once.");
    stop().then(
      () => exit(0),
      (error: unknown) => {
        say(`Stopping failed: ${error instanceof Error ? error.message : String(error)}`);
        exit(1);
      },
    );
  };
  signals.on("SIGTERM", onSignal);
  signals.on("SIGINT", onSignal);
}

import { insufficient, KetlineError, timedOut, unavailable } from "../../errors.ts";

/** SQLSTATE, or the code of the system's error. */
export function postgresCodeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/**
 * The connection is gone, or was never made. 57P01 to 57P05: the server ends it, because somebody asked for it, because
 * it stops, after a crash, while it starts, or because the connection was idle.
 */
const lostCodes = /^(08...|57P0[1-5]|ECONN.*|EPIPE|ETIMEDOUT|EHOST.*|ENET.*|ENOTFOUND|EAI_.*|EADDRNOTAVAIL)$/;

/** What `pg` and its pool say in words alone. */
const lostWords =
  /^(Connection terminated|Client has encountered a connection error|Client was closed|timeout expired)/;

export function isLostConnection(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof AggregateError)
    return error.errors.some(isLostConnection) || lostCodes.test(postgresCodeOf(error));
  return lostCodes.test(postgresCodeOf(error)) || lostWords.test(error.message);
}

/** No connection is to be had: too many of the server's, or all of the pool's are in use. */
function isCrowded(error: unknown): boolean {
  return (
    /^(53300|53400)$/.test(postgresCodeOf(error)) ||
    (error instanceof Error && error.message.startsWith("timeout exceeded when trying to connect"))
  );
}

/** Whether a new connection in a moment may do. The pool's own time-out has waited long enough. */
export function mayConnectSoon(error: unknown): boolean {
  return isLostConnection(error) || /^(53300|53400)$/.test(postgresCodeOf(error));
}

/** A change whose answer never came. Sending it again by itself could make it twice. */
export class UncertainChange extends KetlineError {
  constructor(cause: unknown) {
    super(
      "unavailable",
      "The connection to the database ended before it answered: the change may or may not have been made. Look before you send it again.",
      { cause, fault: `uncertain ${faultOf(cause)}` },
    );
  }
}

/** @returns what a fault of the server or the way to it means to a caller; undefined for an error of the statement */
export function postgresFault(error: unknown): KetlineError | undefined {
  if (error instanceof KetlineError) return error;
  const code = postgresCodeOf(error);
  const details = { cause: error, fault: faultOf(error), retryAfterSeconds: 2 };
  if (isLostConnection(error)) {
    return unavailable("The database is not reached: send the request again in a moment.", details);
  }
  if (isCrowded(error)) {
    return unavailable("The database has no connection left: send the request again in a moment.", details);
  }
  if (code === "25006") {
    return unavailable("The database can only be read now.", { ...details, retryAfterSeconds: 5 });
  }
  if (code === "53100") {
    return insufficient(
      "The disk of the database is full and nothing was written: its operator has to free space.",
      {
        ...details,
        retryAfterSeconds: 5,
      },
    );
  }
  if (code === "57014" || (error instanceof Error && error.message === "Query read timeout")) {
    return timedOut("The database did not answer within its time.", { cause: error });
  }
  // Refused credentials, a database that is not there, no memory, locks, a failing disk, damaged pages.
  if (/^(28...|3D000|53...|55P03|58...|XX00[12])$/.test(code)) {
    return unavailable("The database refuses to work for this server; its log says why.", {
      ...details,
      retryAfterSeconds: 5,
    });
  }
  return undefined;
}

function faultOf(error: unknown): string {
  return postgresCodeOf(error) || (error instanceof Error ? error.message.slice(0, 60) : "connection");
}

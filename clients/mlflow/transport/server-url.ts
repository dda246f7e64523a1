/** Whose MLflow API it is. Azure ML's lacks calls and has errors of its own. */
export type ServerKind = "mlflow" | "azureml";

export interface ServerUrl {
  readonly kind: ServerKind;
  /** `http(s)://host[/path]` without a trailing slash; calls are appended as `/api/2.0/…`. */
  readonly base: string;
}

/**
 * @param url `http://host:5000`, with a base path where there is one, or Azure ML's `azureml://…` tracking URI
 * @throws TypeError naming what is wrong
 */
export function parseServerUrl(url: string): ServerUrl {
  const http = url.replace(/^azureml:\/\//i, "https://");
  const parsed = URL.canParse(http) ? new URL(http) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
    throw new TypeError(`"${shown(url)}" is no server's URL: http://…, https://… or azureml://… is.`);
  }
  if (parsed.username !== "" || parsed.password !== "") {
    throw new TypeError("The server's URL holds a user name or a password; give them as `auth`.");
  }
  if (parsed.search !== "" || parsed.hash !== "") {
    throw new TypeError(`The server's URL "${shown(url)}" must have no query and no fragment.`);
  }
  const isAzure =
    /^azureml:/i.test(url) ||
    /\/providers\/Microsoft\.MachineLearningServices\/workspaces\//i.test(parsed.pathname);
  const base = `${parsed.origin}${parsed.pathname.replace(/\/+$/, "")}`;
  return { kind: isAzure ? "azureml" : "mlflow", base };
}

/** Without what may be a secret: a query, or credentials. */
function shown(url: string): string {
  return url
    .replace(/[?#].*$/s, "")
    .replace(/\/\/[^/]*@/, "//")
    .slice(0, 200);
}

const hidden = "[redacted]";

/**
 * Secrets that can be told by how they look, wherever they stand in a text: credentials of an Authorization header,
 * Ketline's own tokens, SAS signatures, keys in connection strings, passwords in URLs, PEM keys, JSON Web Tokens.
 * Each pattern reads a text once: a bound or a look-behind keeps it from starting over at every character.
 */
const secretsInText: readonly (readonly [pattern: RegExp, replacement: string])[] = [
  [/\b(Bearer|Basic|SharedKey|SharedAccessSignature) +[^\s"'\\,;]{6,}/g, `$1 ${hidden}`],
  [/\b(authorization["'\\]{0,3} ?[:=] ?["'\\]{0,3}[\w-]{1,40} +)[^\s"'\\,;[]+/gi, `$1${hidden}`],
  [/(?<![\w-])ktl_[\w-]{8,}/g, `ktl_${hidden}`],
  [/(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}(\.[\w-]*)?/g, hidden],
  [/([?&;]|\\u0026|\b)(sig|x-functions-key|code)=[^&\s"'\\;,]{8,}/gi, `$1$2=${hidden}`],
  [/\b(AccountKey|SharedAccessKey|SharedAccessSignature|Password|Pwd)=[^;\s"'\\&]+/gi, `$1=${hidden}`],
  [/(?<![a-z0-9+.-])([a-z][a-z0-9+.-]{0,30}:\/\/[^\s:/@"'\\]{0,200}):[^\s/@"'\\]{1,500}@/gi, `$1:${hidden}@`],
  [
    /-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]{0,40}PRIVATE KEY-----|$)/g,
    `PRIVATE KEY ${hidden}`,
  ],
];

/** Names whose value is a secret whatever it looks like, without case, `-` and `_`. */
const secretName =
  /(password|passwd|secret|token|authorization|cookie|credential|connectionstring|accountkey|accesskey|apikey|signingkey|privatekey|functionskey|sharedkey)$/;

/** The text without the secrets that show themselves. */
export function redactText(text: string): string {
  let clean = text;
  for (const [pattern, replacement] of secretsInText) clean = clean.replace(pattern, replacement);
  return clean;
}

/**
 * A copy of data without secrets, told by the name of their property or by how they look. Errors become plain data
 * with their type, message, stack, cause and own members.
 */
export function redactValue(value: unknown): unknown {
  return redactDeep(value, 0, new Set());
}

const deepest = 12;

function redactDeep(value: unknown, depth: number, errors: Set<Error>): unknown {
  if (typeof value === "string") return redactText(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth >= deepest) return "[too deep]";
  if (value instanceof Error) {
    // A KetlineError holds its cause twice; once is enough to read.
    if (errors.has(value)) return undefined;
    errors.add(value);
    const { name, message, stack, cause } = value;
    const own = Object.fromEntries(Object.entries(value));
    return redactMembers({ type: name, message, stack, cause, ...own }, depth, errors);
  }
  if (Array.isArray(value)) return value.map((item) => redactDeep(item, depth + 1, errors));
  // Dates, URLs, buffers and the like say themselves how they are written.
  if (ArrayBuffer.isView(value) || ("toJSON" in value && typeof value.toJSON === "function")) return value;
  return redactMembers(value, depth, errors);
}

function redactMembers(value: object, depth: number, errors: Set<Error>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      isSecretName(name) && member !== null && member !== undefined
        ? hidden
        : redactDeep(member, depth + 1, errors),
    ]),
  );
}

function isSecretName(name: string): boolean {
  return secretName.test(name.toLowerCase().replaceAll(/[-_]/g, ""));
}

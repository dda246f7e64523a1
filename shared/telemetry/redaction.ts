const hidden = "[redacted]";

/**
 * Secrets that can be told by how they look, wherever they stand in a text: credentials of an Authorization header,
 * Ketline's own tokens, SAS signatures, keys in connection strings, passwords in URLs, PEM keys, JSON Web Tokens.
 */
const secretsInText: readonly (readonly [pattern: RegExp, replacement: string])[] = [
  [/\b(Bearer|Basic|SharedKey|SharedAccessSignature)\s+[\w.~+/=:-]{6,}/gi, `$1 ${hidden}`],
  [/\bktl_[\w-]{8,}/g, `ktl_${hidden}`],
  [/\beyJ[\w-]{8,}\.[\w-]{8,}(\.[\w-]*)?/g, hidden],
  [/([?&;]|\\u0026|\b)(sig|x-functions-key|code)=[^&\s"'\\;,]{8,}/gi, `$1$2=${hidden}`],
  [
    /\b(AccountKey|SharedAccessKey|SharedAccessSignature|Password|Pwd|InstrumentationKey)=[^;\s"'\\&]+/gi,
    `$1=${hidden}`,
  ],
  [/\b([a-z][a-z0-9+.-]*:\/\/[^\s:/@"'\\]*):[^\s/@"'\\]+@/gi, `$1:${hidden}@`],
  [
    /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g,
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

/** A copy of plain data without secrets, told by the name of their property or by how they look. */
export function redactValue(value: unknown): unknown {
  return redactDeep(value, 0);
}

const deepest = 12;

function redactDeep(value: unknown, depth: number): unknown {
  if (typeof value === "string") return redactText(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth >= deepest) return "[too deep]";
  if (Array.isArray(value)) return value.map((item) => redactDeep(item, depth + 1));
  // Errors, dates and the like know best how to show themselves.
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      isSecretName(name) && member !== null && member !== undefined ? hidden : redactDeep(member, depth + 1),
    ]),
  );
}

function isSecretName(name: string): boolean {
  return secretName.test(name.toLowerCase().replaceAll(/[-_]/g, ""));
}
